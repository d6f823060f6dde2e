"""Errors of a potential on labels, against NumPy on single evaluations."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxft.errors import InputError
from jaxft.finetune.metrics import errors_of, evaluate_set
from jaxft.finetune.predict_set import predict_set
from jaxft.potential.evaluate import Evaluator


@pytest.fixture(scope="module")
def metrics(student, labels):
    """The student judged by the teacher's labels, one of them without a stress."""
    partly = [replace(labels[0], stress=None), *labels[1:]]
    return evaluate_set(student, partly, dtype="float64", batch_size=4)


@pytest.fixture(scope="module")
def said(student, labels):
    """The student's evaluations one by one."""
    evaluate = Evaluator(student, dtype="float64")
    return [evaluate(item.atoms) for item in labels]


def test_energy_errors_are_per_atom_in_mev(metrics, said, labels):
    errors = np.array([1000 * (p.energy - x.energy) / len(x.atoms) for p, x in zip(said, labels, strict=True)])
    assert_allclose(metrics.energy_mean_mev, errors.mean(), rtol=1e-9)
    assert_allclose(metrics.energy_mev.mae, np.abs(errors).mean(), rtol=1e-9)
    assert_allclose(metrics.energy_mev.rmse, np.sqrt((errors**2).mean()), rtol=1e-9)
    assert_allclose(metrics.energy_centered_mev.rmse, errors.std(), rtol=1e-9)


def test_force_errors_overall_and_of_one_element(metrics, said, labels):
    errors = 1000 * np.concatenate([p.forces - x.forces for p, x in zip(said, labels, strict=True)])
    oxygen = np.concatenate([x.atoms.numbers for x in labels]) == 8
    assert_allclose(metrics.forces_mev.mae, np.abs(errors).mean(), rtol=1e-9)
    assert_allclose(metrics.forces_mev.rmse, np.sqrt((errors**2).mean()), rtol=1e-9)
    assert list(metrics.forces_by_element_mev) == ["H", "O"]
    assert_allclose(metrics.forces_by_element_mev["O"].rmse, np.sqrt((errors[oxygen] ** 2).mean()), rtol=1e-9)
    assert metrics.forces_by_element_mev["H"].count + metrics.forces_by_element_mev["O"].count == errors.size


def test_stress_errors_count_only_what_is_labelled(metrics, said, labels):
    errors = 1000 * np.stack([p.stress - x.stress for p, x in zip(said, labels, strict=True)])[1:]
    assert metrics.stress_mev.count == 27
    assert_allclose(metrics.stress_mev.rmse, np.sqrt((errors**2).mean()), rtol=1e-8)


def test_no_labelled_stress_means_no_stress_error(student, labels):
    bare = [replace(item, stress=None) for item in labels]
    assert evaluate_set(student, bare, batch_size=4).stress_mev is None


def test_a_potential_judged_by_its_own_labels_has_no_error(teacher, labels):
    errors = evaluate_set(teacher, labels, dtype="float64", batch_size=4)
    assert errors.energy_mev.rmse < 1e-6
    assert errors.forces_mev.rmse < 1e-6


def test_nan_label_is_refused(student, labels):
    with pytest.raises(InputError, match="structure 1"):
        evaluate_set(student, [labels[0], replace(labels[1], energy=float("nan"))])


@pytest.mark.parametrize("what", ["forces", "stresses"])
def test_a_prediction_that_is_not_finite_is_named(student, labels, what):
    prediction = predict_set(student, [item.atoms for item in labels])
    (prediction.forces if what == "forces" else prediction.stresses)[2][0, 1] = np.inf
    named = [replace(item, where=f"a.xyz frame {k}") for k, item in enumerate(labels)]
    with pytest.raises(InputError, match=r"a\.xyz frame 2: the potential's energy, forces or stress are not finite"):
        errors_of(prediction, named)
