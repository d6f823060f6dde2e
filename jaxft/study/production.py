"""The dynamics that training frames were picked from, read back: what limits are calibrated on, at no cost in labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.md.trajectory import Trajectory, read_trajectory
from jaxft.stats.series import integrated_time
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.layout import Layout
from jaxft.study.settings import StudySettings

SHORTEST = 8
"""Frames; below it an autocorrelation time can't be told."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Production frames of one trajectory under one set of weights: frames ``first`` to ``stop`` (not included).

    number: which replica or test seed it is of.
    """

    name: str
    trajectory: Trajectory
    first: int
    stop: int
    number: int = 0

    @property
    def n_effective(self) -> float:
        """Independent frames, by the autocorrelation time of the potential energy; 1 where that can't be told."""
        n = self.stop - self.first
        if n < SHORTEST:
            return float(min(n, 1))
        return n / (2.0 * integrated_time(self.trajectory.energies[self.first : self.stop]))


def sampling_stretches(settings: StudySettings, layout: Layout, strategy: str, stages: int) -> list[Stretch]:
    """Of the first ``stages`` models of a strategy; the naive one samples once for all. Those that are there already."""
    if strategy == "naive":
        share = len(settings.budgets) / settings.replicas
        paths = layout.trajectories("naive", "naive", settings.replicas)
        firsts = [settings.frames(settings.equilibrate_ps * share)] * len(paths)
    else:
        paths = [layout.trajectories("periodic", f"periodic-{k}", 1)[0] for k in range(1, stages + 1)]
        firsts = [settings.frames(settings.equilibrate_ps)] * len(paths)
    there = [(path, first) for path, first in zip(paths, firsts, strict=True) if path.exists()]
    return [stretch_of(path.stem, read_trajectory(path), first) for path, first in there]


def stretch_of(name: str, trajectory: Trajectory, first: int, number: int = 0) -> Stretch:
    """Frames after equilibration, up to where a guard stopped it."""
    running = int(np.append(trajectory.status != 0, True).argmax())
    return Stretch(name, trajectory, min(first, running), running, number)


def spread_frames(
    stretches: Sequence[Stretch], at_most: int, without: Sequence[LabelledStructure] = ()
) -> list[tuple[int, int]]:
    """(stretch, frame) of at most so many frames, evenly spread over all, in the order of time; labelled ones are left out."""
    taken = {fingerprint(labelled.atoms.positions) for labelled in without}
    every = [(k, frame) for k, stretch in enumerate(stretches) for frame in range(stretch.first, stretch.stop)]
    if len(every) > at_most:
        every = [every[int(j)] for j in np.linspace(0, len(every) - 1, at_most).round()]
    if not taken:
        return every
    prints = [fingerprints(stretch) for stretch in stretches]
    return [(k, frame) for k, frame in every if prints[k][frame - stretches[k].first] not in taken]


def frames_of(stretches: Sequence[Stretch], chosen: Sequence[tuple[int, int]]) -> Iterator[Atoms]:
    """The chosen frames one after another, read chunk by chunk."""
    for k, stretch in enumerate(stretches):
        yield from stretch.trajectory.structures([frame for place, frame in chosen if place == k])


def fingerprint(positions: Float[np.ndarray, "atoms 3"]) -> bytes:
    """Where its first atoms are, to the precision of a trajectory file: which frame a labelled structure was."""
    return np.asarray(positions[:4], dtype=np.float32).tobytes()


def fingerprints(stretch: Stretch) -> list[bytes]:
    """Of all its frames."""
    return [fingerprint(x) for x in stretch.trajectory.positions[stretch.first : stretch.stop]]
