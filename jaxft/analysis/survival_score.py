"""Score 5: how long a model's own dynamics lasts, until a guard stops it or the reference fails on one of its frames.

A run that reached its length is censored, not dead; with a few seeds the mean survival time says less than the number
of runs that ended, so both are given.
"""

from dataclasses import dataclass

import numpy as np

from jaxft.analysis.model_test import ModelTest, SeedTest, Stop
from jaxft.stats.paired import upper_rate
from jaxft.stats.survival import kaplan_meier, restricted_mean


@dataclass(frozen=True)
class Survival:
    """Kaplan-Meier over the seeds of one model; times in fs.

    n_seeds, n_ended        runs, and how many of them ended before their length
    horizon_fs              the shortest planned length; means are up to it
    mean_fs                 restricted mean survival time, the area under the curve up to the horizon
    mean_error_fs           its standard error; None where no run or every run ended, where the formula has no value
    upper_rate_per_fs       with 95 % confidence the rate of ends is below this (3/T where nothing ended in T in all);
                            None where every run ended in its first step
    times_fs, shares        the curve: after times_fs[i] the share shares[i] still runs; 1 before the first
    ends                    for each seed why and when it ended, None where it did not
    """

    n_seeds: int
    n_ended: int
    horizon_fs: float
    mean_fs: float
    mean_error_fs: float | None
    upper_rate_per_fs: float | None
    times_fs: tuple[float, ...]
    shares: tuple[float, ...]
    ends: tuple[Stop | None, ...]


def end_of(run: SeedTest) -> Stop | None:
    """When and why a run ended: at a guard, or at the first frame whose label failed, whichever came first."""
    ends = [] if run.stopped is None else [run.stopped]
    if run.failures:
        first = min(run.failures)
        ends.append(Stop(float(run.times_fs[first]), f"label failed: {run.failures[first]}"))
    return min(ends, key=lambda end: end.time_fs) if ends else None


def survival_score(test: ModelTest) -> Survival:
    """Score 5 of a test."""
    ends = tuple(end_of(run) for run in test.seeds)
    followed = np.array(
        [run.length_fs if end is None else end.time_fs for run, end in zip(test.seeds, ends, strict=True)]
    )
    ended = np.array([end is not None for end in ends])
    curve = kaplan_meier(followed, ended)
    horizon = min(run.length_fs for run in test.seeds)
    mean, error = restricted_mean(curve, horizon)
    n_ended = int(ended.sum())
    total = float(followed.sum())
    return Survival(
        n_seeds=len(ends),
        n_ended=n_ended,
        horizon_fs=horizon,
        mean_fs=mean,
        mean_error_fs=error if 0 < n_ended < len(ends) else None,
        upper_rate_per_fs=upper_rate(total, n_ended) if total > 0.0 else None,
        times_fs=tuple(curve.times.tolist()),
        shares=tuple(curve.survival.tolist()),
        ends=ends,
    )
