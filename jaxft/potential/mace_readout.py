"""Readouts of a MACE network: the atomic energy as a sum of what is read from the scalars after each layer.

A model of several heads shares everything but these; of them only the chosen head is kept. A non-linear readout is normalised
by the hidden channels of all heads together, so their number is remembered.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "abs": jnp.abs,
    "none": lambda x: x,
}


class MACEReadout(nn.Module):
    """Σ over layers of

    ``linear``           x w / √channels
    ``non-linear``       g·f(x W₁ / √channels) w₂ / √(width · heads)
    ``non-linear-bias``  with one more hidden layer, h → g·f(h W / √(width · heads) + b), and a bias at the end
    """

    width: int
    activation: str
    gain: float
    heads: int

    @nn.compact
    def __call__(self, scalars: dict[str, tuple[str, Float[Array, "nodes channels"]]]) -> Float[Array, "nodes"]:
        """Energy in units of the scale; ``scalars``: name of the layer → (kind of readout, scalars after it)."""
        return jnp.sum(jnp.stack([self._read(name, kind, x) for name, (kind, x) in scalars.items()]), axis=0)

    def _read(self, name: str, kind: str, x: Float[Array, "nodes channels"]) -> Float[Array, "nodes"]:
        def weight(label: str, shape: tuple[int, ...]) -> Array:
            return self.param(f"{name}_{label}", nn.initializers.normal(1.0), shape).astype(x.dtype)

        def bias(label: str, shape: tuple[int, ...]) -> Array:
            return self.param(f"{name}_{label}", nn.initializers.zeros, shape).astype(x.dtype)

        fan_in = x.shape[-1] ** 0.5
        if kind == "linear":
            return x @ weight("weight", (x.shape[-1],)) / fan_in
        f = ACTIVATIONS[self.activation]
        fan_hidden = (self.width * self.heads) ** 0.5
        hidden = self.gain * f(x @ weight("weight_1", (x.shape[-1], self.width)) / fan_in)
        if kind == "non-linear":
            return hidden @ weight("weight_2", (self.width,)) / fan_hidden
        assert kind == "non-linear-bias", kind
        hidden = hidden @ weight("weight_mid", (self.width, self.width)) / fan_hidden
        hidden = self.gain * f(hidden + bias("bias_mid", (self.width,)))
        return hidden @ weight("weight_2", (self.width,)) / fan_hidden + bias("bias_2", ())
