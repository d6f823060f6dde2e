"""The compiled chunk: how often it compiles, where it stops, and what it leaves of a failure."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_array_equal

from jaxft.finetune.optimizer import hyperparameters
from jaxft.finetune.settings import FinetuneSettings, LossWeights
from jaxft.finetune.step import chunk_of_updates, compiled_chunk, init_state
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


def run(potential, labels, settings, shape=SHAPE):
    """State and records after a chunk of six batches of two."""
    hyper = hyperparameters(settings)
    graphs, targets = take_batches(build_training_set(labels, potential, stress=False), CHOSEN, shape)
    state = init_state(potential.params, settings.method, hyper, 2)
    return compiled_chunk(potential.network, settings.method, hyper, state, graphs, targets)


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


def test_population_of_settings_trains_in_one_program(student, labels):
    # the door for sweeps and committees: vmap over hyperparameters and state gives what single runs give
    many = [FinetuneSettings(updates=6, learning_rate=rate, gradient_clip=None) for rate in (1e-3, 1e-2)]
    graphs, targets = take_batches(build_training_set(labels, student, stress=False), CHOSEN, SHAPE)
    hypers = [hyperparameters(settings) for settings in many]
    states = [init_state(student.params, "full", hyper, 2) for hyper in hypers]
    stacked = [jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees) for trees in (hypers, states)]
    train = jax.vmap(lambda h, s: chunk_of_updates(student.network, "full", h, s, graphs, targets))
    together, _ = jax.jit(train)(*stacked)
    for k, settings in enumerate(many):
        alone, _ = run(student, labels, settings)
        for a, b in zip(jax.tree.leaves(together.params), jax.tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-4, atol=1e-5)
