"""Symmetric contraction: products of up to ν copies of an atom's message, which see ν neighbors at once, learned per species.

    B_m,c = Σ_q W[species, q, c] P_q,m(x_c)        for each channel c, over all symmetric couplings P_q of degree 1..ν

x_c are the components of one channel (one irrep for each order l). A polynomial is evaluated in two steps: the product of all
its factors but the first is contracted with the couplings of all outputs that share these factors (one matrix product over
atoms and channels), and the result with the first factor. With the first factor of the smallest order this touches a few per
cent of what the dense U matrices of MACE hold, and it never forms per-atom tensors.
Source: Batatia et al. (arXiv 2206.07697), eqs. 10, 11.
"""

from itertools import groupby

import e3nn_jax as e3nn
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxft.potential.features import Features
from jaxft.potential.symmetric_basis import Coupling, n_paths, symmetric_couplings


class SymmetricContraction(nn.Module):
    """Features of irreps l = 0..lmax, all of the same number of channels, to ``irreps_out`` of that many channels.

    Weights (species or 1, paths, channels) are named after their irrep; paths by degree, then in the order of
    ``symmetric_couplings``. Without ``n_species`` all species share them.
    """

    lmax: int
    correlation: int
    irreps_out: e3nn.Irreps
    n_species: int | None

    @nn.compact
    def __call__(self, features: Features, species: Int[Array, "nodes"]) -> Features:
        """Contract; features are (nodes, 2l+1, channels)."""
        channels = features[0].shape[-1]
        factors = [jnp.moveaxis(x, 0, 1) for x in features]
        polynomials = symmetric_polynomials(factors, self.correlation, [ir for _, ir in self.irreps_out])
        index = species if self.n_species is not None else jnp.zeros_like(species)
        outputs = []
        for (_, ir), values in zip(self.irreps_out, polynomials, strict=True):
            paths = n_paths(self.lmax, self.correlation, ir)
            shape = (self.n_species or 1, paths, channels)
            weights = self.param(str(ir), nn.initializers.normal(1.0 / paths), shape).astype(values.dtype)
            outputs.append(jnp.einsum("qmnc,nqc->nmc", values, weights[index]))
        return tuple(outputs)


def symmetric_polynomials(
    factors: list[Float[Array, "components nodes channels"]], correlation: int, irreps: list[e3nn.Irrep]
) -> list[Float[Array, "paths m nodes channels"]]:
    """P_q,m of each atom and channel, for each output irrep, degrees 1 to ``correlation`` in order.

    factors: components of the orders l = 0, 1, … of each atom and channel.
    """
    lmax = len(factors) - 1
    products: dict[tuple[int, ...], Array] = {(): jnp.ones((1, *factors[0].shape[1:]), factors[0].dtype)}
    values: dict[tuple[int, tuple[int, ...]], Array] = {}
    wanted = [
        (number, coupling)
        for number, ir in enumerate(irreps)
        for degree in range(1, correlation + 1)
        for coupling in symmetric_couplings(lmax, degree, ir)
    ]
    by_rest = sorted(wanted, key=lambda item: item[1].orders[1:])
    for rest, group in groupby(by_rest, key=lambda item: item[1].orders[1:]):
        values |= _evaluate(list(group), factors, _product(rest, factors, products))
    return [
        jnp.concatenate([values[number, coupling.orders] for other, coupling in wanted if other == number])
        for number in range(len(irreps))
    ]


def _evaluate(
    group: list[tuple[int, Coupling]], factors: list[Array], product: Float[Array, "products nodes channels"]
) -> dict[tuple[int, tuple[int, ...]], Array]:
    """Values of the couplings that share all factors but the first, by output and multiset."""
    # (paths, m, first, rest...) as a matrix (paths * m * first, products of the rest)
    matrices = [coupling.tensor.reshape(-1, product.shape[0]) for _, coupling in group]
    coefficients = jnp.asarray(np.concatenate(matrices), dtype=product.dtype)
    partial = jnp.einsum("rp,pnc->rnc", coefficients, product)
    values, start = {}, 0
    for (number, coupling), matrix in zip(group, matrices, strict=True):
        paths, m, first = coupling.tensor.shape[:3]
        part = partial[start : start + len(matrix)].reshape(paths, m, first, *product.shape[1:])
        values[number, coupling.orders] = (part * factors[coupling.orders[0]]).sum(axis=2)
        start += len(matrix)
    return values


def _product(
    orders: tuple[int, ...], factors: list[Array], known: dict[tuple[int, ...], Array]
) -> Float[Array, "products nodes channels"]:
    """All products of one component of each factor, the last factor running fastest; kept in ``known``."""
    if orders not in known:
        before = _product(orders[:-1], factors, known)
        outer = before[:, None] * factors[orders[-1]][None]
        known[orders] = outer.reshape(-1, *outer.shape[2:])
    return known[orders]
