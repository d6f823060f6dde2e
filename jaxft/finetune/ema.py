"""Exponential moving average of parameters: the weights that a fine-tune hands back.

    a ← p + d_n (a - p),   d_n = min(decay, (1 + n)/(10 + n)),   n = 0, 1, ...

The average starts at the parent's parameters. The ramp lets it forget them quickly (d_0 = 0.1), so no bias correction
is needed and a short fine-tune is not held back. In this form a parameter that never moves stays exactly where it
was, and d = 0 gives p exactly. Source: TensorFlow's ExponentialMovingAverage (num_updates), as in nequix.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxft.pytree import pytree


@pytree
class EmaState:
    """The average and the number of updates that it has seen."""

    average: Any
    n_updates: Int[Array, ""]


def init_ema(params: Any) -> EmaState:
    """An average that has seen nothing: a copy of the parameters."""
    return EmaState(jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), params), jnp.zeros((), jnp.int32))


def update_ema(params: Any, state: EmaState, decay: Float[Array, ""]) -> EmaState:
    """The average after one more update. A decay of 0 gives the parameters themselves."""
    count = state.n_updates.astype(decay.dtype)
    keep = jnp.minimum(decay, (1.0 + count) / (10.0 + count))
    average = jax.tree.map(lambda a, p: p + keep.astype(p.dtype) * (a - p), state.average, params)
    return EmaState(average, state.n_updates + 1)
