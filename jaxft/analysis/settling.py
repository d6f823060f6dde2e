"""When has a test run settled, and how many independent frames does it give from there on.

Both are read off the model energy along the run, which is dense and costs no label (protocol 10). The residual's own
few frames may say that their memory is longer; then they are believed.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxft.analysis.model_test import SeedTest
from jaxft.stats.series import TOO_SHORT, effective_samples, find_plateau, integrated_time

FEWEST_SAMPLES = 8
"""Of the dense energy; with fewer there is nothing to detect, and the memory of the run is not known."""


@dataclass(frozen=True)
class Settling:
    """Where the plateau of a run begins.

    start_fs  from the start of the run, at most half of what was run
    settled   False where the energy still moves in the second half, or has fewer than 10 effective samples on its
              plateau: a run that drifts all the time looks like one that is too short
    tau_fs    integrated autocorrelation time of the model energy from there on; None where not known
    """

    start_fs: float
    settled: bool
    tau_fs: float | None


def settle(run: SeedTest) -> Settling:
    """Find the start of the plateau on the dense model energy (``stats.series.find_plateau``).

    The start is never later than half of the run: a run that is still moving then, or that ends in a catastrophe, keeps
    at least the second half of its frames and is marked as not settled; its long τ then takes the error bar away.
    """
    times, energies = run.dense_times_fs, run.dense_energies
    if len(energies) < FEWEST_SAMPLES:
        return Settling(0.0, False, None)
    found, half = find_plateau(energies), len(energies) // 2
    start = min(found.start, half)
    spacing = float(np.diff(times).mean())
    return Settling(
        start_fs=float(times[start]) if start else 0.0,
        settled=found.start <= half and found.n_eff >= TOO_SHORT,
        tau_fs=integrated_time(energies[start:]) * spacing,
    )


def effective_frames(
    values: Float[np.ndarray, "frames"], times_fs: Float[np.ndarray, "frames"], tau_fs: float | None
) -> float:
    """How many of a run's frames count as independent for the mean of ``values``; 1 where nothing is known.

    The smaller of n tanh(spacing/2τ), with τ of the dense energy, and n/2τ' with τ' of the values themselves.
    """
    n = len(values)
    if n < 2 or tau_fs is None:
        return float(min(n, 1))
    spacing = float(np.diff(times_fs).mean())
    by_energy = effective_samples(n, spacing, tau_fs)
    by_values = n / (2.0 * integrated_time(values)) if np.ptp(values) > 0.0 else float(n)
    return max(1.0, min(by_energy, by_values))
