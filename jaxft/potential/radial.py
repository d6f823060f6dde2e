"""What a network knows of the length of an edge: Bessel functions, a smooth cutoff, and an MLP that makes path weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def bessel_basis(r: Float[Array, "edges"], n_basis: int, cutoff: float) -> Float[Array, "edges n_basis"]:
    """Spherical Bessel functions of order zero, B_n(r) = (2/r_c) sin(nπ r/r_c) / r, in 1/Å².

    r: lengths in Å, greater than zero. The prefactor 2/r_c (not √(2/r_c)) is that of Nequix and NequIP.
    Source: Gasteiger, Groß & Günnemann, ICLR 2020 (arXiv 2003.03123), eq. 7; Batzner et al. (arXiv 2101.03164).
    """
    frequencies = jnp.arange(1, n_basis + 1, dtype=r.dtype) * (jnp.pi / cutoff)
    return (2.0 / cutoff) * jnp.sin(frequencies * r[:, None]) / r[:, None]


def polynomial_cutoff(r: Float[Array, "edges"], cutoff: float, p: float) -> Float[Array, "edges"]:
    """Smooth envelope that is 1 at r = 0 and exactly 0, with two continuous derivatives, at and beyond the cutoff.

    u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) with x = r/r_c.
    Source: Gasteiger, Groß & Günnemann, ICLR 2020 (arXiv 2003.03123), eq. 8.
    """
    x = r / cutoff
    envelope = (
        1.0 - (p + 1.0) * (p + 2.0) / 2.0 * x**p + p * (p + 2.0) * x ** (p + 1.0) - p * (p + 1.0) / 2.0 * x ** (p + 2.0)
    )
    return jnp.where(x < 1.0, envelope, 0.0)


class RadialMLP(nn.Module):
    """Multilayer perceptron without biases: zero in, zero out, so that an edge beyond the cutoff weighs nothing.

    sizes: widths of the hidden layers and of the output. SiLU between layers, none after the last.
    init_gain: variance gain of the hidden layers at initialisation (4 keeps the scale through SiLU).
    """

    sizes: tuple[int, ...]
    init_gain: float = 4.0

    @nn.compact
    def __call__(self, x: Float[Array, "edges n_basis"]) -> Float[Array, "edges weights"]:
        """Return one weight per edge and path channel."""
        last = len(self.sizes) - 1
        for index, size in enumerate(self.sizes):
            gain = 1.0 if index == last else self.init_gain
            std = (gain / x.shape[-1]) ** 0.5
            weight = self.param(f"w{index}", nn.initializers.normal(std), (x.shape[-1], size))
            x = x @ weight.astype(x.dtype)
            if index != last:
                x = jax.nn.silu(x)
        return x
