"""How many of the frames that were picked count as independent (protocol 2: frames at least 2τ apart)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxft.stats.series import effective_samples, integrated_time

SHORTEST = 4
"""Frames; a series of fewer has no autocorrelation time, and each pick from it counts as one independent frame at most once."""


@dataclass(frozen=True)
class Independence:
    """Picks from one stretch of dynamics.

    picks        how many
    spacing_fs   on average between them
    tau_fs       integrated autocorrelation time of the potential energy; None where the stretch is too short to tell
    n_effective  independent frames among the picks; 1 where τ is not known
    """

    picks: int
    spacing_fs: float
    tau_fs: float | None
    n_effective: float

    @property
    def far_enough(self) -> bool:
        """Whether the picks are at least 2τ apart."""
        return self.tau_fs is not None and self.spacing_fs >= 2.0 * self.tau_fs


def independence(energies: Float[np.ndarray, "frames"], frame_fs: float, picks: int) -> Independence:
    """Of ``picks`` evenly spread frames out of a stretch with these potential energies (eV), ``frame_fs`` apart."""
    spacing = len(energies) / max(picks, 1)
    if len(energies) < SHORTEST or float(np.ptp(energies)) == 0.0:
        return Independence(picks, spacing * frame_fs, None, float(min(picks, 1)))
    tau = integrated_time(np.asarray(energies, dtype=np.float64))
    return Independence(picks, spacing * frame_fs, tau * frame_fs, effective_samples(picks, spacing, tau))
