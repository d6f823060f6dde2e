"""A number with its error bar, or with the words that say why it has none; and the mean over seeds of correlated frames.

Every score is an ``Estimate``. The error of a mean is the larger of two: from the memory within the runs, and from the
spread between them, because runs that are too short to see their slow motions agree with themselves more than with
each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxft.stats.series import TOO_SHORT

TOO_SHORT_WORDS = "too short for an error bar"
NO_FRAMES = "no labelled frame"
SEEDS_FOR_SPREAD = 3


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error, in one unit.

    value        None where nothing was measured
    error        standard error; None where it can't be told
    n            frames that went in
    n_effective  how many of them count as independent
    why          why there is no value or no error; None where there is both
    """

    value: float | None
    error: float | None
    n: int
    n_effective: float
    why: str | None = None


@dataclass(frozen=True)
class PooledMean:
    """Mean over the frames of all seeds, every frame counting the same.

    mean          None without frames
    sd            SD of the frames about it (n - 1 in the denominator); None below two frames
    n_effective   sum over the seeds
    error_run     SD/√n_effective, which is SD √(2τ/T) of the runs; None below an n_effective of 10
    error_seeds   from the means m_s of K ≥ 3 seeds with n_s of n frames, √(K/(K-1) Σ (n_s/n)² (m_s - mean)²); for equal
                  n_s that is SD(m_s)/√K
    """

    mean: float | None
    sd: float | None
    n: int
    n_effective: float
    error_run: float | None
    error_seeds: float | None

    @property
    def error(self) -> float | None:
        """The larger of both errors; None where the runs are too short for one."""
        if self.error_run is None:
            return None
        return max(self.error_run, self.error_seeds or 0.0)

    @property
    def why(self) -> str | None:
        """Why there is no mean, or no error of it."""
        if self.mean is None:
            return NO_FRAMES
        return TOO_SHORT_WORDS if self.error_run is None else None

    def estimate(self) -> Estimate:
        """Mean and error alone."""
        return Estimate(self.mean, self.error, self.n, self.n_effective, self.why)


def pool(groups: Sequence[Float[np.ndarray, "frames"]], n_effective: Sequence[float]) -> PooledMean:
    """Pool the frames of seeds; ``n_effective`` of each seed, in the same order. Seeds without frames add nothing."""
    filled = [group for group in groups if len(group)]
    if not filled:
        return PooledMean(None, None, 0, 0.0, None, None)
    values = np.concatenate(filled)
    n, effective = len(values), float(sum(n_effective))
    mean = float(values.mean())
    sd = float(values.std(ddof=1)) if n > 1 else None
    long_enough = sd is not None and effective >= TOO_SHORT
    return PooledMean(
        mean=mean,
        sd=sd,
        n=n,
        n_effective=effective,
        error_run=sd / float(np.sqrt(effective)) if sd is not None and long_enough else None,
        error_seeds=_between(filled, mean, n) if len(filled) >= SEEDS_FOR_SPREAD else None,
    )


def _between(groups: Sequence[Float[np.ndarray, "frames"]], mean: float, n: int) -> float:
    k = len(groups)
    squares = sum((len(group) / n * (float(group.mean()) - mean)) ** 2 for group in groups)
    return float(np.sqrt(k / (k - 1) * squares))
