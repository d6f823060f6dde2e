"""The optimizer: optax's own AdamW on what is trained, nothing on what is frozen, and the schedule as written."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxft.finetune.optimizer import hyperparameters, learning_rate_at, make_optimizer
from jaxft.finetune.settings import FinetuneSettings

PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([[0.5, 3.0]])}
ONE = {"a": 1.0, "b": 1.0}
GRADIENTS = [{"a": jnp.array([30.0, -4.0]) * k, "b": jnp.array([[0.1, 7.0]])} for k in (1.0, -0.3, 2.0)]


def trained(settings: FinetuneSettings, labels: dict, dtype: str = "float64", factors: dict | None = None) -> dict:
    optimizer = make_optimizer(hyperparameters(settings, dtype), labels, factors or ONE)
    params, state = PARAMS, optimizer.init(PARAMS)
    for gradient in GRADIENTS:
        steps, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, steps)
    return params


@pytest.mark.parametrize("beta2", [0.95, 0.999])
def test_it_is_adamw_with_clipping(beta2):
    settings = FinetuneSettings(
        learning_rate=0.1,
        weight_decay=0.3,
        gradient_clip=5.0,
        adam_beta2=beta2,
        schedule="constant",
        warmup_fraction=0.0,
    )
    reference = optax.chain(optax.clip_by_global_norm(5.0), optax.adamw(0.1, b2=beta2, weight_decay=0.3))
    params, state = PARAMS, reference.init(PARAMS)
    for gradient in GRADIENTS:
        steps, state = reference.update(gradient, state, params)
        params = optax.apply_updates(params, steps)
    found = trained(settings, {"a": "trained", "b": "trained"})
    jax.tree.map(lambda x, y: assert_allclose(x, y, rtol=1e-12), found, params)


def test_frozen_parameters_neither_move_nor_decay():
    settings = FinetuneSettings(learning_rate=0.1, weight_decay=10.0, warmup_fraction=0.0)
    found = trained(settings, {"a": "trained", "b": "frozen"})
    assert_array_equal(found["b"], PARAMS["b"])
    assert (found["a"] != PARAMS["a"]).all()


def test_frozen_gradients_do_not_count_in_the_clipped_norm():
    settings = FinetuneSettings(learning_rate=0.1, gradient_clip=1.0, warmup_fraction=0.0)
    alone = make_optimizer(hyperparameters(settings, "float64"), {"a": "trained", "b": "frozen"}, ONE)
    results = []
    for scale in (1.0, 1e6):
        state = alone.init(PARAMS)
        for gradient in GRADIENTS:
            steps, state = alone.update({"a": gradient["a"], "b": scale * gradient["b"]}, state, PARAMS)
        results.append(steps["a"])
    assert_array_equal(*results)


def test_without_clipping_the_gradient_passes():
    adam = {"learning_rate": 0.1, "warmup_fraction": 0.0, "schedule": "constant"}
    labels = {"a": "trained", "b": "trained"}
    wide = trained(FinetuneSettings(**adam, gradient_clip=1e9), labels)
    none = trained(FinetuneSettings(**adam, gradient_clip=None), labels)
    jax.tree.map(assert_array_equal, wide, none)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_schedule_is_a_ramp_and_then_a_cosine_or_a_constant(schedule):
    settings = FinetuneSettings(learning_rate=0.2, updates=50, warmup_fraction=0.1, schedule=schedule)
    hyper = hyperparameters(settings, "float64")
    found = [float(learning_rate_at(hyper, jnp.asarray(n))) for n in range(50)]
    n = np.arange(50.0)
    fall = 0.5 * (1 + np.cos(np.pi * np.clip((n - 5) / 45, 0, 1))) if schedule == "cosine" else 1.0
    assert_allclose(found, 0.2 * np.minimum(1.0, (n + 1) / 5) * fall, rtol=1e-12)


def test_updates_keep_the_precision_of_the_parameters():
    single = jax.tree.map(lambda x: x.astype(jnp.float32), PARAMS)
    optimizer = make_optimizer(
        hyperparameters(FinetuneSettings(weight_decay=0.1)), {"a": "trained", "b": "trained"}, ONE
    )
    steps, _ = optimizer.update(single, optimizer.init(single), single)
    assert {x.dtype for x in jax.tree.leaves(steps)} == {jnp.dtype("float32")}


def test_a_factor_scales_the_steps_of_its_parameters_only():
    settings = FinetuneSettings(learning_rate=0.1, weight_decay=0.3, warmup_fraction=0.0, schedule="constant")
    labels = {"a": "trained", "b": "trained"}
    once, half = trained(settings, labels), trained(settings, labels, factors={"a": 1.0, "b": 0.25})
    assert_array_equal(once["a"], half["a"])
    first = make_optimizer(hyperparameters(settings, "float64"), labels, {"a": 1.0, "b": 0.25})
    steps, _ = first.update(GRADIENTS[0], first.init(PARAMS), PARAMS)
    whole = make_optimizer(hyperparameters(settings, "float64"), labels, ONE)
    full, _ = whole.update(GRADIENTS[0], whole.init(PARAMS), PARAMS)
    assert_allclose(steps["b"], 0.25 * full["b"], rtol=1e-14)
