"""What a MACE network knows of the length of an edge: its radial basis, and the two kinds of perceptron that make path weights.

They differ from those of ``radial.py`` in their normalisation, which trained weights depend on.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SILU_GAIN = 1.6791767923989418
"""1/√E[silu(z)²] as e3nn for torch estimates it from 10⁶ fixed draws (the integral gives 1.676532); weights depend on it."""

SIGMOID_GAIN = 1.8467055342154763
"""The same for the logistic function."""

LAYER_NORM_EPSILON = 1e-5


def mace_bessel_basis(
    r: Float[Array, "edges"], frequencies: tuple[float, ...], prefactor: float
) -> Float[Array, "edges n_basis"]:
    """prefactor · sin(w_n r) / r; r > 0. Usually w_n = nπ/r_c in 1/Å and prefactor √(2/r_c), but they may have been trained.

    Source: Gasteiger, Groß & Günnemann, ICLR 2020 (arXiv 2003.03123), eq. 7.
    """
    return prefactor * jnp.sin(jnp.asarray(frequencies, dtype=r.dtype) * r[:, None]) / r[:, None]


class NormalizedMLP(nn.Module):
    """Perceptron without biases, x → g·silu(x W / √fan-in), the last layer without silu (e3nn's FullyConnectedNet).

    Zero in, zero out, so that an edge beyond the cutoff weighs nothing.
    """

    sizes: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "edges inputs"]) -> Float[Array, "edges outputs"]:
        """Return one number per edge and output."""
        for index, size in enumerate(self.sizes):
            weight = self.param(f"w{index}", nn.initializers.normal(1.0), (x.shape[-1], size))
            x = x @ (weight.astype(x.dtype) / x.shape[-1] ** 0.5)
            if index != len(self.sizes) - 1:
                x = SILU_GAIN * jax.nn.silu(x)
        return x


class LayerNormMLP(nn.Module):
    """Perceptron with biases, x → silu(layernorm(x W + b)), the last layer linear. It does not vanish beyond the cutoff."""

    sizes: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "edges inputs"]) -> Float[Array, "edges outputs"]:
        """Return one number per edge and output."""
        for index, size in enumerate(self.sizes):
            weight = self.param(f"w{index}", nn.initializers.lecun_normal(), (x.shape[-1], size))
            bias = self.param(f"b{index}", nn.initializers.zeros, (size,))
            x = x @ weight.astype(x.dtype) + bias.astype(x.dtype)
            if index != len(self.sizes) - 1:
                scale = self.param(f"norm_scale{index}", nn.initializers.ones, (size,))
                shift = self.param(f"norm_shift{index}", nn.initializers.zeros, (size,))
                centred = x - x.mean(axis=-1, keepdims=True)
                variance = (centred**2).mean(axis=-1, keepdims=True)
                x = centred / jnp.sqrt(variance + LAYER_NORM_EPSILON) * scale.astype(x.dtype) + shift.astype(x.dtype)
                x = jax.nn.silu(x)
        return x
