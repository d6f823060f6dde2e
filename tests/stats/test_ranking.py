"""Rank statistics within strata, and lines judged on data that they did not see."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from jaxft.stats.ranking import auroc, ranks_within, regression_by_halves, roc_points, spearman


def test_ranks_within_strata_forget_the_strata():
    values = np.array([1.0, 2.0, 100.0, 200.0, 300.0])
    strata = np.array([0, 0, 1, 1, 1])
    np.testing.assert_allclose(ranks_within(values, strata), [0.25, 0.75, 1 / 6, 0.5, 5 / 6])


def test_a_difference_between_strata_alone_is_no_correlation():
    random = np.random.default_rng(0)
    strata = np.repeat([0, 1], 500)
    x, y = random.normal(size=1000) + 10 * strata, random.normal(size=1000) + 10 * strata
    assert spearman(x, y) > 0.7
    assert abs(spearman(ranks_within(x, strata), ranks_within(y, strata))) < 0.1


def test_auroc_is_the_probability_of_the_right_order():
    random = np.random.default_rng(1)
    signal, bad = random.normal(size=60), random.random(60) < 0.3
    pairs = [(a > b) for a in signal[bad] for b in signal[~bad]]
    assert auroc(signal, bad) == pytest.approx(np.mean(pairs))
    tied = np.round(signal)
    assert auroc(tied, bad) == pytest.approx(roc_auc_score(bad, tied))
    assert spearman(tied, signal**2) == pytest.approx(spearmanr(tied, signal**2).statistic)
    assert np.isnan(auroc(signal, np.zeros(60, bool)))
    assert np.isnan(spearman(signal, np.ones(60)))


def test_the_roc_curve_ends_in_both_corners():
    false, hits = roc_points(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    assert (false[0], false[-1], hits[-1]) == (0.0, 1.0, 1.0)
    assert (np.diff(hits) >= 0).all()


def test_a_line_is_judged_on_the_other_half():
    random = np.random.default_rng(2)
    x = random.normal(size=200)
    half = np.arange(200) < 100
    good = regression_by_halves(x, 2.0 * x + 1.0 + 0.1 * random.normal(size=200), half)
    assert (good.slope, good.intercept) == (pytest.approx(2.0, abs=0.05), pytest.approx(1.0, abs=0.05))
    assert good.r2_test > 0.99
    turned = np.where(half, x, -x)
    assert regression_by_halves(x, turned, half).r2_test < -1.0
    assert regression_by_halves(x[:4], x[:4], np.array([True, False, False, False])) is None
