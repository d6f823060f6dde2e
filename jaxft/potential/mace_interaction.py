"""The messages of one MACE layer: sum over neighbors, normalised in one of three ways, with or without a residual connection.

``agnostic``        message / average number of neighbors, then mixed by weights of the atom's species
``density``         the same, divided by a learned density + 1 instead of the average
``non-linear``      path weights see both species, the density is scaled by learned numbers, and the message passes a gate
The residual variants of the first two leave the message as it is and add a skip connection after the products (``mace.py``).
Source: Batatia et al. (arXiv 2206.07697), eqs. 8, 9; the interaction blocks of the mace package, version 0.3.16.
"""

from dataclasses import dataclass

import e3nn_jax as e3nn
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxft.potential.convolution import convolution_paths, edge_convolution, output_irreps
from jaxft.potential.features import Features
from jaxft.potential.gate import gate_irreps
from jaxft.potential.linear import EquivariantLinear
from jaxft.potential.mace_radial import SIGMOID_GAIN, SILU_GAIN, LayerNormMLP, NormalizedMLP

AGNOSTIC, DENSITY, NON_LINEAR = "agnostic", "density", "non-linear"


@dataclass(frozen=True)
class Edges:
    """What all layers share of the edges.

    harmonics  (edges, (lmax+1)²)  component-normalised, of r_receiver - r_sender, the direction that MACE uses
    radial     (edges, n_basis)
    envelope   (edges,)  factor of path weights and densities; None where the cutoff is part of ``radial``
    inside     (edges,)  1 nearer than the cutoff, else 0
    """

    harmonics: Float[Array, "edges harmonics"]
    radial: Float[Array, "edges n_basis"]
    envelope: Float[Array, "edges"] | None
    inside: Float[Array, "edges"]
    senders: Int[Array, "edges"]
    receivers: Int[Array, "edges"]


class MACEMessage(nn.Module):
    """Message of each atom: features of irreps ``channels`` × (l = 0..lmax)."""

    kind: str
    residual: bool
    irreps_in: e3nn.Irreps
    irreps_edge: e3nn.Irreps
    channels: int
    lmax: int
    radial_hidden: tuple[int, ...]
    average_neighbors: float
    n_species: int

    @nn.compact
    def __call__(self, features: Features, species: Int[Array, "nodes"], edges: Edges) -> Features:
        """Return the message from the features of all atoms."""
        target = e3nn.Irreps([(self.channels, ir) for _, ir in e3nn.s2_irreps(self.lmax)])
        paths = convolution_paths(self.irreps_edge, self.lmax, target)
        n_weights = sum(path.channels for path in paths)
        up = EquivariantLinear(self.irreps_in, self.irreps_edge, name="linear_up")(features)

        radial = edges.radial
        if self.kind == NON_LINEAR:
            radial = self._with_species(radial, species, edges)
            weights = LayerNormMLP((*self.radial_hidden, n_weights), name="radial")(radial)
        else:
            weights = NormalizedMLP((*self.radial_hidden, n_weights), name="radial")(radial)
        factor = self._factor(edges)
        weights = weights if factor is None else weights * factor[:, None]
        message = edge_convolution(
            up, edges.harmonics, weights, edges.senders, edges.receivers, self.irreps_edge, paths
        )
        after = output_irreps(paths)

        if self.kind == NON_LINEAR:
            return self._gated(message, up, after, target, self._density(radial, edges, features[0].shape[0]))
        message = EquivariantLinear(after, target, name="linear")(message)
        if self.kind == DENSITY:
            density = self._density(radial, edges, features[0].shape[0])
            message = tuple(x / (density + 1.0) for x in message)
        else:
            message = tuple(x / self.average_neighbors for x in message)
        if self.residual:
            return message
        # one weight matrix per species; the number of species is part of e3nn's normalisation of a one-hot
        message = tuple(x / self.n_species**0.5 for x in message)
        return EquivariantLinear(target, target, self.n_species, name="by_species")(message, species)

    def _factor(self, edges: Edges) -> Float[Array, "edges"] | None:
        """Path weights with biases do not vanish beyond the cutoff by themselves; ``inside`` ends them there."""
        if edges.envelope is not None:
            return edges.envelope
        return edges.inside if self.kind == NON_LINEAR else None

    def _with_species(
        self, radial: Float[Array, "edges n_basis"], species: Int[Array, "nodes"], edges: Edges
    ) -> Float[Array, "edges inputs"]:
        """Radial basis beside embeddings of the sender's and the receiver's species."""
        width = next(mul for mul, ir in self.irreps_in if ir == e3nn.Irrep("0e"))
        parts = [radial]
        for name, ends in (("source_embedding", edges.senders), ("target_embedding", edges.receivers)):
            table = self.param(name, nn.initializers.uniform(0.001), (self.n_species, width)).astype(radial.dtype)
            parts.append((table / self.n_species**0.5)[species[ends]])
        return jnp.concatenate(parts, axis=-1)

    def _density(self, radial: Float[Array, "edges inputs"], edges: Edges, n_nodes: int) -> Float[Array, "nodes 1 1"]:
        """Σ_j tanh(f(radial)²) at each atom, with f a learned function."""
        if self.kind == NON_LINEAR:
            raw = LayerNormMLP((64, 1), name="density")(radial)
        else:
            raw = NormalizedMLP((1,), name="density")(radial)
        per_edge = jnp.tanh(raw[:, 0] ** 2)
        factor = self._factor(edges)
        per_edge = per_edge if factor is None else per_edge * factor
        return jax.ops.segment_sum(per_edge, edges.receivers, n_nodes)[:, None, None]

    def _gated(
        self,
        message: Features,
        up: Features,
        after: e3nn.Irreps,
        target: e3nn.Irreps,
        density: Float[Array, "nodes 1 1"],
    ) -> Features:
        """Normalise by the density, add what came in, gate, mix."""
        before_gate = gate_irreps(target)
        alpha = self.param("alpha", nn.initializers.constant(20.0), ()).astype(density.dtype)
        beta = self.param("beta", nn.initializers.zeros, ()).astype(density.dtype)
        message = EquivariantLinear(after, before_gate, name="linear_1")(message)
        residual = EquivariantLinear(self.irreps_edge, before_gate, name="linear_res")(up)
        message = tuple(x / (density * beta + alpha) + y for x, y in zip(message, residual, strict=True))
        scalars, others = message[0], message[1:]
        gates = SIGMOID_GAIN * jax.nn.sigmoid(scalars[..., self.channels :])
        gated = [SILU_GAIN * jax.nn.silu(scalars[..., : self.channels])]
        for number, x in enumerate(others):
            gated.append(x * gates[..., number * self.channels : (number + 1) * self.channels])
        return EquivariantLinear(target, target, name="linear_2")(tuple(gated))
