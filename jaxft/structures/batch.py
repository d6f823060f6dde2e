"""From ase.Atoms to padded graphs: the one place where capacities come from.

Arrays are padded to a capacity so that a compiled program serves many structures. A capacity is a need rounded up by at
most ten per cent; a new one is a new shape, and only a new shape recompiles.
"""

import math
from collections.abc import Sequence

import numpy as np
from ase import Atoms

from jaxft.structures.graph import Graph
from jaxft.structures.neighbors import Edges, find_edges
from jaxft.structures.species import species_of


def capacity(need: int, granularity: int) -> int:
    """The smallest capacity that holds ``need``: steps of about 5 %, multiples of ``granularity``, never zero.

    Padding stays under 10 % of the need once that is above ten times the granularity.
    """
    if need <= 10 * granularity:
        return max(granularity, math.ceil(need / granularity) * granularity)
    steps = math.ceil(math.log(need / (10 * granularity)) / math.log(1.05))
    return math.ceil(10 * granularity * 1.05**steps / granularity) * granularity


def build_graph(
    structures: Sequence[Atoms],
    table: Sequence[int],
    cutoff: float,
    *,
    n_atoms: int | None = None,
    n_edges: int | None = None,
    edges: Sequence[Edges] | None = None,
    dtype: np.dtype | type = np.float32,
) -> Graph:
    """One graph of NumPy arrays that holds all structures, padded to ``n_atoms`` and ``n_edges`` (default: no padding).

    table: atomic numbers in the order of the potential's species. Raises InputError for elements that it lacks and for
    degenerate cells; ValueError where a capacity is too small.
    """
    edges = edges or [find_edges(a.positions, a.cell.array, a.pbc, cutoff) for a in structures]
    sizes = [len(a) for a in structures]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    total_atoms, total_edges = int(starts[-1]), sum(len(e.senders) for e in edges)
    n_atoms = total_atoms if n_atoms is None else n_atoms
    n_edges = total_edges if n_edges is None else n_edges
    if total_atoms > n_atoms or total_edges > n_edges:
        raise ValueError(f"capacity {n_atoms} atoms, {n_edges} edges; needed {total_atoms} and {total_edges}")

    positions = np.zeros((n_atoms, 3), dtype=dtype)
    species = np.zeros(n_atoms, dtype=np.int32)
    structure = np.full(n_atoms, len(structures), dtype=np.int32)
    senders = np.full(n_edges, n_atoms, dtype=np.int32)
    receivers = np.full(n_edges, n_atoms, dtype=np.int32)
    shifts = np.zeros((n_edges, 3), dtype=np.int32)
    edge = 0
    for k, (atoms, found) in enumerate(zip(structures, edges, strict=True)):
        here = slice(starts[k], starts[k + 1])
        positions[here] = atoms.positions
        species[here] = species_of(atoms.numbers, table)
        structure[here] = k
        there = slice(edge, edge + len(found.senders))
        senders[there] = found.senders + starts[k]
        receivers[there] = found.receivers + starts[k]
        shifts[there] = _shifts_for_cell(atoms, found)
        edge = there.stop
    cells = np.stack([a.cell.array for a in structures]).astype(dtype)
    return Graph(positions, species, structure, cells, senders, receivers, shifts)  # type: ignore[arg-type]


def _shifts_for_cell(atoms: Atoms, edges: Edges) -> np.ndarray:
    """Shifts along non-periodic directions are zero by construction, so the given cell may keep its zero rows there."""
    assert not edges.shifts[:, ~atoms.pbc].any(), "a neighbor across a non-periodic direction"
    return edges.shifts
