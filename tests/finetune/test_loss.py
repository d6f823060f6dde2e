"""The loss: a NumPy oracle, padding without effect, and its gradient against finite differences."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxft.finetune.loss import Targets, loss_terms
from jaxft.finetune.optimizer import hyperparameters
from jaxft.finetune.settings import FinetuneSettings, LossWeights
from jaxft.finetune.step import batch_loss
from jaxft.finetune.training_set import BatchShape, build_training_set, take_batch
from jaxft.potential.derivatives import Prediction
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.potential import cast_parameters


@partial(jax.jit, static_argnums=0)
def loss_and_gradient(network, params, graph, targets, hyper):
    """Compiled, since a network run operation by operation compiles each of them."""
    return jax.value_and_grad(lambda p: batch_loss(network, "squared", p, graph, targets, hyper), has_aux=True)(params)


@pytest.fixture(scope="module")
def double(labels, student):
    """Training set, parameters and hyperparameters in float64."""
    settings = FinetuneSettings(weights=LossWeights(2.0, 3.0, 500.0))
    data = build_training_set(labels, student, stress=True, dtype="float64")
    return data, cast_parameters(student.params, "float64"), hyperparameters(settings, "float64")


def test_loss_is_that_of_numpy(labels, student, double):
    data, params, hyper = double
    batch = take_batch(data, np.arange(4), BatchShape(4, 16, 448))
    (total, terms), _ = loss_and_gradient(student.network, params, *batch, hyper)
    evaluate = Evaluator(student, dtype="float64")
    said = [evaluate(item.atoms) for item in labels]
    energy = np.mean([((p.energy - x.energy) / len(x.atoms)) ** 2 for p, x in zip(said, labels, strict=True)])
    forces = np.mean(np.concatenate([p.forces - x.forces for p, x in zip(said, labels, strict=True)]) ** 2)
    stress = np.mean(np.stack([p.stress - x.stress for p, x in zip(said, labels, strict=True)]) ** 2)
    assert_allclose([terms.energy, terms.forces, terms.stress], [2 * energy, 3 * forces, 500 * stress], rtol=1e-9)
    assert_allclose(total, 2 * energy + 3 * forces + 500 * stress, rtol=1e-9)


def test_padding_does_not_change_loss_or_gradient(student, double):
    data, params, hyper = double
    tight = take_batch(data, np.array([0, 2]), BatchShape(2, 6, int(data.n_edges[0] + data.n_edges[2])))
    padded = take_batch(data, np.array([0, 4, 2, 9]), BatchShape(4, 24, 512))
    (loss, _), gradient = loss_and_gradient(student.network, params, *tight, hyper)
    (padded_loss, _), padded_gradient = loss_and_gradient(student.network, params, *padded, hyper)
    assert_allclose(padded_loss, loss, rtol=1e-12)
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-9, atol=1e-12), padded_gradient, gradient)


def test_gradient_agrees_with_finite_differences(make_potential, double):
    # second derivatives through predict, which differentiates by edge vectors; two layers, so that vectors are passed on
    data, _, hyper = double
    deep = make_potential(2, n_layers=2)
    batch = take_batch(data, np.array([1, 2]), BatchShape(2, 8, 256))
    params = cast_parameters(deep.params, "float64")

    def loss(moved):
        return float(loss_and_gradient(deep.network, moved, *batch, hyper)[0][0])

    _, gradient = loss_and_gradient(deep.network, params, *batch, hyper)
    rng = np.random.default_rng(0)
    leaves, structure = jax.tree.flatten(params)
    for place, slope in enumerate(jax.tree.leaves(gradient)):
        direction = rng.normal(size=leaves[place].shape)
        ends = []
        for step in (1e-5, -1e-5):
            moved = [leaf + step * direction if k == place else leaf for k, leaf in enumerate(leaves)]
            ends.append(loss(jax.tree.unflatten(structure, moved)))
        expected = (ends[0] - ends[1]) / 2e-5
        assert_allclose((slope * direction).sum(), expected, rtol=1e-5, atol=1e-7)


def test_structure_with_infinite_error_is_marked(double):
    data, _, hyper = double
    graph, targets = take_batch(data, np.array([0, 1, 2]), BatchShape(3, 16, 320))
    broken = replace(targets, energies=targets.energies.at[1].set(np.inf))
    prediction = Prediction(jnp.zeros(16), jnp.zeros(3), jnp.zeros((16, 3)), jnp.zeros((3, 3, 3)))
    terms = loss_terms(prediction, broken, graph.structure, "squared", hyper.loss)
    assert terms.finite.tolist() == [True, False, True]
    assert not np.isfinite(terms.total)


def of_kind(kind, weighting, targets, structure, energies, forces, stresses):
    """The loss in plain NumPy: group by group, structure by structure."""
    delta = float(weighting.huber_delta)

    def size(x):
        x = np.asarray(x)
        if kind == "squared":
            return x**2
        if kind == "l1":
            return np.abs(x)
        return np.where(np.abs(x) <= delta, 0.5 * x**2, delta * (np.abs(x) - 0.5 * delta))

    total = 0.0
    for replay, weight in ((False, 1.0), (True, float(weighting.replay))):
        members = [
            k for k in range(len(targets.n_atoms)) if targets.n_atoms[k] > 0 and bool(targets.replay[k]) == replay
        ]
        n_atoms = sum(int(targets.n_atoms[k]) for k in members)
        for k in members:
            c, n = float(targets.weights[k]), int(targets.n_atoms[k])
            de = (energies[k] - float(targets.energies[k])) / n
            df = forces[structure == k] - np.asarray(targets.forces)[structure == k]
            ds = stresses[k] - np.asarray(targets.stresses[k])
            of_forces = np.linalg.norm(df, axis=1).sum() / n_atoms if kind == "l1" else size(df).sum() / (3 * n_atoms)
            total += (
                weight
                * c
                / len(members)
                * (float(weighting.energy) * size(de) + float(weighting.stress) * size(ds).mean())
            )
            total += weight * c * float(weighting.forces) * of_forces
    return total


@pytest.mark.parametrize("kind", ["squared", "huber", "l1"])
def test_kinds_weights_and_replay_are_those_of_numpy(kind, labels, student, double):
    settings = FinetuneSettings(weights=LossWeights(2.0, 3.0, 5.0), huber_delta=0.3, replay_weight=0.7)
    weighting = hyperparameters(settings, "float64").loss
    data = build_training_set(
        labels[:2], student, stress=True, dtype="float64", weights=[0.5, 2.0], replay=labels[2:], base=student
    )
    graph, targets = take_batch(data, np.array([0, 3, 4, 1, 2]), BatchShape(5, 24, 512))
    rng = np.random.default_rng(1)
    energies, forces, virials = rng.normal(size=5), rng.normal(size=(24, 3)), rng.normal(size=(5, 3, 3))
    prediction = Prediction(jnp.zeros(24), jnp.asarray(energies), jnp.asarray(forces), jnp.asarray(virials))
    found = loss_terms(prediction, targets, graph.structure, kind, weighting).total
    stresses = virials / np.asarray(targets.volumes)[:, None, None]
    structure = np.asarray(graph.structure)
    assert targets.replay.tolist() == [False, True, False, False, True]
    assert_allclose(found, of_kind(kind, weighting, targets, structure, energies, forces, stresses), rtol=1e-12)


def test_a_force_that_is_exact_has_no_gradient_under_l1():
    def loss(forces):
        prediction = Prediction(jnp.zeros(2), jnp.zeros(1), forces, jnp.zeros((1, 3, 3)))
        return loss_terms(prediction, targets, jnp.zeros(2, jnp.int32), "l1", weighting).total

    weighting = hyperparameters(FinetuneSettings(), "float64").loss
    targets = Targets(
        jnp.zeros(1), jnp.zeros((2, 3)), None, jnp.ones(1), jnp.array([2]), jnp.ones(1), jnp.zeros(1, dtype=bool)
    )
    forces = jnp.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.4]])
    assert_allclose(jax.grad(loss)(forces), [[0, 0, 0], [3.0, 0.0, 4.0]], rtol=1e-12)
