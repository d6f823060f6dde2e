"""Orders whose prefixes are well spread."""

import numpy as np
import pytest
from scipy.stats import qmc

from jaxft.stats.sequence import interleave, radical_inverse, spread_order


def unevenness(picks, n):
    """Discrepancy in units of what as many random points have (root mean square 1/√(6 n))."""
    return np.sqrt(6 * len(picks)) * qmc.discrepancy((picks[:, None] + 0.5) / n, method="L2-star")


def test_first_numbers_by_hand():
    assert radical_inverse(np.arange(8)).tolist() == [0, 0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]
    np.testing.assert_allclose(radical_inverse(np.arange(5), 3), [0, 1 / 3, 2 / 3, 1 / 9, 4 / 9])


def test_scipy_halton_gives_the_same_numbers():
    halton = qmc.Halton(d=2, scramble=False).random(100)
    np.testing.assert_allclose(radical_inverse(np.arange(100)), halton[:, 0], atol=1e-15)
    np.testing.assert_allclose(radical_inverse(np.arange(100), 3), halton[:, 1], atol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 50, 64])
def test_order_is_a_permutation(n):
    assert sorted(spread_order(n).tolist()) == list(range(n))


def test_order_of_seven_by_hand():
    assert spread_order(7).tolist() == [3, 1, 5, 0, 4, 2, 6]


@pytest.mark.parametrize("n", [50, 333])
def test_every_prefix_is_spread_better_than_a_random_one(n):
    order = spread_order(n)
    for size in (5, 10, 21, 31, 40):
        assert unevenness(order[:size], n) < 0.75


@pytest.mark.parametrize("n_replicas", [1, 2, 3, 6, 10, 30])
def test_interleaving_takes_every_frame_of_every_replica_once(n_replicas):
    picks = interleave(n_replicas, 12)
    assert len({tuple(pick) for pick in picks.tolist()}) == 12 * n_replicas
    assert picks.min(axis=0).tolist() == [0, 0]
    assert picks.max(axis=0).tolist() == [n_replicas - 1, 11]


@pytest.mark.parametrize("n_replicas", [2, 3, 6, 10])
def test_prefixes_are_balanced_over_replicas_and_time(n_replicas):
    n_frames = 120 // n_replicas
    picks = interleave(n_replicas, n_frames)
    for budget in (10, 21, 31, 40, 50):
        per_replica = np.bincount(picks[:budget, 0], minlength=n_replicas)
        assert per_replica.max() - per_replica.min() <= 1
        assert unevenness(picks[:budget, 1], n_frames) < 0.75


@pytest.mark.parametrize("n_replicas", [2, 3, 6, 10])
def test_each_replica_is_met_early_and_late(n_replicas):
    # one sequence dealt out in turns would meet each of an even number of replicas in one half of its run only
    picks = interleave(n_replicas, 20)[: 5 * n_replicas]
    for replica in range(n_replicas):
        frames = picks[picks[:, 0] == replica, 1]
        assert frames.min() < 10 <= frames.max()


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="base"):
        radical_inverse(np.arange(3), 1)
    with pytest.raises(ValueError, match="not negative"):
        radical_inverse(np.array([-1]))
    with pytest.raises(ValueError, match="at least one"):
        interleave(0, 5)
