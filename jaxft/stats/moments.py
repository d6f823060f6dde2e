"""Mean and scatter of many rows, chunk by chunk: exact, so that a covariance needs no more memory than one chunk.

    W = Σ w,  m = Σ w x / W,  S = Σ w (x - m)(x - m)ᵀ

Two parts are put together by W = W_a + W_b, m = (W_a m_a + W_b m_b)/W, S = S_a + S_b + (W_a W_b/W) d dᵀ with d = m_b - m_a.
Source: T. Chan, G. Golub & R. LeVeque, Am. Stat. 37 (1983) 242. In float64 whatever comes in.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Moments:
    """Of n rows of p columns.

    count    n
    weight   W, sum of the weights; n where all are 1
    mean     (p,)
    scatter  (p, p)
    """

    count: int
    weight: float
    mean: Float[np.ndarray, "columns"]
    scatter: Float[np.ndarray, "columns columns"]

    @property
    def covariance(self) -> Float[np.ndarray, "columns columns"]:
        """S/W · n/(n-1): for equal weights the usual unbiased one. Raises ValueError below two rows."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 rows, got {self.count}")
        return self.scatter / self.weight * (self.count / (self.count - 1))

    def weighing(self, weight: float) -> "Moments":
        """The same rows with their weights scaled to sum to ``weight``."""
        return Moments(self.count, weight, self.mean, self.scatter * (weight / self.weight))


def moments(rows: Float[np.ndarray, "rows columns"]) -> Moments:
    """Moments of one chunk, every row with weight 1. Raises ValueError for no rows, or values that are not finite."""
    x = np.asarray(rows, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"expected rows of columns, got an array of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("a row is not finite")
    mean = x.mean(axis=0)
    centred = x - mean
    return Moments(len(x), float(len(x)), mean, centred.T @ centred)


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of the rows of both."""
    weight = a.weight + b.weight
    apart = b.mean - a.mean
    return Moments(
        a.count + b.count,
        weight,
        a.mean + apart * (b.weight / weight),
        a.scatter + b.scatter + np.outer(apart, apart) * (a.weight * b.weight / weight),
    )
