"""Where the plateau of a run begins, and how many independent frames follow."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import run

from jaxft.analysis.settling import effective_frames, settle


def test_a_stationary_run_settles_at_once():
    starts = [settle(run(seed)).start_fs for seed in range(10)]
    assert np.median(starts) < 500.0


def test_a_relaxation_is_left_out():
    found = settle(run(1, relax=0.02, relax_fs=300.0))
    assert found.settled
    assert 600.0 < found.start_fs <= 2500.0


def test_tau_is_that_of_the_energy():
    taus = [settle(run(seed, tau_fs=40.0, length_fs=20_000.0)).tau_fs for seed in range(5)]
    assert np.mean(taus) == pytest.approx(40.0, rel=0.2)


def test_a_run_that_never_stops_drifting_is_marked_and_loses_its_error_bar():
    drifting = run(2)
    drifting = replace(drifting, dense_energies=drifting.dense_energies - 1e-5 * drifting.dense_times_fs**2)
    found = settle(drifting)
    assert not found.settled
    assert effective_frames(np.random.default_rng(0).normal(size=20), drifting.times_fs, found.tau_fs) < 10


def test_a_catastrophe_at_the_end_leaves_half_of_the_run():
    lost = run(2)
    energies = lost.dense_energies.copy()
    energies[600:] -= 1000.0
    found = settle(replace(lost, dense_energies=energies))
    assert not found.settled
    assert found.start_fs <= 2505.0


def test_a_run_of_a_few_samples_has_no_memory_time():
    short = run(0)
    short = replace(short, dense_times_fs=short.dense_times_fs[:5], dense_energies=short.dense_energies[:5])
    assert settle(short).tau_fs is None
    assert not settle(short).settled


def test_frames_far_apart_count_each_and_frames_close_together_do_not():
    values, times = np.random.default_rng(0).normal(size=400), 100.0 * np.arange(400)
    assert 300 < effective_frames(values, times, tau_fs=5.0) <= 400
    assert effective_frames(values, times, tau_fs=400.0) == pytest.approx(400 * np.tanh(100 / 800))


def test_a_memory_of_the_residual_itself_lowers_the_count():
    times = 100.0 * np.arange(40)
    assert effective_frames(np.linspace(0, 1, 40), times, tau_fs=5.0) < 5


def test_one_frame_counts_one_and_none_counts_none():
    assert effective_frames(np.array([0.1]), np.array([5.0]), 10.0) == 1.0
    assert effective_frames(np.zeros(0), np.zeros(0), 10.0) == 0.0
