"""Two strategies on the same seeds: the mean paired difference, how sure it is, and what seeing nothing proves.

The independent unit is the whole pipeline of one seed. With fewer than six pairs there is an interval but no p-value:
the smallest that the test could give with five is 2/32 = 0.06.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

PAIRS_FOR_P = 6
MOST_PAIRS = 40


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b over pairs, SD and t-interval (None with one pair), sign-flip p-value (None below six pairs)."""

    mean: float
    sd: float | None
    n_pairs: int
    low: float | None
    high: float | None
    p_value: float | None


def paired_difference(
    a: Float[np.ndarray, "pairs"], b: Float[np.ndarray, "pairs"], confidence: float = 0.95
) -> PairedDifference:
    """Mean of a - b with Student's t-interval on n - 1 degrees of freedom, mean ± t SD / √n, and ``sign_flip_p``.

    a, b: the same score of both strategies, seed by seed. Raises ValueError for no pairs, unequal lengths or NaN.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0:
        raise ValueError(f"expected two series of one score for each pair, got shapes {a.shape} and {b.shape}")
    difference = a - b
    if not np.isfinite(difference).all():
        raise ValueError("a score is not finite; a failed seed has to be scored, not dropped or left as NaN")
    n, mean = len(difference), float(difference.mean())
    if n == 1:
        return PairedDifference(mean, None, 1, None, None, None)
    sd = float(difference.std(ddof=1))
    reach = float(stats.t.ppf(0.5 + confidence / 2.0, n - 1)) * sd / float(np.sqrt(n))
    p_value = sign_flip_p(difference) if n >= PAIRS_FOR_P else None
    return PairedDifference(mean, sd, n, mean - reach, mean + reach, p_value)


def sign_flip_p(differences: Float[np.ndarray, "pairs"]) -> float:
    """Exact two-sided sign-flip p-value: the share of all 2^n sign patterns with |Σ ± d| at least |Σ d|.

    Holds where, without an effect, each difference is as likely to be +d as -d (R. Fisher, The Design of Experiments,
    1935, section 21). Counted exactly by meeting in the middle: sums of each half, one half sorted. Patterns equal to
    the observed one up to rounding count. Raises ValueError for more than 40 pairs.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not 1 <= len(d) <= MOST_PAIRS:
        raise ValueError(f"expected 1 to {MOST_PAIRS} differences, got an array of shape {d.shape}")
    left, right = _signed_sums(d[: len(d) // 2]), np.sort(_signed_sums(d[len(d) // 2 :]))
    observed = abs(float(d.sum())) - 1e-12 * float(np.abs(d).sum())
    if observed <= 0.0:
        return 1.0
    above = len(right) - np.searchsorted(right, observed - left, side="left")
    # the patterns below -observed mirror those above, sign by sign
    return float(2 * above.sum() / 2.0 ** len(d))


def upper_rate(duration: float, n_events: int = 0, confidence: float = 0.95) -> float:
    """Upper limit of a Poisson rate after ``n_events`` in ``duration``: χ²(confidence; 2n + 2) / 2T.

    With no event this is -ln(1 - confidence) / T, the rule of three: below 3/T at 95 %.
    Source: J. Hanley & A. Lippman-Hand, J. Am. Med. Assoc. 249 (1983) 1743.
    """
    if duration <= 0 or n_events < 0 or not 0 < confidence < 1:
        raise ValueError(
            f"expected duration > 0, events >= 0, 0 < confidence < 1; got {duration}, {n_events}, {confidence}"
        )
    return float(stats.chi2.ppf(confidence, 2 * n_events + 2)) / (2.0 * duration)


def _signed_sums(values: Float[np.ndarray, "values"]) -> Float[np.ndarray, "patterns"]:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
