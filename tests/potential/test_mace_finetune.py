"""An imported MACE model is fine-tuned as any other: it learns, it comes back from disk, and ``readout`` is its readouts."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms
from mace_models import model_file
from numpy.testing import assert_array_equal

import jaxft
from jaxft.finetune.fit import fit
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.predict_set import predict_set
from jaxft.finetune.settings import FinetuneSettings
from jaxft.structures.dataset import LabelledStructure

SETTINGS = FinetuneSettings(updates=40, batch_size=2, learning_rate=5e-3, seed=1)


@pytest.fixture(scope="module")
def base():
    return jaxft.load(model_file("agnostic"))


@pytest.fixture(scope="module")
def labels():
    """Two distorted waters, labelled by a model of other weights."""
    teacher = jaxft.load(model_file("density"), head="pbe")
    rng = np.random.default_rng(0)
    water = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    structures = [
        Atoms("OHH", positions=water + 0.1 * rng.normal(size=(3, 3)), cell=[3.6, 3.8, 4.0], pbc=True) for _ in range(2)
    ]
    said = predict_set(teacher, structures, batch_size=2)
    return [LabelledStructure(a, float(e), f) for a, e, f in zip(structures, said.energies, said.forces, strict=True)]


@pytest.mark.parametrize("method", ["full", "readout"])
def test_a_fine_tune_learns_and_comes_back_from_disk(base, labels, tmp_path, method):
    result = fit(base, labels, replace(SETTINGS, method=method))
    assert result.failure is None
    assert evaluate_set(result.potential, labels).forces_mev.rmse < 0.9 * evaluate_set(base, labels).forces_mev.rmse
    result.potential.save(tmp_path / "model")
    again = jaxft.load(tmp_path / "model")
    structures = [label.atoms for label in labels]
    a, b = predict_set(result.potential, structures), predict_set(again, structures)
    assert_array_equal(a.energies, b.energies)
    jax.tree.map(assert_array_equal, a.forces, b.forces)
    changed = {
        name
        for name, part in result.potential.params["params"].items()
        if not jax.tree.all(
            jax.tree.map(lambda x, y: np.array_equal(x, np.float32(y)), part, base.params["params"][name])
        )
    }
    everything = {"embedding", "layer_0", "layer_1", "readout"}
    assert changed == (everything if method == "full" else {"readout"})
