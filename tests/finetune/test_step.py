"""The compiled chunk: how often it compiles, where it stops, and what it leaves of a failure."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_array_equal

from jaxft.finetune.optimizer import hyperparameters
from jaxft.finetune.settings import FinetuneSettings, LossWeights
from jaxft.finetune.step import COMPILATIONS, Recipe, compiled_chunk, init_state
from jaxft.finetune.trainable import Trainable
from jaxft.finetune.training_set import BatchShape, build_training_set, take_batches
from jaxft.potential.nequip import NequIP, NodeOutputs

TRACES = []


class CountedNequIP(NequIP):
    """A network that notes each time that it is traced."""

    def __call__(self, *args) -> NodeOutputs:
        """Energies and descriptors."""
        TRACES.append(args[0].shape)
        return super().__call__(*args)


STEADY = {"learning_rate": 1e-3, "schedule": "constant", "warmup_fraction": 0.0}
SHAPE = BatchShape(2, 8, 256)
CHOSEN = np.array([[0, 1], [1, 2], [2, 0], [0, 3], [1, 2], [1, 3]])


def run(potential, labels, settings, shape=SHAPE, count=6):
    """State and records after a chunk of six batches of two."""
    hyper = hyperparameters(settings)
    graphs, targets = take_batches(build_training_set(labels, potential, stress=False), CHOSEN, shape)
    state = init_state(potential.params, Trainable(), hyper, 2)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (hyper, state, graphs, targets))
    return jax.tree.map(lambda leaf: leaf[0], compiled_chunk(potential.network, Recipe(), *one, np.int32(count)))


def test_chunk_stops_at_the_wanted_number_of_updates(student, labels):
    state, records = run(student, labels, FinetuneSettings(updates=4))
    assert int(state.update) == 4
    assert int(state.ema.n_updates) == 4
    assert_array_equal(records.loss[4:], 0.0)
    assert (np.asarray(records.loss[:4]) > 0.0).all()


def test_failure_keeps_the_parameters_of_the_update_before(student, labels):
    # the last structure, which comes first in the fourth batch: finite as a label, infinite when squared in float32
    spoiled = [*labels[:3], replace(labels[3], energy=1e25)]
    failed, _ = run(student, spoiled, FinetuneSettings(updates=6, **STEADY))
    good, _ = run(student, labels, FinetuneSettings(updates=3, **STEADY))
    assert bool(failed.failed)
    assert not bool(good.failed)
    assert int(failed.update) == 3
    assert failed.at_fault.tolist() == [False, True]
    for kept, expected in ((failed.params, good.params), (failed.ema, good.ema), (failed.optimizer, good.optimizer)):
        jax.tree.map(assert_array_equal, kept, expected)


def test_another_set_and_other_numbers_compile_nothing_new(student, labels):
    counted = replace(student, network=CountedNequIP(student.network.settings))
    run(counted, labels, FinetuneSettings(updates=6))
    first = len(TRACES)
    assert first > 0
    others = FinetuneSettings(updates=5, weights=LossWeights(5.0, 1.0), gradient_clip=None, weight_decay=0.1, **STEADY)
    run(counted, [*labels, labels[2]], others)
    assert len(TRACES) == first
    run(counted, labels, FinetuneSettings(updates=6), shape=SHAPE._replace(n_edges=320))
    assert len(TRACES) > first


def test_updates_beyond_the_count_are_not_done(student, labels):
    settings = FinetuneSettings(updates=6, **STEADY)
    three, records = run(student, labels, settings, count=3)
    assert int(three.update) == 3
    assert_array_equal(records.loss[3:], 0.0)


def test_population_of_settings_trains_in_one_program(student, labels):
    many = [FinetuneSettings(updates=6, learning_rate=rate, gradient_clip=None) for rate in (1e-3, 1e-2)]
    batches = take_batches(build_training_set(labels, student, stress=False), CHOSEN, SHAPE)
    hypers = [hyperparameters(settings) for settings in many]
    states = [init_state(student.params, Trainable(), hyper, 2) for hyper in hypers]
    stacked = [
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
        for trees in (hypers, states, [batches[0]] * 2, [batches[1]] * 2)
    ]
    COMPILATIONS.clear()
    together, _ = compiled_chunk(student.network, Recipe(), *stacked, np.int32(6))
    assert COMPILATIONS.total() == 1
    # parameters and optimizer state of before are given away, so that they are in memory once
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(stacked[1]))
    for k, settings in enumerate(many):
        alone, _ = run(student, labels, settings)
        for a, b in zip(jax.tree.leaves(together.params), jax.tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-4, atol=1e-5)


def test_updates_beyond_the_count_cost_nothing_with_members_side_by_side(student, labels):
    # under vmap a branch on what differs between members becomes a choice between two results, both of which are computed
    hyper = hyperparameters(FinetuneSettings(updates=6))
    graphs, targets = take_batches(build_training_set(labels, student, stress=False), CHOSEN, SHAPE)
    one = (hyper, init_state(student.params, Trainable(), hyper, 2), graphs, targets)
    two = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 2), one)
    program = jax.make_jaxpr(compiled_chunk, static_argnums=(0, 1))(student.network, Recipe(), *two, np.int32(3))
    assert str(program).count(" cond[") == 1
