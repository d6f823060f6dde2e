"""A stretch of sampling as it was: how long it equilibrated, whether that was enough, and how long its memory is (protocol 1).

Read off the potential energy, which is dense and costs no label.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxft.stats.series import find_plateau, integrated_time

SHORTEST = 8
"""Frames, of a whole stretch; with fewer there is nothing to detect."""


@dataclass(frozen=True)
class Stretch:
    """One replica of one leg of dynamics under one set of weights.

    leg               its name: naive, periodic-1, ...
    replica           its number
    equilibration_fs  left out before frames were picked
    production_fs     after that, up to where it stopped
    settled_fs        from the start of the stretch: where its potential energy had become stationary (J. Chodera's criterion,
                      ``stats.series.find_plateau``); None where it is too short to tell
    tau_fs            integrated autocorrelation time of the potential energy in production; None likewise
    stopped           why it ended early; None where it did not
    """

    leg: str
    replica: int
    equilibration_fs: float
    production_fs: float
    settled_fs: float | None
    tau_fs: float | None
    stopped: str | None

    @property
    def settled(self) -> bool | None:
        """Whether the energy was stationary when production began; None where the stretch is too short to tell."""
        return None if self.settled_fs is None else self.settled_fs <= self.equilibration_fs


def describe_stretch(
    leg: str,
    replica: int,
    energies: Float[np.ndarray, "frames"],
    equilibration_frames: int,
    frame_fs: float,
    stopped: str | None,
) -> Stretch:
    """From the potential energies (eV) of all frames of a stretch, equilibration first, ``frame_fs`` apart."""
    production = np.asarray(energies[equilibration_frames:], dtype=np.float64)
    told = len(energies) >= SHORTEST
    return Stretch(
        leg=leg,
        replica=replica,
        equilibration_fs=equilibration_frames * frame_fs,
        production_fs=len(production) * frame_fs,
        settled_fs=find_plateau(np.asarray(energies, dtype=np.float64)).start * frame_fs if told else None,
        tau_fs=integrated_time(production) * frame_fs if told and len(production) >= SHORTEST else None,
        stopped=stopped,
    )
