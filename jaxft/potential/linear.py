"""Equivariant linear maps: by Schur's lemma, one matrix per irrep that mixes channels and never components."""

import e3nn_jax as e3nn
import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxft.potential.features import Features


class EquivariantLinear(nn.Module):
    """y_l = x_l W_l / √(channels in), for each output irrep l; an irrep that the input lacks comes out as zeros.

    The weights are drawn with unit variance and the scale stands outside them (e3nn's ``gradient_normalization="path"``),
    so that one learning rate suits layers of any width. With ``n_species`` each species has weights of its own.
    Features are arrays (nodes, 2l+1, channels); parameters are named after their irrep (``0e``, ``1o``).
    """

    irreps_in: e3nn.Irreps
    irreps_out: e3nn.Irreps
    n_species: int | None = None

    @nn.compact
    def __call__(self, features: Features, species: Int[Array, "nodes"] | None = None) -> Features:
        """Apply the map; ``species`` selects the weights where they are per species."""
        inputs = {ir: x for x, (_, ir) in zip(features, self.irreps_in, strict=True)}
        outputs = []
        for mul, ir in self.irreps_out:
            if ir not in inputs:
                x = features[0]
                outputs.append(jnp.zeros((x.shape[0], ir.dim, mul), dtype=x.dtype))
                continue
            x = inputs[ir]
            shape: tuple[int, ...] = (x.shape[-1], mul)
            if self.n_species is not None:
                shape = (self.n_species, *shape)
            weight = self.param(str(ir), nn.initializers.normal(1.0), shape).astype(x.dtype)
            if self.n_species is None:
                y = x @ weight
            else:
                assert species is not None
                y = jnp.einsum("nkc,ncd->nkd", x, weight[species])
            outputs.append(y / x.shape[-1] ** 0.5)
        return tuple(outputs)
