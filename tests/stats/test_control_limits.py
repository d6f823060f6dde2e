"""Limits hold the rate that they promise; the textbook ones do where their assumptions hold, and their failure is on record."""

import numpy as np
import pytest
from scipy import stats

from jaxft.stats.limits import empirical_limit, jackson_mudholkar_limit, t2_limit
from jaxft.stats.moments import moments
from jaxft.stats.principal_components import principal_components

P, RATE = 128, 0.01


def gaussian(random, n, root):
    return random.normal(size=(n, P)) @ root


@pytest.fixture(scope="module")
def root():
    """Correlated columns: a spectrum that falls off slowly, axes at random."""
    random = np.random.default_rng(7)
    rotation = np.linalg.qr(random.normal(size=(P, P)))[0]
    return np.diag(np.sqrt(0.93 ** np.arange(P))) @ rotation


def alarms(n, root, repeats, seed):
    """Measured false-alarm rates (empirical limit from 400 other rows, Jackson-Mudholkar), mean over ``repeats`` models."""
    random = np.random.default_rng(seed)
    rates = []
    for _ in range(repeats):
        model = principal_components(moments(gaussian(random, n, root)), at_most=(n - 1) // 3)
        empirical = empirical_limit(model.q(gaussian(random, 400, root)), RATE).value
        textbook = jackson_mudholkar_limit(model.eigenvalues[model.retained :], RATE)
        fresh = model.q(gaussian(random, 4000, root))
        rates.append([(fresh > empirical).mean(), (fresh > textbook).mean()])
    return np.mean(rates, axis=0)


@pytest.mark.parametrize(("n", "repeats"), [(20, 20), (50, 20), (200, 20), (100_000, 4)])
def test_the_empirical_limit_keeps_within_twice_its_rate_at_any_size(n, repeats, root):
    empirical, _ = alarms(n, root, repeats, seed=n)
    assert 0.0 < empirical < 2 * RATE


def test_jackson_and_mudholkars_limit_fails_with_few_rows_and_holds_with_many(root):
    few, many = alarms(50, root, 5, seed=1)[1], alarms(100_000, root, 2, seed=2)[1]
    assert few > 0.5
    assert 0.5 * RATE < many < 2 * RATE


def test_jackson_and_mudholkars_limit_of_one_axis_is_chi_square():
    # one axis left out with eigenvalue λ: Q/λ is chi-square with one degree of freedom, which the approximation nearly gives
    assert jackson_mudholkar_limit(np.array([2.0]), 0.05) == pytest.approx(2.0 * stats.chi2.ppf(0.95, 1), rel=0.03)
    equal = jackson_mudholkar_limit(np.ones(40), 0.01)
    assert equal == pytest.approx(stats.chi2.ppf(0.99, 40), rel=1e-3)
    assert jackson_mudholkar_limit(np.zeros(0), 0.01) == 0.0


def test_t2_limit_is_that_of_new_rows():
    random = np.random.default_rng(0)
    k, n, repeats = 3, 15, 4000
    beyond = []
    limit = t2_limit(k, n, 0.05)
    for _ in range(repeats):
        x, new = random.normal(size=(n, k)), random.normal(size=k)
        apart = new - x.mean(axis=0)
        beyond.append(apart @ np.linalg.solve(np.cov(x, rowvar=False), apart) > limit)
    assert np.mean(beyond) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / repeats))
    assert t2_limit(3, 3, 0.05) is None
    assert t2_limit(0, 30, 0.05) is None


def test_the_empirical_limit_is_an_order_statistic():
    values = np.arange(1.0, 200.0)  # 199 values
    assert empirical_limit(values, 0.01).value == 198.0
    assert empirical_limit(values[::-1], 0.05).value == 190.0


def test_with_too_few_values_it_is_the_largest_and_says_its_rate():
    limit = empirical_limit(np.array([3.0, 1.0, 2.0]), 0.01)
    assert (limit.value, limit.rate, limit.n) == (3.0, 0.25, 3)
    with pytest.raises(ValueError, match="expected values"):
        empirical_limit(np.zeros(0), 0.01)


def test_one_large_eigenvalue_among_many_small_ones_has_a_limit_too():
    # h is negative here, and Jackson and Mudholkar's formula has no meaning
    random = np.random.default_rng(3)
    eigenvalues = np.concatenate([[1.0], np.full(639, 0.0042)])
    limit = jackson_mudholkar_limit(eigenvalues, 0.01)
    q = (eigenvalues * random.normal(size=(20_000, 640)) ** 2).sum(axis=1)
    assert (q > limit).mean() == pytest.approx(0.01, abs=0.02)
    assert 0.0 < limit < q.max()
