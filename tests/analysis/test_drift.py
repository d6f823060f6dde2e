"""Score 2 with a drift that was planted."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import model_test, run

from jaxft.analysis.scores import scores


def drift_of(test):
    return scores(test).drift


@pytest.fixture
def planted():
    """Residuals of 2 meV/atom in training and 9 in the test."""
    return model_test(seeds=[run(s, mean=0.009, sd=0.001) for s in range(3)], training_mean=0.002, budget=20)


def test_the_planted_drift_is_found_within_its_error(planted):
    found = drift_of(planted)
    assert found.drift.error < 0.0005
    assert abs(found.drift.value - 0.007) < 3 * found.drift.error


def test_error_joins_test_and_training(planted):
    found = scores(planted)
    training = np.std(planted.training_residuals, ddof=1) / np.sqrt(20)
    assert found.drift.training_error == pytest.approx(training)
    assert found.drift.drift.error == pytest.approx(np.hypot(found.plateau.error_sampling, training))


def test_a_constant_between_the_methods_changes_nothing(planted):
    shifted = replace(
        planted,
        training_residuals=planted.training_residuals + 0.05,
        seeds=tuple(replace(s, reference_energies=s.reference_energies - 52 * 0.05) for s in planted.seeds),
        offset_standard_error=0.1,
    )
    before, after = drift_of(planted).drift, drift_of(shifted).drift
    assert (after.value, after.error) == (pytest.approx(before.value), pytest.approx(before.error))


def test_dependent_training_frames_count_less(planted):
    fewer = drift_of(replace(planted, training_n_effective=5.0)).training_error
    assert fewer == pytest.approx(2 * drift_of(planted).training_error)


def test_one_training_label_gives_a_drift_without_an_error(planted):
    found = drift_of(replace(planted, training_residuals=np.array([0.002])))
    assert found.drift.value == pytest.approx(0.007, abs=0.001)
    assert found.drift.error is None
    assert found.drift.why == "too few training labels for an error bar"


def test_without_training_residuals_there_is_no_drift(planted):
    found = drift_of(replace(planted, training_residuals=np.zeros(0)))
    assert found.drift.value is None
    assert found.drift.why == "no residuals on a training set"
