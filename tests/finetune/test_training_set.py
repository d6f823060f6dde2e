"""Batches cut out on the device are those that the host would build."""

from dataclasses import replace

import jax
import numpy as np
from numpy.testing import assert_array_equal

from jaxft.finetune.training_set import BatchShape, build_training_set, take_batch, take_batches
from jaxft.structures.batch import build_graph

SHAPE = BatchShape(3, 16, 320)


def test_batch_is_the_graph_that_the_host_builds(labels, boxes, student):
    data = build_training_set(labels, student, stress=True)
    graph, targets = take_batch(data, np.array([3, 0, 2]), SHAPE)
    expected = build_graph([boxes[k] for k in (3, 0, 2)], (1, 8), student.cutoff, n_atoms=16, n_edges=320)
    jax.tree.map(assert_array_equal, graph, expected)
    assert_array_equal(targets.n_atoms, [3, 2, 4])
    assert_array_equal(targets.forces[3:5], labels[0].forces.astype(np.float32))
    assert_array_equal(targets.forces[9:], 0.0)
    assert_array_equal(targets.stresses[2], labels[2].stress.astype(np.float32))
    np.testing.assert_allclose(targets.volumes, 3.6 * 3.8 * 4.0, rtol=1e-6)


def test_number_outside_the_set_is_a_padding_structure(labels, student):
    data = build_training_set(labels, student, stress=False)
    graph, targets = take_batch(data, np.array([1, 4, 0]), SHAPE)
    whole, _ = take_batch(data, np.array([1, 0]), BatchShape(2, 16, 320))
    assert_array_equal(targets.n_atoms, [3, 0, 2])
    assert_array_equal(graph.structure[:5], [0, 0, 0, 2, 2])
    assert_array_equal(graph.senders, whole.senders)
    assert targets.energies[1] == 0.0
    assert targets.stresses is None


def test_stacked_batches_are_the_single_ones(labels, student):
    data = build_training_set(labels, student, stress=False)
    chosen = np.array([[0, 1, 2], [3, 2, 1]])
    stacked = take_batches(data, chosen, SHAPE)
    for k in range(2):
        one = take_batch(data, chosen[k], SHAPE)
        jax.tree.map(assert_array_equal, jax.tree.map(lambda x, k=k: x[k], stacked), one)


def test_large_total_energies_lose_nothing_in_float32(labels, student):
    # one float32 step at -17 660 eV is 2 meV; the interaction energy must be exact to its own precision
    deep = replace(student, reference_energies=np.array([-4000.0, -17660.0]))
    energies = np.array([-0.1234567, 0.7654321, 1.1111111, -2.2222222])
    shifted = [
        replace(item, energy=deep.reference_energy(item.atoms) + e) for item, e in zip(labels, energies, strict=True)
    ]
    targets = build_training_set(shifted, deep, stress=False).targets
    np.testing.assert_allclose(targets.energies, energies, rtol=1e-7)
