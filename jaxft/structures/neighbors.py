"""Neighbor lists on the host: every directed edge within a cutoff, all periodic images included.

The search itself is matscipy's (compiled, linear in the number of atoms). What is ours: cells that are incomplete, atoms
outside the cell, and the order of the edges (sorted by receiver, then sender, then shift), which makes sums reproducible.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from matscipy.neighbours import neighbour_list

from jaxft.structures.cell import complete_cell


class Edges(NamedTuple):
    """Directed edges: sender j, receiver i, and integers n with edge vector r_j + n·cell - r_i."""

    senders: Int[np.ndarray, "edges"]
    receivers: Int[np.ndarray, "edges"]
    shifts: Int[np.ndarray, "edges 3"]


NO_EDGES = Edges(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3), np.int32))


def find_edges(
    positions: Float[np.ndarray, "atoms 3"],
    cell: Float[np.ndarray, "3 3"],
    pbc: Bool[np.ndarray, "3"],
    cutoff: float,
) -> Edges:
    """All directed edges shorter than ``cutoff`` (Å). An atom is its own neighbor through its images, never directly.

    Works for molecules (zero cell), slabs, triclinic cells, cells smaller than the cutoff, and atoms outside the cell; the
    shifts refer to the positions as given. Raises InputError for a degenerate cell.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    pbc = np.asarray(pbc, dtype=bool)
    full = complete_cell(cell, pbc, positions, cutoff)
    # Wrap periodic axes only, search, then undo the wrapping in the shifts.
    inverse = np.linalg.inv(full)
    wraps = np.where(pbc, np.floor(positions @ inverse), 0.0)
    inside = positions - wraps @ full
    origin = np.where(pbc, 0.0, (inside @ inverse).min(axis=0, initial=np.inf) - cutoff / np.linalg.norm(full, axis=1))
    receivers, senders, shifts = neighbour_list(
        "ijS", positions=inside - origin @ full, cell=full, pbc=pbc, cutoff=float(cutoff)
    )
    wraps = wraps.astype(np.int64)
    shifts = shifts + wraps[receivers] - wraps[senders]
    order = np.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], senders, receivers))
    return Edges(senders[order].astype(np.int32), receivers[order].astype(np.int32), shifts[order].astype(np.int32))
