"""Intervals by resampling whole groups (trajectories): frames of one run are not independent of each other, runs are.

Source: A. Davison & D. Hinkley, Bootstrap Methods and their Application (1997), section 3.8: groups with replacement, all of a
group's rows with it, percentiles of what comes out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

RESAMPLES = 1000

LEAST_GROUPS = 5
"""Below this many groups there are too few different resamples for an interval."""


@dataclass(frozen=True)
class Interval:
    """A statistic with the interval of the given level.

    value is None where the statistic is not defined, low and high where there are too few groups for an interval.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    groups: int


def group_bootstrap(
    statistic: Callable[[Int[np.ndarray, "rows"]], float],
    groups: Int[np.ndarray, "rows"],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of ``statistic(row numbers)``, resampling the groups that the rows belong to.

    A resample for which the statistic is NaN (all rows of one class) is left out; with half of them NaN there is no interval.
    """
    names = np.unique(groups)
    everything = np.arange(len(groups))
    value = float(statistic(everything))
    if not np.isfinite(value):
        return Interval(None, None, None, level, len(names))
    if len(names) < LEAST_GROUPS:
        return Interval(value, None, None, level, len(names))
    members = [everything[groups == name] for name in names]
    random = np.random.default_rng(seed)
    drawn = random.integers(len(names), size=(resamples, len(names)))
    found = np.array([statistic(np.concatenate([members[k] for k in draw])) for draw in drawn])
    found = found[np.isfinite(found)]
    if len(found) < resamples / 2:
        return Interval(value, None, None, level, len(names))
    low, high = np.quantile(found, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(value, float(low), float(high), level, len(names))
