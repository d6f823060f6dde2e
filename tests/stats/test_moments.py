"""Moments chunk by chunk are those of all rows at once."""

import numpy as np
import pytest

from jaxft.stats.moments import merge, moments


def rows(n, p=5, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, p)) @ random.normal(size=(p, p)) + 1e4


def test_covariance_is_numpys():
    x = rows(40)
    found = moments(x)
    np.testing.assert_allclose(found.covariance, np.cov(x, rowvar=False), rtol=1e-10)
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize("cuts", [(1, 2, 3), (10, 20), (39,)])
def test_chunks_of_any_size_give_the_same(cuts):
    x = rows(40)
    parts = [moments(part) for part in np.split(x, cuts)]
    together = parts[0]
    for part in parts[1:]:
        together = merge(together, part)
    assert together.count == 40
    np.testing.assert_allclose(together.covariance, np.cov(x, rowvar=False), rtol=1e-9)


def test_weighing_gives_each_set_its_share():
    small, large = rows(10, seed=1), rows(1000, seed=2) + 3.0
    both = merge(moments(small).weighing(1.0), moments(large).weighing(1.0))
    np.testing.assert_allclose(both.mean, (small.mean(axis=0) + large.mean(axis=0)) / 2, rtol=1e-12)
    weights = np.concatenate([np.full(10, 1 / 10), np.full(1000, 1 / 1000)])
    expected = np.cov(np.vstack([small, large]), rowvar=False, aweights=weights, ddof=0) * 1010 / 1009
    np.testing.assert_allclose(both.covariance, expected, rtol=1e-8)


def test_no_rows_and_bad_rows_are_refused():
    with pytest.raises(ValueError, match="shape"):
        moments(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="not finite"):
        moments(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="at least 2 rows"):
        _ = moments(np.ones((1, 3))).covariance
