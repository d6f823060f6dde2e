"""A committee against labelled structures: the mean of what its members say, and how far they are apart."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms

from jaxft.finetune.predict_set import SetPrediction
from jaxft.structures.dataset import LabelledStructure
from jaxft.study import evaluation

BOXES = [Atoms("OHH", [[0, 0, 0], [1, 0, 0], [0, 1, k / 10]], cell=[9] * 3, pbc=k > 0) for k in range(3)]


@pytest.fixture
def members(monkeypatch):
    """Three, of which energies, forces and stresses are apart; the first structure has no stress."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(evaluation, "predict_set", lambda which, *_, **__: which.said)
    said = [
        SetPrediction(
            rng.normal(size=3),
            tuple(rng.normal(size=(3, 3, 3))),
            (None, *(s + s.T for s in rng.normal(size=(2, 3, 3)))),
        )
        for _ in range(3)
    ]
    return [SimpleNamespace(atomic_numbers=(1, 8), said=one) for one in said]


def test_a_committee_is_judged_by_the_means_of_energies_forces_and_stresses(members, tmp_path):
    said = [member.said for member in members]
    data = [
        LabelledStructure(
            atoms,
            np.mean([one.energies[k] for one in said]),
            np.mean([one.forces[k] for one in said], axis=0),
            None if k == 0 else np.mean([one.stresses[k] for one in said], axis=0),
        )
        for k, atoms in enumerate(BOXES)
    ]
    judged = evaluation.evaluate_potentials(members, data, "float32")
    metrics = judged.metrics
    assert judged.prediction.stresses[0] is None
    for errors in (metrics.energy_mev, metrics.forces_mev, metrics.stress_mev):
        assert errors.rmse == pytest.approx(0.0, abs=1e-9)
    evaluation.write_evaluation(judged, tmp_path, "")
    written = json.loads((tmp_path / "evaluation.json").read_text())
    vectors = np.stack([np.concatenate(one.forces) for one in said])
    squares = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=(0, 2)) / 2
    assert written["force_vector_spread_mev"] == pytest.approx(1000 * np.sqrt(squares.mean()))
