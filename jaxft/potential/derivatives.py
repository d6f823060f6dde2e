"""Energies, forces and stress of a graph, from one backward pass. The sign conventions are stated here, once.

With g_e = ∂E/∂r_e for each edge vector r_e = r_sender + n·cell - r_receiver:

    F_i = -∂E/∂r_i = Σ_{e: receiver = i} g_e - Σ_{e: sender = i} g_e          eV/Å
    σ   = (1/V) ∂E/∂ε = (1/2V) Σ_e (r_e ⊗ g_e + g_e ⊗ r_e)                    eV/Å³, ASE's sign: positive in tension

Differentiating with respect to edges instead of positions and strain gives the stress for free, and momentum is conserved by
construction. Source: Thompson, Plimpton & Mattson, J. Chem. Phys. 131, 154107 (2009), for the virial of edges.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jaxft.pytree import pytree
from jaxft.structures.graph import Graph, edge_vectors


@pytree
class Prediction:
    """What a network says of a graph; reference energies are not included.

    node_energies  (atoms,)            eV
    energies       (structures,)       eV
    forces         (atoms, 3)          eV/Å
    virials        (structures, 3, 3)  ∂E/∂ε in eV; divide by the volume for the stress (ASE's sign)
    """

    node_energies: Float[Array, "atoms"]
    energies: Float[Array, "structures"]
    forces: Float[Array, "atoms 3"]
    virials: Float[Array, "structures 3 3"]


def predict(network: nn.Module, params: Any, graph: Graph) -> Prediction:
    """Energies, forces and virials of all structures of a graph. Pure: callers decide what to compile."""
    vectors = edge_vectors(graph, network.cutoff)

    def total(vectors: Float[Array, "edges 3"]) -> tuple[Array, Array]:
        outputs = network.apply(params, vectors, graph.species, graph.senders, graph.receivers)
        real = graph.structure < graph.n_structures
        node_energies = jnp.where(real, outputs.energies, 0.0)  # type: ignore[union-attr]
        return node_energies.sum(), node_energies

    gradient, node_energies = jax.grad(total, has_aux=True)(vectors)
    n_atoms, n_structures = graph.positions.shape[0], graph.n_structures
    forces = jax.ops.segment_sum(gradient, graph.receivers, n_atoms)
    forces = forces - jax.ops.segment_sum(gradient, graph.senders, n_atoms)
    outer = vectors[:, :, None] * gradient[:, None, :]
    virials = jax.ops.segment_sum(outer, jnp.asarray(graph.structure)[graph.receivers], n_structures)
    return Prediction(
        node_energies=node_energies,
        energies=jax.ops.segment_sum(node_energies, graph.structure, n_structures),
        forces=forces,
        virials=0.5 * (virials + jnp.swapaxes(virials, -1, -2)),
    )


def volumes(cells: Float[Array, "structures 3 3"]) -> Float[Array, "structures"]:
    """Volumes in Å³, positive for left-handed cells too."""
    return jnp.abs(jnp.linalg.det(cells))
