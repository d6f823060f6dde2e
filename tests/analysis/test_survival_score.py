"""Score 5 with ends that were planted."""

from dataclasses import replace

import pytest
from synthetic_runs import model_test, run

from jaxft.analysis.model_test import Stop
from jaxft.analysis.survival_score import end_of, survival_score


def test_runs_that_reach_their_length_are_censored():
    found = survival_score(model_test(seeds=[run(s) for s in range(3)]))
    assert (found.n_ended, found.mean_fs, found.horizon_fs) == (0, 5000.0, 5000.0)
    assert found.mean_error_fs is None
    assert found.upper_rate_per_fs == pytest.approx(3.0 / 15_000.0, rel=0.01)


def test_a_stopped_run_counts_with_its_time():
    found = survival_score(model_test(seeds=[run(0), run(1), run(2, stop_fs=2000.0), run(3)]))
    assert found.n_ended == 1
    assert found.mean_fs == pytest.approx(2000.0 + 0.75 * 3000.0)
    assert found.mean_error_fs > 0
    assert (found.times_fs, found.shares) == ((2000.0,), (0.75,))
    assert [end and end.reason for end in found.ends] == [None, None, "two atoms too close", None]


def test_a_failed_label_is_a_failure_at_its_time():
    failed = run(0, failed=(7, 11))
    assert end_of(failed) == Stop(failed.times_fs[7], "label failed: not converged")
    assert survival_score(model_test(seeds=[failed])).mean_fs == failed.times_fs[7]


def test_whatever_came_first_ends_a_run():
    both = run(0, stop_fs=3000.0, failed=(2,))
    assert end_of(both).time_fs == both.times_fs[2]
    assert end_of(replace(both, stopped=Stop(100.0, "runaway temperature"))).reason == "runaway temperature"


def test_runs_of_different_length_are_compared_up_to_the_shortest():
    found = survival_score(model_test(seeds=[run(0), run(1, length_fs=8000.0)]))
    assert found.horizon_fs == found.mean_fs == 5000.0


def test_all_runs_stopped_in_their_first_step():
    found = survival_score(model_test(seeds=[run(0, stop_fs=0.0), run(1, stop_fs=0.0)]))
    assert (found.n_ended, found.mean_fs, found.upper_rate_per_fs) == (2, 0.0, None)
