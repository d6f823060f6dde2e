"""The moving average of parameters against NumPy."""

import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from jaxft.finetune.ema import init_ema, update_ema


def test_average_follows_the_formula():
    rng = np.random.default_rng(0)
    path = rng.normal(size=(300, 3))
    state = init_ema({"w": jnp.asarray(path[0])})
    expected = path[0]
    for n, params in enumerate(path[1:]):
        state = update_ema({"w": jnp.asarray(params)}, state, jnp.asarray(0.95))
        keep = min(0.95, (1 + n) / (10 + n))
        expected = keep * expected + (1 - keep) * params
        assert_allclose(state.average["w"], expected, rtol=1e-10)
    assert int(state.n_updates) == 299


def test_parameters_that_never_move_stay_exactly():
    params = {"w": jnp.asarray(np.random.default_rng(1).normal(size=100), jnp.float32)}
    state = init_ema(params)
    for _ in range(50):
        state = update_ema(params, state, jnp.asarray(0.99, jnp.float32))
    assert_array_equal(state.average["w"], params["w"])


def test_decay_of_zero_keeps_the_last_parameters():
    state = init_ema({"w": jnp.ones(3, jnp.float32)})
    last = {"w": jnp.asarray([0.1, 0.2, 0.3], jnp.float32)}
    assert_array_equal(update_ema(last, state, jnp.asarray(0.0, jnp.float32)).average["w"], last["w"])
