"""Predictions of a set in batches are those of its structures one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxft.finetune.predict_set import _buckets, predict_set
from jaxft.potential.evaluate import Evaluator
from jaxft.structures.neighbors import find_edges


@pytest.mark.parametrize("batch_size", [2, 100])
def test_batched_is_one_by_one(student, structures, batch_size):
    atoms = [structures[kind] for kind in ("isolated atom", "periodic", "molecule", "slab", "left-handed")]
    said = predict_set(student, atoms, dtype="float64", batch_size=batch_size)
    evaluate = Evaluator(student, dtype="float64")
    for k, one in enumerate(map(evaluate, atoms)):
        assert_allclose(said.energies[k], one.energy, rtol=1e-12)
        assert_allclose(said.forces[k], one.forces, atol=1e-10)
        if one.stress is None:
            assert said.stresses[k] is None
        else:
            assert_allclose(said.stresses[k], one.stress, atol=1e-12)


def test_equal_structures_share_one_bucket(boxes):
    structures = [box for box in boxes for _ in range(10)]
    rng = np.random.default_rng(0)
    for atoms in structures:
        atoms.positions += rng.normal(0, 0.02, atoms.positions.shape)
    same = [a for a in structures if len(a) == 4]
    edges = [find_edges(a.positions, a.cell.array, a.pbc, 3.0) for a in same]
    assert len({(atoms, edges) for _, atoms, edges in _buckets(same, edges, 3)}) == 1


def test_every_structure_is_in_one_batch_and_buckets_are_few(structures):
    atoms = list(structures.values()) * 4
    edges = [find_edges(a.positions, a.cell.array, a.pbc, 3.5) for a in atoms]
    batches = list(_buckets(atoms, edges, 5))
    assert sorted(k for members, _, _ in batches for k in members) == list(range(len(atoms)))
    assert all(sum(len(atoms[k]) for k in members) <= room for members, room, _ in batches)
    assert all(sum(len(edges[k].senders) for k in members) <= room for members, _, room in batches)
    assert len({batch[1:] for batch in batches}) < len(batches)
