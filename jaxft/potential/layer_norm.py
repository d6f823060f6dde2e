"""Equivariant layer norm: one factor per node, from the root mean square over all its irreps."""

import e3nn_jax as e3nn
import flax.linen as nn
from jaxtyping import Array, Float

from jaxft.potential.features import Features


class EquivariantRMSNorm(nn.Module):
    """x_l → γ_l x_l / √(s + ε) with s = (1/L) Σ_l (1/(2l+1)) mean_m Σ_c x²_lmc, and γ one learned number per channel.

    L is the number of irreps. The sum over channels c is not divided by their number: this is the norm of Nequix 1
    (its degree-balanced variant without centering), kept exactly, since trained weights depend on it.
    Source: Liao et al., EquiformerV2 (arXiv 2306.12059), section 4.3; nequix, ``layer_norm.py``.
    """

    irreps: e3nn.Irreps
    epsilon: float = 1e-12

    @nn.compact
    def __call__(self, features: Features) -> Features:
        """Normalise each node's features."""
        mean_square: Float[Array, "nodes 1 1"] = sum(
            (x**2).sum(axis=-1, keepdims=True).mean(axis=-2, keepdims=True) / (ir.dim * len(self.irreps))
            for x, (_, ir) in zip(features, self.irreps, strict=True)
        )
        factor = (mean_square + self.epsilon) ** -0.5
        return tuple(
            x * factor * self.param(str(ir), nn.initializers.ones, (mul,)).astype(x.dtype)
            for x, (mul, ir) in zip(features, self.irreps, strict=True)
        )
