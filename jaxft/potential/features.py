"""Equivariant features of nodes: one array per irrep, channels last.

``Features`` for irreps ``128x0e+64x1o`` is a tuple of arrays (nodes, 1, 128) and (nodes, 3, 64). The order is that of the
regrouped irreps (by l, even before odd). Channels are last because every operation is a product over channels: it is
contiguous in memory, and an equivariant linear map becomes one matrix product per irrep.
"""

import e3nn_jax as e3nn
from jaxtyping import Array, Float

Features = tuple[Float[Array, "nodes _ _"], ...]


def regroup(irreps: str | e3nn.Irreps) -> e3nn.Irreps:
    """Sort irreps by l and parity and merge equal ones: the order in which Features hold their arrays."""
    return e3nn.Irreps(irreps).regroup()


def channels(irreps: e3nn.Irreps, ir: e3nn.Irrep) -> int:
    """How many copies of ``ir`` the irreps hold (0 if none)."""
    return sum(mul for mul, other in irreps if other == ir)


def scalars_of(features: Features, irreps: e3nn.Irreps) -> Float[Array, "nodes channels"]:
    """The even scalars (0e): the part of the features that no rotation or inversion changes."""
    for x, (mul, ir) in zip(features, irreps, strict=True):
        if ir == e3nn.Irrep("0e"):
            return x.reshape(x.shape[0], mul)
    raise ValueError(f"features of irreps {irreps} hold no even scalars")
