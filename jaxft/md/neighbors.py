"""Neighbor lists inside compiled dynamics: candidates within cutoff + skin, filtered to the edges of the moment.

Two levels. *Candidates* are all directed pairs (with their image) within cutoff + skin of the positions where the list
was built; they stay valid until atoms have moved, or the cell has shrunk, by so much that a pair could be missing. At every
step the candidates are filtered to those within the cutoff, so that the network never computes an edge that it will multiply
by zero. The filtered edges keep the order of the candidates: the same positions give the same edges in the same order.

The cell is cut into a grid of bins along its vectors, and each atom looks at the bins (images included) that its reach
touches. One bin is the search over all pairs and images, right for cells of any shape and size; many bins make it linear in
the number of atoms. Positions may lie anywhere (they are wrapped only inside the search).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxft.pytree import pytree
from jaxft.structures.cell import heights

LARGE = 1000
"""Atoms; above this many the cell is cut into bins. Below it a search over all pairs costs less than one step."""


class Grid(NamedTuple):
    """How the search is laid out; part of a program's shape.

    bins     how many along each cell vector
    reach    how many bins to look on either side, images of the cell included
    per_bin  room for atoms in a bin
    """

    bins: tuple[int, int, int]
    reach: tuple[int, int, int]
    per_bin: int


@pytree
class Candidates:
    """Directed pairs within cutoff + skin of ``reference``; padding has receivers and senders of ``n_atoms``.

    cell      at that moment
    count     how many pairs there are: more than the capacity means that some are missing
    fullest   atoms in the fullest bin, likewise
    """

    senders: Int[Array, "candidates"]
    receivers: Int[Array, "candidates"]
    shifts: Int[Array, "candidates 3"]
    reference: Float[Array, "atoms 3"]
    cell: Float[Array, "3 3"]
    count: Int[Array, ""]
    fullest: Int[Array, ""]


def choose_grid(
    positions: Float[np.ndarray, "replicas atoms 3"],
    cells: Float[np.ndarray, "replicas 3 3"],
    pbc: Bool[np.ndarray, "3"],
    reach: float,
) -> Grid:
    """One bin for small systems; for large ones bins about as wide as the reach (Å), with room for what they hold now."""
    n_atoms = positions.shape[1]
    tall = np.stack([heights(cell) for cell in cells]).min(axis=0)
    bins = np.ones(3, dtype=int)
    if n_atoms > LARGE:
        bins = np.maximum(1, np.floor(tall / reach)).astype(int)
    fullest = n_atoms
    if bins.prod() > 1:
        fractions = positions @ np.linalg.inv(cells)
        fractions = np.where(pbc, fractions - np.floor(fractions), np.clip(fractions, 0.0, 1.0))
        index = np.minimum((fractions * bins).astype(int), bins - 1)
        which = np.ravel_multi_index(tuple(np.moveaxis(index, -1, 0)), tuple(bins))
        counts = max(int(np.bincount(one).max()) for one in which)
        fullest = min(n_atoms, counts + max(4, counts // 4))
    wanted = np.where((bins > 1) | pbc, np.ceil(reach * bins / tall - 1e-12), 0).astype(int)
    return Grid(_triple(bins), _triple(wanted), fullest)


def reach_needed(
    cell: Float[Array, "3 3"], pbc: Bool[Array, "3"], grid: Grid, reach: Float[Array, ""] | float
) -> Int[Array, "3"]:
    """How many bins on either side ``reach`` (Å) touches in this cell; more than ``grid.reach`` means that pairs are missed."""
    tall = 1.0 / jnp.linalg.norm(jnp.linalg.inv(cell).T, axis=1)
    bins = jnp.array(grid.bins)
    return jnp.where((bins > 1) | pbc, jnp.ceil(reach * bins / tall - 1e-5), 0).astype(jnp.int32)


def find_candidates(
    positions: Float[Array, "atoms 3"],
    cell: Float[Array, "3 3"],
    pbc: Bool[Array, "3"],
    grid: Grid,
    reach: Float[Array, ""] | float,
    capacity: int,
) -> Candidates:
    """All directed pairs nearer than ``reach`` (Å), up to ``capacity`` of them.

    cell: rows are lattice vectors, complete (``structures.cell.complete_cell``). Shifts refer to the positions as given,
    inside the cell or not. Pairs come ordered by receiver, sender and shift.
    """
    n_atoms = positions.shape[0]
    bins = jnp.array(grid.bins)
    fractions = positions @ jnp.linalg.inv(cell)
    wraps = jnp.where(pbc, jnp.floor(fractions), 0.0)
    inside = positions - wraps @ cell
    wraps = wraps.astype(jnp.int32)
    # atoms beyond the end of a non-periodic direction belong to its last bin: no pair within reach is more bins apart for it
    home = jnp.clip(jnp.floor((fractions - wraps) * bins).astype(jnp.int32), 0, bins - 1)
    members, fullest = _sort_into_bins(home, grid)

    offsets = jnp.array(
        np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in grid.reach), indexing="ij"), -1).reshape(-1, 3)
    )
    there = home[:, None, :] + offsets[None, :, :]
    turns = jnp.floor_divide(there, bins)
    exists = (pbc | (turns == 0)).all(axis=-1)
    found = jnp.where(exists[..., None], members[_flat(there - turns * bins, grid)], n_atoms)
    # (receiver, place in the bin, bin): with one bin that is receiver, sender, image
    senders = jnp.swapaxes(found, 1, 2)
    images = turns.astype(cell.dtype) @ cell
    vectors = inside[senders] + images[:, None, :, :] - inside[:, None, None, :]
    near = (jnp.sum(vectors**2, axis=-1) < reach**2) & (senders < n_atoms)
    itself = (senders == jnp.arange(n_atoms)[:, None, None]) & (turns == 0).all(axis=-1)[:, None, :]
    flat = (near & ~itself).reshape(-1)
    (kept,) = jnp.nonzero(flat, size=capacity, fill_value=flat.shape[0])
    real = kept < flat.shape[0]
    n_offsets = offsets.shape[0]
    per_atom = senders.shape[1] * n_offsets
    receivers = jnp.where(real, kept // per_atom, n_atoms)
    senders = jnp.where(real, senders.reshape(-1)[kept], n_atoms)
    shifts = jnp.where(real[:, None], turns[receivers, kept % n_offsets] + wraps[receivers] - wraps[senders], 0)
    if np.prod(grid.bins) > 1:
        # the order must not depend on who was in which bin, or sums would depend on when the list was built
        order = jnp.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], senders, receivers))
        senders, receivers, shifts = senders[order], receivers[order], shifts[order]
    return Candidates(
        senders=senders.astype(jnp.int32),
        receivers=receivers.astype(jnp.int32),
        shifts=shifts.astype(jnp.int32),
        reference=positions,
        cell=cell,
        count=jnp.sum(flat, dtype=jnp.int32),
        fullest=fullest,
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


def is_stale(
    positions: Float[Array, "atoms 3"],
    cell: Float[Array, "3 3"],
    candidates: Candidates,
    cutoff: float,
    skin: Float[Array, ""] | float,
) -> Bool[Array, ""]:
    """Whether a pair nearer than the cutoff could be missing from the candidates.

    The cell has changed by a factor s in length. A pair that was beyond cutoff + skin is now beyond s (cutoff + skin) - 2 d,
    d being the largest distance of an atom from where the change of the cell alone would have put it. With a constant cell:
    an atom has moved by half the skin. Only right for isotropic changes, the only ones that there are.
    """
    scale = jnp.cbrt(jnp.abs(jnp.linalg.det(cell) / jnp.linalg.det(candidates.cell)))
    moved = jnp.sum((positions - scale * candidates.reference) ** 2, axis=-1).max()
    allowed = 0.5 * (scale * (cutoff + skin) - cutoff)
    return ~((allowed > 0.0) & (moved <= allowed**2))


def _sort_into_bins(home: Int[Array, "atoms 3"], grid: Grid) -> tuple[Int[Array, "bins places"], Int[Array, ""]]:
    """Atoms in each bin, ascending, padded with ``n_atoms``; and how many the fullest holds."""
    n_atoms, n_bins = home.shape[0], int(np.prod(grid.bins))
    which = _flat(home, grid)
    order = jnp.argsort(which, stable=True)
    counts = jnp.zeros(n_bins, jnp.int32).at[which].add(1)
    starts = jnp.cumsum(counts) - counts
    place = jnp.arange(n_atoms) - starts[which[order]]
    empty = jnp.full((n_bins, grid.per_bin), n_atoms, dtype=jnp.int32)
    return empty.at[which[order], place].set(order.astype(jnp.int32), mode="drop"), counts.max()


def _flat(index: Int[Array, "*n 3"], grid: Grid) -> Int[Array, "*n"]:
    """Number of a bin from its place along each vector."""
    _, y, z = grid.bins
    return (index[..., 0] * y + index[..., 1]) * z + index[..., 2]


def _triple(values: Int[np.ndarray, "3"]) -> tuple[int, int, int]:
    """Plain integers: a grid is part of a program's shape, and must hash."""
    return int(values[0]), int(values[1]), int(values[2])
