"""Graph: one or several structures as padded arrays of atoms and directed edges.

This is what every network sees. Padding atoms belong to no structure; padding edges point to no atom. A network's contract
is that **an edge at or beyond the cutoff contributes exactly nothing**, so padding edges are simply given that length.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxft.pytree import pytree


@pytree
class Graph:
    """Atoms and directed edges of ``structures`` structures.

    positions        (atoms, 3)       Å
    species          (atoms,)         0-based index into the potential's table of elements
    structure        (atoms,)         which structure an atom belongs to; ``n_structures`` or more marks padding
    cells            (structures, 3, 3)  rows are lattice vectors, Å; any finite values where nothing is periodic
    senders          (edges,)         the neighbor j; an index of ``n_atoms`` or more marks padding
    receivers        (edges,)         the atom i that receives the message
    shifts           (edges, 3)       integers n: the edge vector is r_j + n·cell - r_i
    """

    positions: Float[Array, "atoms 3"]
    species: Int[Array, "atoms"]
    structure: Int[Array, "atoms"]
    cells: Float[Array, "structures 3 3"]
    senders: Int[Array, "edges"]
    receivers: Int[Array, "edges"]
    shifts: Int[Array, "edges 3"]

    @property
    def n_structures(self) -> int:
        """How many structures the arrays hold, padding structures included."""
        return self.cells.shape[0]


def edge_vectors(graph: Graph, cutoff: float) -> Float[Array, "edges 3"]:
    """Displacements r_j + n·cell - r_i of each edge, in Å; padding edges get a length of twice the cutoff."""
    # as JAX arrays, whose out-of-range indices (padding) are clamped instead of being errors
    positions, structure, cells = (jnp.asarray(x) for x in (graph.positions, graph.structure, graph.cells))
    senders, receivers = graph.senders, graph.receivers
    shift = jnp.einsum("ek,ekd->ed", graph.shifts.astype(cells.dtype), cells[structure[receivers]])
    vectors = positions[senders] - positions[receivers] + shift
    far = jnp.array([2.0 * cutoff, 0.0, 0.0], dtype=vectors.dtype)
    real = (receivers < positions.shape[0])[:, None]
    return jnp.where(real, vectors, far)
