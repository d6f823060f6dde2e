"""Costs of this run, whatever else a store holds."""

import numpy as np
import pytest
from ase import Atoms

from jaxft.analysis.costs import label_costs, seconds_by_kind, steps_of
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.labels.label import Cost, Label, Provenance
from jaxft.labels.store import open_store
from jaxft.strategies.stretch import Stretch

ABOUT = Provenance("made up", "1", {}, 0.0, None)


@pytest.fixture
def store(tmp_path):
    """Labels of energy -1, -2, -3 that took 1, 2 and 3 s of CPU; that of -3 is not timed."""
    with open_store(tmp_path / "labels.db") as opened:
        for k in (1, 2, 3):
            cost = Cost(10.0 * k, float(k), "here") if k < 3 else Cost(None, None, None)
            atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.7 + 0.01 * k]])
            opened.put(f"key {k}", "settings", atoms, Label(-float(k), np.zeros((2, 3)), None, ABOUT, cost))
        yield opened


def test_only_the_labels_that_were_asked_for_count_and_repeats_count_once(store):
    (training,) = label_costs(store, {"training": [-1.0, -1.0]})
    assert (training.labels, training.timed, training.cpu_s, training.wall_s) == (1, 1, 1.0, 10.0)


def test_purposes_are_apart_and_unknown_times_are_counted(store):
    training, evaluation = label_costs(store, {"training": [-1.0, -2.0], "evaluation": [-3.0, -4.0]})
    assert (training.labels, training.cpu_s) == (2, 3.0)
    assert (evaluation.labels, evaluation.timed, evaluation.cpu_s) == (2, 0, 0.0)


def test_steps_count_equilibration_and_end_where_a_run_stopped():
    from synthetic_records import study

    from jaxft.analysis.residuals import _result

    models = tuple(_result(test) for test in study()[:2])
    assert isinstance(models[0], ModelResult)
    stretch = Stretch("naive", 0, 500.0, 1000.0, None, None, None)
    steps = steps_of(Residuals(False, (), {}, models, (stretch,)), 0.5, 1000.0)
    assert steps.sampling == 3000
    # six runs of 5 ps, one of which stopped at 3.1 ps, each after 1 ps
    assert steps.tests == (6 * 1000 + 5 * 5000 + 3100) * 2


def test_seconds_add_up_by_kind():
    assert seconds_by_kind([("a", 1.0), ("b", 2.0), ("a", 3.0)]) == {"a": 4.0, "b": 2.0}
