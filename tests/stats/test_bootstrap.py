"""Intervals from resampled groups."""

import numpy as np
import pytest

from jaxft.stats.bootstrap import group_bootstrap


def test_covers_the_truth_as_often_as_it_says():
    # 20 groups of 5 rows that share a group effect: rows alone would give an interval far too narrow
    random = np.random.default_rng(0)
    covered = []
    for trial in range(200):
        effect = random.normal(size=20)
        x = np.repeat(effect, 5) + 0.1 * random.normal(size=100)
        found = group_bootstrap(lambda k, x=x: x[k].mean(), np.repeat(np.arange(20), 5), resamples=200, seed=trial)
        covered.append(found.low < 0.0 < found.high)
    assert 0.88 < np.mean(covered) <= 0.99


def test_too_few_groups_have_a_value_and_no_interval():
    x = np.arange(8.0)
    found = group_bootstrap(lambda k: x[k].mean(), np.repeat([0, 1], 4))
    assert (found.value, found.low, found.high, found.groups) == (3.5, None, None, 2)


def test_a_statistic_that_is_mostly_undefined_has_no_interval():
    groups = np.arange(10)
    # a resample holds the first row at least once in 65 %, exactly once in 39 % of the cases
    often = group_bootstrap(lambda k: 1.0 if (k == 0).any() else np.nan, groups)
    seldom = group_bootstrap(lambda k: 1.0 if (k == 0).sum() == 1 else np.nan, groups)
    assert (often.value, often.low, often.high) == (1.0, 1.0, 1.0)
    assert (seldom.value, seldom.low, seldom.high) == (1.0, None, None)


def test_the_same_seed_gives_the_same_interval():
    x = np.random.default_rng(1).normal(size=30)
    groups = np.repeat(np.arange(6), 5)
    one, other = (group_bootstrap(lambda k: x[k].mean(), groups, seed=3) for _ in range(2))
    assert one == other
    with pytest.raises(AssertionError):
        assert one == group_bootstrap(lambda k: x[k].mean(), groups, seed=4)
