"""Score 1 on residuals whose mean is known."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import model_test, run

from jaxft.analysis.plateau import on_plateau, plateau_score, residuals
from jaxft.analysis.scores import scores
from jaxft.analysis.settling import Settling, settle


def plateau_of(test):
    return plateau_score(test, [settle(each) for each in test.seeds])


def test_residual_is_model_minus_reference_per_atom():
    made = run(0, mean=0.01, sd=1e-12)
    np.testing.assert_allclose(residuals(made, 52), 0.01, atol=1e-9)


def test_error_bars_cover_the_true_mean():
    inside = 0
    for k in range(60):
        test = model_test(seeds=[run(10 * k + s, mean=0.01, sd=0.003, tau_fs=100.0) for s in range(3)])
        found = plateau_of(test)
        inside += abs(found.residual.value - 0.01) < 1.96 * found.error_sampling
    assert 51 <= inside <= 60  # 95 % of 60 is 57; 51 or fewer have a chance of 1 %


def test_a_relaxation_before_the_plateau_does_not_count():
    seeds = [run(s, mean=0.01, sd=0.001, relax=0.05) for s in range(3)]
    found = plateau_of(model_test(seeds=seeds))
    assert found.residual.value == pytest.approx(0.01, abs=0.001)
    assert found.all_mean > 0.0115


def test_offset_error_stands_beside_and_within():
    test = model_test(seeds=[run(s) for s in range(3)], offset_standard_error=0.004)
    found = plateau_of(test)
    assert found.error_offset == 0.004
    assert found.residual.error == pytest.approx(np.hypot(found.error_sampling, 0.004))


def test_unknown_offset_error_is_said():
    found = plateau_of(model_test(seeds=[run(s) for s in range(3)], offset_standard_error=None))
    assert found.error_sampling is not None
    assert found.residual.error is None
    assert "offset" in found.residual.why


def test_a_seed_that_stops_early_is_kept_to_its_stop():
    long = [run(s, mean=0.01, sd=0.001) for s in range(2)]
    short = run(7, mean=0.5, sd=0.001, stop_fs=1100.0)
    found = plateau_of(model_test(seeds=[*long, short]))
    assert found.residual.value > 0.02
    assert found.median == pytest.approx(0.01, abs=0.002)
    assert found.residual.error > 0.05


def test_a_seed_that_stops_before_its_plateau_still_counts():
    short = run(7, mean=0.5, sd=0.001, stop_fs=300.0)
    assert len(short.times_fs) == 1
    found = plateau_of(model_test(seeds=[run(0), short]))
    alone = plateau_of(model_test(seeds=[run(0)]))
    assert found.residual.n == alone.residual.n + 1


def test_frames_before_the_plateau_count_where_none_comes_later():
    made = run(0, failed=(19,))
    late = Settling(made.times_fs[18], True, 30.0)
    assert on_plateau(made, late).tolist() == [18]
    never = Settling(made.times_fs[19], True, 30.0)
    assert on_plateau(made, never).tolist() == list(range(19))


def test_a_failed_label_leaves_the_other_frames():
    found = plateau_of(model_test(seeds=[run(0, failed=(12, 15))]))
    whole = plateau_of(model_test(seeds=[run(0)]))
    assert found.residual.n == whole.residual.n - 2


def test_all_labels_failed_gives_words_instead_of_numbers():
    found = scores(model_test(seeds=[run(0, n_frames=3, failed=(0, 1, 2))]))
    assert found.plateau.residual.value is None
    assert found.plateau.residual.why == "no labelled frame"
    assert found.plateau.median is None
    assert found.drift.drift.value is None
    assert found.spread.sd.value is None
    assert found.forces.rmse.value is None
    assert found.survival.n_ended == 1


def test_a_run_without_any_frame_is_no_obstacle():
    nothing = run(3, stop_fs=2.0)
    assert len(nothing.times_fs) == len(nothing.dense_times_fs) == 0
    found = scores(model_test(seeds=[run(0), nothing]))
    assert found.plateau.residual.n == scores(model_test(seeds=[run(0)])).plateau.residual.n
    assert found.survival.n_ended == 1


def test_short_tests_have_no_error_bar():
    found = plateau_of(model_test(seeds=[replace(run(0, n_frames=5), seed=0)]))
    assert found.residual.error is None
    assert found.residual.why == "too short for an error bar"
