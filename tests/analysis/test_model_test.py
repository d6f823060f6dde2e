"""Facts that don't fit together are refused before anything is computed from them."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import model_test, run

from jaxft.analysis.model_test import check_test, label_arrays
from jaxft.analysis.scores import scores
from jaxft.errors import InputError
from jaxft.labels.label import Cost, Failure, Label, Provenance

SOURCE = Provenance("engine", "1", {}, 0.0, 1)
COST = Cost(1.0, 1.0, "a machine")


def test_a_sound_test_passes():
    check_test(model_test(seeds=[run(0, failed=(3,)), run(1, stop_fs=700.0)]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_energies": np.zeros(3)}, "model_energies has shape"),
        ({"model_forces": np.zeros((20, 5, 3))}, "model_forces has shape"),
        ({"failures": {33: "not converged"}}, "failure of frame 33"),
        ({"reference_energies": np.full(20, np.nan)}, "reference_energies is not finite"),
        ({"times_fs": np.linspace(9.0, 1.0, 20)}, "times_fs must ascend"),
        ({"length_fs": 4000.0}, "4000 fs long"),
    ],
)
def test_what_does_not_fit_is_named(change, words):
    with pytest.raises(InputError, match=words):
        scores(model_test(seeds=[replace(run(0), **change)]))


def test_a_test_without_seeds_is_refused():
    with pytest.raises(InputError, match="has no seed"):
        scores(model_test(seeds=[]))


def test_a_training_residual_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="training residual"):
        scores(model_test(seeds=[run(0)], training_residuals=np.array([0.0, np.nan])))


def test_entries_of_the_label_store_become_arrays_with_reasons_only():
    good = Label(-5.0, np.ones((2, 3)), None, SOURCE, COST)
    bad = Failure("not converged", "engine said no in /some/folder", SOURCE, COST)
    energies, forces, failures = label_arrays([good, bad], 2)
    assert energies[0] == -5.0
    assert np.isnan(energies[1])
    assert np.isnan(forces[1]).all()
    assert failures == {1: "not converged"}
