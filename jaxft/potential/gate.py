"""Gated nonlinearity: scalars pass through SiLU, everything else is multiplied by a SiLU of scalars of its own."""

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxft.potential.features import Features

SILU_SECOND_MOMENT = 0.5964586854233045
"""√E[silu(z)²] for standard normal z, as e3nn-jax 0.21 sums it in float64 over 1 000 001 quantiles (the integral is
0.5964692). Trained weights depend on it, so it is a number here and not a sum whose last digits follow the precision."""


def normalized_silu(x: Array) -> Array:
    """SiLU scaled to unit second moment under a standard normal argument."""
    return jax.nn.silu(x) / SILU_SECOND_MOMENT


def gate_irreps(irreps: e3nn.Irreps) -> e3nn.Irreps:
    """What a gate needs as input to give ``irreps``: one more even scalar for each non-scalar channel."""
    n_gates = sum(mul for mul, ir in irreps if ir != e3nn.Irrep("0e"))
    return (irreps + e3nn.Irreps(f"{n_gates}x0e")).regroup()


def gate(features: Features, irreps: e3nn.Irreps) -> Features:
    """Apply the gate; ``irreps`` are those of the result and ``features`` have ``gate_irreps(irreps)``.

    The first scalars are the output scalars; the rest gate the other irreps, channel by channel, in order.
    Raises ValueError for odd scalars, which would need an odd nonlinearity.
    Source: Weiler et al., 3D Steerable CNNs (arXiv 1807.02547); Batzner et al. (arXiv 2101.03164).
    """
    if irreps[0].ir != e3nn.Irrep("0e") or any(ir == e3nn.Irrep("0o") for _, ir in irreps):
        raise ValueError(f"the gate expects even scalars first and no odd scalars, got {irreps}")
    scalars, others = features[0], features[1:]
    activated = normalized_silu(scalars)
    start = irreps[0].mul
    outputs = [activated[..., :start]]
    for x, (mul, _) in zip(others, irreps[1:], strict=True):
        outputs.append(x * activated[..., start : start + mul])
        start += mul
    assert start == scalars.shape[-1], "gate: scalars do not match the irreps"
    return tuple(jnp.asarray(x) for x in outputs)
