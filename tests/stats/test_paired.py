"""Paired comparisons against SciPy and full enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats

from jaxft.stats.paired import paired_difference, sign_flip_p, upper_rate


def scores(n, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n) + shift, rng.normal(size=n)


@pytest.mark.parametrize("n", [2, 5, 6, 12])
def test_interval_is_that_of_scipy(n):
    a, b = scores(n, 0.4)
    found = paired_difference(a, b, confidence=0.9)
    wanted = stats.ttest_rel(a, b).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.mean == pytest.approx(np.mean(a - b))


@pytest.mark.parametrize("n", [6, 7, 10])
def test_p_is_that_of_full_enumeration(n):
    a, b = scores(n, 0.8)
    d = a - b
    sums = np.array([np.dot(signs, d) for signs in itertools.product((1, -1), repeat=n)])
    assert sign_flip_p(d) == np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9)
    scipy = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert paired_difference(a, b).p_value == pytest.approx(scipy.pvalue)


def test_ties_count():
    assert sign_flip_p(np.array([0.1, 0.2, 0.3])) == 0.25
    assert sign_flip_p(np.array([1.0, 1.0, 1.0, -1.0])) == 10 / 16
    assert sign_flip_p(np.zeros(7)) == 1.0


def test_all_of_one_sign_gives_the_smallest_p():
    for n in (6, 20, 40):
        assert sign_flip_p(np.arange(1.0, n + 1)) == 2.0 / 2**n


def test_p_is_uniform_without_an_effect():
    rng = np.random.default_rng(1)
    p = [sign_flip_p(rng.standard_t(2, size=9)) for _ in range(1000)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_no_p_below_six_pairs_and_no_interval_for_one():
    assert paired_difference(*scores(5)).p_value is None
    assert paired_difference(*scores(6)).p_value is not None
    single = paired_difference(*scores(1))
    assert (single.sd, single.low, single.high, single.p_value, single.n_pairs) == (None, None, None, None, 1)


def test_rule_of_three():
    assert upper_rate(8.0) == pytest.approx(3.0 / 8.0, rel=2e-3)
    assert upper_rate(8.0) == pytest.approx(-np.log(0.05) / 8.0)


@pytest.mark.parametrize("n_events", [0, 1, 5])
def test_upper_rate_leaves_five_per_cent_below(n_events):
    assert stats.poisson.cdf(n_events, upper_rate(3.0, n_events) * 3.0) == pytest.approx(0.05)


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 2.0]), ([1.0, np.nan], [1.0, 2.0])])
def test_nonsense_is_refused(a, b):
    with pytest.raises(ValueError, match=r"expected|not finite"):
        paired_difference(np.array(a), np.array(b))


def test_too_many_pairs_and_impossible_rates_are_refused():
    with pytest.raises(ValueError, match="1 to 40"):
        sign_flip_p(np.ones(41))
    with pytest.raises(ValueError, match="duration"):
        upper_rate(0.0)
