"""Does a signal find what is bad? Rank correlation, area under the ROC curve, and how well a line predicts the size of the error.

Strata (elements, models) are ranked each by itself, so that a difference between strata can't pass for a prediction.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_curve


def ranks_within(values: Float[np.ndarray, "rows"], strata: Int[np.ndarray, "rows"]) -> Float[np.ndarray, "rows"]:
    """Rank of each value among those of its stratum, scaled to lie between 0 and 1; ties share their mean."""
    ranks = np.empty(len(values))
    for stratum in np.unique(strata):
        mine = strata == stratum
        ranks[mine] = (rankdata(values[mine]) - 0.5) / mine.sum()
    return ranks


def spearman(x: Float[np.ndarray, "rows"], y: Float[np.ndarray, "rows"]) -> float:
    """Spearman's ρ, the correlation of ranks; NaN where either is constant or there are fewer than three rows."""
    if len(x) < 3 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def auroc(signal: Float[np.ndarray, "rows"], bad: Bool[np.ndarray, "rows"]) -> float:
    """Area under the ROC curve: the probability that a bad row has the higher signal, ties counting half; NaN for one kind of rows.

    By the rank sum of Mann and Whitney, which a bootstrap can afford (scikit-learn's function checks its input for ten times as
    long). Source: J. Hanley & B. McNeil, Radiology 143 (1982) 29.
    """
    n_bad = int(bad.sum())
    n_good = len(bad) - n_bad
    if n_bad == 0 or n_good == 0:
        return float("nan")
    return float((rankdata(signal)[bad].sum() - n_bad * (n_bad + 1) / 2) / (n_bad * n_good))


def roc_points(
    signal: Float[np.ndarray, "rows"], bad: Bool[np.ndarray, "rows"], points: int = 50
) -> tuple[list[float], list[float]]:
    """The ROC curve at even steps of the false-alarm rate: (rates of false alarms, rates of hits)."""
    false, hits, _ = roc_curve(bad, signal)
    steps = np.linspace(0.0, 1.0, points)
    return steps.tolist(), np.interp(steps, false, hits).tolist()


@dataclass(frozen=True)
class Regression:
    """y = intercept + slope x, fitted to one half of the groups; r2_test: 1 - SS_error/SS_total on the other half, which may be
    negative."""

    slope: float
    intercept: float
    r2_fit: float
    r2_test: float


def regression_by_halves(
    x: Float[np.ndarray, "rows"], y: Float[np.ndarray, "rows"], fit_on: Bool[np.ndarray, "rows"]
) -> Regression | None:
    """A line through the rows of ``fit_on``, judged on the others; None where either part has fewer than three rows."""
    if fit_on.sum() < 3 or (~fit_on).sum() < 3:
        return None
    line = LinearRegression().fit(x[fit_on, None], y[fit_on])
    return Regression(
        slope=float(line.coef_[0]),
        intercept=float(line.intercept_),
        r2_fit=float(line.score(x[fit_on, None], y[fit_on])),
        r2_test=float(line.score(x[~fit_on, None], y[~fit_on])),
    )
