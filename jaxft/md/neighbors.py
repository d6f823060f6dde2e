"""Neighbor lists inside compiled dynamics: candidates within cutoff + skin, filtered to the edges of the moment.

Two levels. *Candidates* are all directed pairs (with their image) within cutoff + skin of the positions where the list
was built; they stay valid until an atom has moved by half the skin. At every step the candidates are filtered to those
within the cutoff, so that the network never computes an edge that it will multiply by zero. The filtered edges are
sorted by receiver, sender and shift whenever the candidates were built: the same positions give the same edges in the
same order.

Positions may lie anywhere (they are wrapped only inside the search). The search looks at all pairs times the images of
``image_stencil``: right for cells of any shape and size, and quadratic in the number of atoms.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxft.pytree import pytree


@pytree
class Candidates:
    """Directed pairs within cutoff + skin of ``reference``; padding has receivers and senders of ``n_atoms``.

    count is how many there are: more than the capacity means that some are missing.
    """

    senders: Int[Array, "candidates"]
    receivers: Int[Array, "candidates"]
    shifts: Int[Array, "candidates 3"]
    reference: Float[Array, "atoms 3"]
    count: Int[Array, ""]


def find_candidates(
    positions: Float[Array, "atoms 3"],
    cell: Float[Array, "3 3"],
    pbc: Bool[Array, "3"],
    stencil: Int[Array, "images 3"],
    reach: Float[Array, ""] | float,
    capacity: int,
) -> Candidates:
    """All directed pairs nearer than ``reach`` (Å), up to ``capacity`` of them.

    cell: rows are lattice vectors, complete (``structures.cell.complete_cell``). stencil: from ``image_stencil`` for
    the same reach. Shifts refer to the positions as given, inside the cell or not.
    """
    n_atoms = positions.shape[0]
    wraps = jnp.where(pbc, jnp.floor(positions @ jnp.linalg.inv(cell)), 0.0)
    inside = positions - wraps @ cell
    wraps = wraps.astype(jnp.int32)
    images = stencil.astype(cell.dtype) @ cell
    # (receiver, sender, image): the order in which pairs are kept
    vectors = inside[None, :, None, :] + images[None, None, :, :] - inside[:, None, None, :]
    near = jnp.sum(vectors**2, axis=-1) < reach**2
    itself = jnp.eye(n_atoms, dtype=bool)[:, :, None] & (stencil == 0).all(axis=-1)
    flat = (near & ~itself).reshape(-1)
    (kept,) = jnp.nonzero(flat, size=capacity, fill_value=flat.shape[0])
    real = kept < flat.shape[0]
    n_images = stencil.shape[0]
    receivers = jnp.where(real, kept // (n_atoms * n_images), n_atoms)
    senders = jnp.where(real, (kept // n_images) % n_atoms, n_atoms)
    shifts = stencil[kept % n_images] + wraps[receivers] - wraps[senders]
    return Candidates(
        senders=senders.astype(jnp.int32),
        receivers=receivers.astype(jnp.int32),
        shifts=jnp.where(real[:, None], shifts, 0).astype(jnp.int32),
        reference=positions,
        count=jnp.sum(flat, dtype=jnp.int32),
    )


def filter_edges(
    positions: Float[Array, "atoms 3"],
    cell: Float[Array, "3 3"],
    candidates: Candidates,
    cutoff: float,
    capacity: int,
) -> tuple[Int[Array, "edges"], Int[Array, "edges"], Int[Array, "edges 3"], Int[Array, ""]]:
    """Senders, receivers and shifts of the candidates nearer than the cutoff, and how many there are."""
    n_atoms = positions.shape[0]
    vectors = (
        positions[candidates.senders] - positions[candidates.receivers] + candidates.shifts.astype(cell.dtype) @ cell
    )
    near = (jnp.sum(vectors**2, axis=-1) < cutoff**2) & (candidates.receivers < n_atoms)
    (kept,) = jnp.nonzero(near, size=capacity, fill_value=near.shape[0])
    real = kept < near.shape[0]
    senders = jnp.where(real, candidates.senders[kept], n_atoms)
    receivers = jnp.where(real, candidates.receivers[kept], n_atoms)
    shifts = jnp.where(real[:, None], candidates.shifts[kept], 0)
    return senders, receivers, shifts, jnp.sum(near, dtype=jnp.int32)


def moved_too_far(positions: Float[Array, "atoms 3"], candidates: Candidates, skin: float) -> Bool[Array, ""]:
    """Whether an atom has moved by half the skin since the candidates were found, so that a pair could be missing."""
    return jnp.any(jnp.sum((positions - candidates.reference) ** 2, axis=-1) > (0.5 * skin) ** 2)
