"""Survival: how long runs last, when some of them were still alive when they were stopped.

A run that a guard ended has died; a run that reached its planned length is censored, which is not the same as having
died there. With a handful of seeds the curves are coarse: print the number at risk beside them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class SurvivalCurve:
    """Kaplan–Meier estimate, one entry for each distinct time of death, ascending; S is 1 before the first.

    times      time of death
    at_risk    runs alive just before it
    deaths     how many died at it
    survival   S just after it
    variance   Greenwood's variance of S; NaN where S has come to zero, where the formula has no value
    horizon    the longest time that was observed: nothing is known beyond it unless S is zero
    """

    times: Float[np.ndarray, "deaths"]
    at_risk: Int[np.ndarray, "deaths"]
    deaths: Int[np.ndarray, "deaths"]
    survival: Float[np.ndarray, "deaths"]
    variance: Float[np.ndarray, "deaths"]
    horizon: float

    def at(self, time: float) -> float:
        """S(t): the share expected to live longer than ``time``. Raises ValueError where nothing is known of it."""
        if time > self.horizon and not self._ended:
            raise ValueError(f"survival at {time} asked for, but runs were only followed to {self.horizon}")
        reached = int(np.searchsorted(self.times, time, side="right"))
        return float(self.survival[reached - 1]) if reached else 1.0

    @property
    def median(self) -> float | None:
        """The first time at which S is at most 1/2; None where it stays above."""
        below = np.flatnonzero(self.survival <= 0.5)
        return float(self.times[below[0]]) if len(below) else None

    @property
    def _ended(self) -> bool:
        return len(self.survival) > 0 and self.survival[-1] == 0.0


def kaplan_meier(times: Float[np.ndarray, "runs"], died: Bool[np.ndarray, "runs"]) -> SurvivalCurve:
    """Product-limit estimate S(t) = Π (1 - d_i / n_i) over times of death t_i ≤ t, with right censoring.

    times: how long each run was followed, not negative; died: whether it ended by dying (else it was censored then).
    Runs censored at a time of death count as at risk there. Greenwood: Var S = S² Σ d_i / (n_i (n_i - d_i)). Source: E.
    Kaplan & P. Meier, J. Am. Stat. Assoc. 53 (1958) 457. Raises ValueError for no runs, NaN or negative times.
    """
    times, died = np.asarray(times, dtype=np.float64), np.asarray(died, dtype=bool)
    if times.ndim != 1 or times.shape != died.shape or len(times) == 0:
        raise ValueError(f"expected one time and one flag for each run, got shapes {times.shape} and {died.shape}")
    if not (np.isfinite(times) & (times >= 0)).all():
        raise ValueError(f"expected finite times that are not negative, got {times.tolist()}")
    death_times, deaths = np.unique(times[died], return_counts=True)
    at_risk = np.array([np.count_nonzero(times >= t) for t in death_times], dtype=np.int64)
    left = at_risk - deaths
    survival = np.cumprod(left / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = survival**2 * np.cumsum(deaths / (at_risk * left))
    return SurvivalCurve(death_times, at_risk, deaths.astype(np.int64), survival, variance, float(times.max()))


def restricted_mean(curve: SurvivalCurve, horizon: float) -> tuple[float, float]:
    """Mean survival time up to ``horizon`` and its standard error: μ = ∫ S dt from 0 to the horizon.

    SE² = Σ A_i² d_i / (n_i (n_i - d_i)) over deaths before the horizon, with A_i = ∫ S dt from t_i to the horizon; a
    death that brings S to zero adds nothing. Meaningful where the median is not (fewer than half have died). Source: J.
    Klein & M. Moeschberger, Survival Analysis (2nd edition), equations 4.5.1 and 4.5.2. Raises ValueError where the
    horizon lies beyond what was observed.
    """
    curve.at(horizon)
    inside = curve.times < horizon
    edges = np.concatenate([[0.0], curve.times[inside], [horizon]])
    heights = np.concatenate([[1.0], curve.survival[inside]])
    areas = np.diff(edges) * heights
    remaining = np.cumsum(areas[::-1])[::-1][1:]
    n, d = curve.at_risk[inside], curve.deaths[inside]
    variance = sum(a**2 * k / (m * (m - k)) for a, k, m in zip(remaining, d, n, strict=True) if m > k)
    return float(areas.sum()), float(np.sqrt(variance))
