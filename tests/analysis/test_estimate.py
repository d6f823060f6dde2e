"""The mean over seeds and its error, against NumPy."""

import numpy as np
import pytest

from jaxft.analysis.estimate import TOO_SHORT_WORDS, pool


@pytest.fixture
def groups():
    """Three seeds of equal length."""
    rng = np.random.default_rng(4)
    return [rng.normal(k, 1.0, 20) for k in (0.0, 0.1, 0.2)]


def test_mean_and_run_error(groups):
    values = np.concatenate(groups)
    pooled = pool(groups, [12.0, 10.0, 14.0])
    assert pooled.mean == pytest.approx(values.mean())
    assert pooled.error_run == pytest.approx(values.std(ddof=1) / 6.0)
    assert (pooled.n, pooled.n_effective) == (60, 36.0)


def test_seed_error_of_equal_seeds_is_that_of_their_means(groups):
    means = [group.mean() for group in groups]
    assert pool(groups, [20, 20, 20]).error_seeds == pytest.approx(np.std(means, ddof=1) / np.sqrt(3))


def test_the_larger_error_counts(groups):
    apart = [groups[0], groups[1] + 30, groups[2] + 60]
    pooled = pool(apart, [20, 20, 20])
    assert pooled.error_seeds > 2 * pooled.error_run
    assert pooled.error == pooled.error_seeds
    close = pool([group - group.mean() for group in groups], [20, 20, 20])
    assert close.error == close.error_run


def test_two_seeds_say_nothing_of_the_spread_between_seeds(groups):
    assert pool(groups[:2], [20, 20]).error_seeds is None


def test_below_ten_effective_frames_there_is_no_error_but_words(groups):
    pooled = pool(groups, [3.0, 3.0, 3.9])
    assert pooled.error is None
    assert pooled.why == TOO_SHORT_WORDS
    assert pooled.estimate().value is not None
    assert pool(groups, [3.0, 3.0, 4.0]).error is not None


def test_a_seed_with_one_frame_is_kept(groups):
    pooled = pool([*groups, np.array([100.0])], [20, 20, 20, 1])
    assert pooled.mean == pytest.approx(np.append(np.concatenate(groups), 100.0).mean())


def test_no_frames_no_mean():
    pooled = pool([np.zeros(0), np.zeros(0)], [0.0, 0.0])
    assert pooled.estimate().value is None
    assert pooled.why == "no labelled frame"
