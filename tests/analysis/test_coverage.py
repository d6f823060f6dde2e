"""Coverage on sets whose overlap is known."""

import numpy as np
import pytest

from jaxft.analysis.coverage import Outside, coverage_space
from jaxft.analysis.environments import Environments
from jaxft.errors import InputError


def cloud(frames, centre, seed, atoms=10, features=6):
    """Atoms of two elements around a centre; the second element is displaced."""
    random = np.random.default_rng(seed)
    numbers = np.tile(np.repeat([1, 8], atoms // 2), frames)
    values = random.normal(size=(frames * atoms, features)) @ np.diag([3, 2, 1, 0.3, 0.2, 0.1]) + centre
    values[numbers == 8] += 20.0
    return Environments(numbers, np.repeat(np.arange(frames), atoms), values, frames)


@pytest.fixture(scope="module")
def two():
    a, b = cloud(50, 0.0, 0), cloud(50, 0.0, 1)
    return a, b, coverage_space([a, b], [None, None])


def share(shares, element="all"):
    return next(s for s in shares if s.element == element)


def test_a_set_from_the_same_source_is_as_far_out_as_the_null(two):
    a, _, space = two
    found = share(Outside(space, "a", a).shares("fresh", cloud(50, 0.0, 2)))
    assert found.share == pytest.approx(0.05, abs=0.04)
    assert found.null == pytest.approx(found.share, abs=0.05)
    assert found.atoms == 500


def test_a_set_is_never_outside_itself(two):
    a, _, space = two
    found = share(Outside(space, "a", a).shares("a", a))
    assert found.share == 0.0
    assert found.cells == 0.0


def test_what_lies_elsewhere_is_outside(two):
    a, _, space = two
    far = cloud(20, np.array([40.0, 0, 0, 0, 0, 0]), 3)
    found = share(Outside(space, "a", a).shares("far", far))
    assert (found.share, found.cells) == (1.0, 1.0)


def test_one_element_alone_can_be_outside(two):
    a, _, space = two
    half = cloud(20, 0.0, 4)
    half.values[half.numbers == 8] += np.array([40.0, 0, 0, 0, 0, 0])
    shares = Outside(space, "a", a).shares("half", half)
    assert share(shares, "O").share == 1.0
    assert share(shares, "H").share < 0.15
    assert share(shares).share == pytest.approx((1.0 + share(shares, "H").share) / 2)


def test_sets_weigh_the_same_whatever_their_size():
    small, large = cloud(10, 0.0, 5), cloud(200, 5.0, 6)
    space = coverage_space([small, large], [None, None])
    middle = (small.values.mean(axis=0) + large.values.mean(axis=0)) / 2
    np.testing.assert_allclose(space.pooled.mean, middle, rtol=1e-9)


def test_the_null_is_taken_between_trajectories_where_there_are_several():
    # two trajectories that visited different places: halves by trajectory differ, halves by time would not
    one, other = cloud(10, 0.0, 7), cloud(10, np.array([40.0, 0, 0, 0, 0, 0]), 8)
    from jaxft.analysis.environments import join

    both = join([one, other])
    order = np.argsort(both.frame % 10, kind="stable")
    woven = Environments(both.numbers[order], np.repeat(np.arange(20), 10), both.values[order], 20)
    trajectory = np.tile([0, 1], 10)
    a, b = cloud(50, 0.0, 9), cloud(50, np.array([40.0, 0, 0, 0, 0, 0]), 10)
    space = coverage_space([a, b], [None, None])
    by_trajectory = share(Outside(space, "both", woven, trajectory).shares("a", a))
    by_time = share(Outside(space, "both", woven).shares("a", a))
    assert by_trajectory.null > 0.9 > by_time.null


def test_an_element_that_the_sets_lack_does_not_count(two):
    a, _, space = two
    other = cloud(5, 0.0, 11)
    numbers = np.where(other.numbers == 8, 17, other.numbers)
    found = share(Outside(space, "a", a).shares("other", Environments(numbers, other.frame, other.values, 5)))
    assert found.atoms == 25


def test_sets_in_which_nothing_varies_are_refused():
    flat = Environments(np.array([1, 1]), np.array([0, 1]), np.ones((2, 4)), 2)
    with pytest.raises(InputError, match="too small or too alike"):
        coverage_space([flat], [None])
