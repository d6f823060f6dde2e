"""Control limits: above which value is a Q residual or a T² out of the ordinary?

The empirical limit is what decides here. The two textbook limits assume a normal distribution with known axes; with more columns
than a few hundred rows can tell, they alarm far too often, and stand beside with the rate that was measured.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True)
class Limit:
    """A limit and how it came about.

    value    above it a value alarms
    rate     share of alarms that it stands for on data like those that it was made from
    n        values that it was made from
    """

    value: float
    rate: float
    n: int


def empirical_limit(values: Float[np.ndarray, "values"], rate: float) -> Limit:
    """The ⌈(n+1)(1-α)⌉-th smallest of n values: a further one from the same source exceeds it with probability α at most.

    With fewer than 1/α - 1 values that does not exist; then it is the largest one, with the rate 1/(n+1) that this has. Source:
    exchangeability; G. Shafer & V. Vovk, J. Mach. Learn. Res. 9 (2008) 371. Raises ValueError without values.
    """
    n = len(values)
    if n == 0 or not 0.0 < rate < 1.0:
        raise ValueError(f"expected values and a rate between 0 and 1, got {n} values and {rate}")
    rank = math.ceil((n + 1) * (1.0 - rate) - 1e-9)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if rank > n:
        return Limit(float(ordered[-1]), 1.0 / (n + 1), n)
    return Limit(float(ordered[rank - 1]), rate, n)


def jackson_mudholkar_limit(left_out: Float[np.ndarray, "axes"], rate: float) -> float:
    """Limit of Q from the eigenvalues λ of the axes that were left out; 0 where none is.

    Q_α = θ₁ [c √(2 θ₂ h²)/θ₁ + 1 + θ₂ h (h-1)/θ₁²]^(1/h),  θ_i = Σ λ^i,  h = 1 - 2 θ₁θ₃/(3 θ₂²),  c the normal quantile at 1-α.
    Source: J. Jackson & G. Mudholkar, Technometrics 21 (1979) 341, eq. 3.4. Where h ≤ 0 (one large eigenvalue among many small
    ones) that has no meaning, and it is (θ₂/θ₁) χ²_{1-α}(θ₁²/θ₂): G. Box, Ann. Math. Statist. 25 (1954) 290.
    """
    one, two, three = (float((np.asarray(left_out, dtype=np.float64) ** power).sum()) for power in (1, 2, 3))
    if one == 0.0:
        return 0.0
    h = 1.0 - 2.0 * one * three / (3.0 * two**2)
    if h <= 0.0:
        return two / one * float(stats.chi2.ppf(1.0 - rate, one**2 / two))
    c = float(stats.norm.ppf(1.0 - rate))
    return one * (c * math.sqrt(2.0 * two * h**2) / one + 1.0 + two * h * (h - 1.0) / one**2) ** (1.0 / h)


def t2_limit(retained: int, n: int, rate: float) -> float | None:
    """Limit of T² of a new row: k(n²-1)/(n(n-k)) F_{1-α}(k, n-k); None where n ≤ k or nothing is retained.

    n: independent rows behind the model, frames and not atoms (protocol 6). Source: N. Tracy, J. Young & R. Mason, J. Qual.
    Technol. 24 (1992) 88.
    """
    if retained == 0 or n <= retained:
        return None
    return float(retained * (n**2 - 1) / (n * (n - retained)) * stats.f.ppf(1.0 - rate, retained, n - retained))
