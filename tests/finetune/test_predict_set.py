"""Predictions of a set in batches are those of its structures one by one."""

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from jaxft.finetune.predict_set import _batches, predict_set
from jaxft.potential.evaluate import Evaluator
from jaxft.structures.generate import random_crystals
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


def test_equal_structures_share_one_shape(boxes):
    structures = [box.copy() for box in boxes for _ in range(10)]
    rng = np.random.default_rng(0)
    for atoms in structures:
        atoms.positions += rng.normal(0, 0.02, atoms.positions.shape)
    same = [a for a in structures if len(a) == 4]
    assert len({shape for _, shape in batches_of(same, 3.0, 3)}) == 1


def batches_of(structures, cutoff, batch_size):
    edges = [len(find_edges(a.positions, a.cell.array, a.pbc, cutoff).senders) for a in structures]
    batches = list(_batches([len(a) for a in structures], edges, batch_size))
    assert sorted(k for members, _ in batches for k in members) == list(range(len(structures)))
    for members, shape in batches:
        assert len(members) <= shape.n_structures
        assert sum(len(structures[k]) for k in members) <= shape.n_atoms
        assert sum(edges[k] for k in members) <= shape.n_edges
    return batches


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_every_structure_is_in_one_batch_that_has_room_for_it(structures, batch_size):
    batches_of(list(structures.values()) * 4, 3.5, batch_size)


def test_sets_of_different_length_share_a_shape():
    """The budgets of a study: each shape is a compilation."""
    assert len({shape for n in (10, 21, 31, 40) for _, shape in _batches([52] * n, [2232] * n, 8)}) == 1


def test_structures_without_edges_share_one_shape():
    assert len({shape for _, shape in batches_of([Atoms("H")] * 100, 3.5, 8)}) == 1


def test_crystals_of_all_sizes_take_few_shapes():
    """Each is a compilation, and a universal network takes minutes for one; with sizes apart by a factor of fifty."""
    crystals = random_crystals(["H", "O", "Cl", "Co", "Cs"], 100, seed=0)
    batches = batches_of(crystals, 6.0, 8)
    assert len({shape for _, shape in batches}) <= 2
    edges = sum(len(find_edges(a.positions, a.cell.array, a.pbc, 6.0).senders) for a in crystals)
    assert edges > 0.5 * sum(shape.n_edges for _, shape in batches)
