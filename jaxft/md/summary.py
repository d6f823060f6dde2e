"""What a trajectory amounts to: means with errors, drift of what should be conserved, and how it ended."""

from dataclasses import dataclass

import numpy as np

from jaxft import units
from jaxft.md.guards import describe
from jaxft.md.trajectory import Trajectory
from jaxft.stats.series import MeanEstimate, estimate_mean

FEWEST = 4
"""Frames; with fewer there is neither an error nor a slope."""


@dataclass(frozen=True)
class Summary:
    """One trajectory.

    frames           recorded while it ran
    duration_ps      of those
    temperature      K
    energy           potential energy in eV/atom
    pressure         GPa; None without a periodic cell
    density          g/cm³; None likewise
    drift            slope of the conserved energy in meV/atom/ps, by least squares
    stopped          why and after which step a guard ended it; None where it did not

    Means carry their standard error and effective number of samples; None where there are fewer than 4 frames.
    """

    frames: int
    duration_ps: float
    temperature: MeanEstimate | None
    energy: MeanEstimate | None
    pressure: MeanEstimate | None
    density: MeanEstimate | None
    drift: float | None
    stopped: str | None


def summarise(trajectory: Trajectory) -> Summary:
    """Read a trajectory through; only its numbers, never its positions."""
    good = trajectory.status == 0
    n_atoms, n = len(trajectory.template), int(good.sum())
    stopped = None
    if not good.all():
        stopped = f"{describe(int(trajectory.status[~good][0]))} (step {trajectory.steps[-1]})"
    times = trajectory.time_fs[good] / 1000.0
    duration = float(times[-1] - times[0]) * n / (n - 1) if n > 1 else 0.0
    if n < FEWEST:
        return Summary(n, duration, None, None, None, None, None, stopped)
    periodic = bool(trajectory.template.pbc.all())
    conserved = trajectory.conserved[good] / n_atoms / units.MEV
    return Summary(
        frames=n,
        duration_ps=duration,
        temperature=estimate_mean(trajectory.temperatures[good]),
        energy=estimate_mean(trajectory.energies[good] / n_atoms),
        pressure=estimate_mean(trajectory.pressure[good] / units.GPA) if periodic else None,
        density=estimate_mean(_densities(trajectory)[good]) if periodic else None,
        drift=float(np.polyfit(times, conserved - conserved[0], 1)[0]),
        stopped=stopped,
    )


def _densities(trajectory: Trajectory) -> np.ndarray:
    cells = trajectory.template.cell.array[None] if trajectory.cells is None else trajectory.cells[:]
    volumes = np.abs(np.linalg.det(cells))
    mass = trajectory.template.get_masses().sum()
    return np.broadcast_to(mass / volumes / units.GRAM_PER_CM3, (len(trajectory),))
