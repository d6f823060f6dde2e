"""Error bands from blocks, against processes whose error is known."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import lfilter

from jaxft.analysis.block_error import BLOCKS, block_edges, block_mean


def blocks_of(series):
    edges = block_edges(len(series))
    return np.array([series[a:b].mean(axis=0) for a, b in pairwise(edges)])


def test_blocks_cover_all_frames_and_are_equally_long():
    edges = block_edges(1007)
    assert (edges[0], edges[-1], len(edges)) == (0, 1007, BLOCKS + 1)
    assert set(np.diff(edges)) <= {100, 101}
    assert block_edges(BLOCKS - 1).tolist() == [0, BLOCKS - 1]


def test_the_error_of_white_noise_is_sd_over_root_n():
    noise = np.random.default_rng(0).normal(size=(4000, 500))
    mean, error = block_mean([blocks_of(noise)], [4000])
    np.testing.assert_allclose(mean, noise.mean(axis=0), atol=1e-12)
    # the larger of two noisy estimates is a little too large
    assert 1.0 < np.sqrt(np.mean(error**2)) * np.sqrt(4000) < 1.3


def test_the_error_of_a_correlated_series_covers_its_mean():
    noise = np.random.default_rng(1).normal(size=(6000, 300))
    series = lfilter([1.0], [1.0, -0.95], noise, axis=0)[1000:]
    mean, error = block_mean([blocks_of(series)], [5000])
    assert 0.5 < np.mean(np.abs(mean) < error) < 0.9  # 68 % for the exact error


def test_runs_that_differ_widen_the_band():
    rng = np.random.default_rng(2)
    runs = [shift + rng.normal(size=(1000, 1)) for shift in (-1.0, 0.0, 1.0)]
    _, error = block_mean([blocks_of(run) for run in runs], [1000] * 3)
    assert error[0] == pytest.approx(1.0 / np.sqrt(3), rel=0.1)


def test_longer_runs_weigh_more():
    runs = [np.full((100, 1), 1.0), np.full((300, 1), 5.0)]
    mean, error = block_mean([blocks_of(run) for run in runs], [100, 300])
    assert mean[0] == pytest.approx(4.0)
    assert error[0] == 0.0  # two runs are too few to tell their spread


def test_too_few_frames_give_a_mean_and_no_error():
    mean, error = block_mean([blocks_of(np.arange(5.0)[:, None])], [5])
    assert (mean[0], error) == (2.0, None)
