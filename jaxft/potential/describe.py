"""Descriptors of many structures, one after another, in padded batches: memory stays flat however many there are."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import jax
import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.errors import InputError
from jaxft.potential.descriptors import LAYERS, compiled_descriptors
from jaxft.potential.evaluate import ATOM_GRANULARITY, EDGE_GRANULARITY
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.batch import build_graph, capacity
from jaxft.structures.neighbors import NO_EDGES, find_edges

ATOMS_PER_BATCH = 208
"""Four boxes of 52 atoms: what fits into a processor's cache is fastest there, and more gains little elsewhere."""


def describe(
    potential: Potential,
    structures: Iterable[Atoms],
    *,
    layers: str = "last",
    dtype: str = "float32",
    atoms_per_batch: int = ATOMS_PER_BATCH,
) -> Iterator[Float[np.ndarray, "atoms features"]]:
    """For each structure in order its descriptors (``Potential.descriptors``), computed one batch ahead of what is asked for.

    Compiled once per shape; shapes only grow, so structures of one size share one. Raises InputError for elements that the
    potential lacks, degenerate cells, and an unknown choice of layers.
    """
    if layers not in LAYERS:
        raise InputError(f"layers must be one of {', '.join(LAYERS)}, got {layers!r}")
    params = cast_parameters(potential.params, dtype)
    waiting = iter(structures)
    n_atoms = n_edges = 0
    first = list(islice(waiting, 1))
    per_batch = max(1, atoms_per_batch // len(first[0])) if first and len(first[0]) else 1
    batch = first + list(islice(waiting, per_batch - 1))
    running: tuple[jax.Array, list[int]] | None = None
    while batch:
        edges = [find_edges(a.positions, a.cell.array, a.pbc, potential.cutoff) for a in batch]
        n_atoms = max(n_atoms, capacity(sum(map(len, batch)), ATOM_GRANULARITY))
        n_edges = max(n_edges, capacity(sum(len(e.senders) for e in edges), EDGE_GRANULARITY))
        # the number of structures is part of the shape too: empty ones fill the last batch
        missing = per_batch - len(batch)
        graph = build_graph(
            [*batch, *[Atoms()] * missing],
            potential.atomic_numbers,
            potential.cutoff,
            n_atoms=n_atoms,
            n_edges=n_edges,
            edges=[*edges, *[NO_EDGES] * missing],
            dtype=np.dtype(dtype),
        )
        begun = compiled_descriptors(potential.network, params, graph, layers), [len(a) for a in batch]
        # calls return at once: neighbors of this batch were found while the one before was being computed
        if running is not None:
            yield from _parts(*running)
        running = begun
        batch = list(islice(waiting, per_batch))
    if running is not None:
        yield from _parts(*running)


def _parts(found: jax.Array, sizes: Sequence[int]) -> list[Float[np.ndarray, "atoms features"]]:
    """The rows of each structure; waits until they are computed."""
    ends = np.cumsum(sizes)
    return np.split(np.asarray(found)[: ends[-1]], ends[:-1])
