"""Energies, forces and stress of many structures: padded batches of similar size, one compilation per bucket.

Sums over atoms and reference energies are float64 on the host, as everywhere. A structure's energy does not depend on
the company that it keeps in a batch beyond the rounding of the network's precision.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.potential.evaluate import ATOM_GRANULARITY, EDGE_GRANULARITY, compiled_predict
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.batch import build_graph, capacity
from jaxft.structures.neighbors import NO_EDGES, Edges, find_edges
from jaxft.structures.species import species_of

KEEP_BUCKET = 0.75
"""A smaller batch stays in the bucket of the one before while it fills at least this share of it: some padding costs
less than a compilation."""


@dataclass(frozen=True)
class SetPrediction:
    """What a potential says of a set of structures, in the order of the set.

    energies  (structures,) eV, reference energies included
    forces    one (atoms, 3) array per structure, eV/Å
    stresses  one (3, 3) array per structure, eV/Å³, ASE's sign; None where it is not periodic in all three directions
    """

    energies: Float[np.ndarray, "structures"]
    forces: tuple[Float[np.ndarray, "_ 3"], ...]
    stresses: tuple[Float[np.ndarray, "3 3"] | None, ...]


def predict_set(
    potential: Potential, structures: Sequence[Atoms], *, dtype: str = "float32", batch_size: int = 8
) -> SetPrediction:
    """Predictions for all structures. Raises InputError for elements that the potential lacks and degenerate cells."""
    params = cast_parameters(potential.params, dtype)
    edges = [find_edges(a.positions, a.cell.array, a.pbc, potential.cutoff) for a in structures]
    energies = np.zeros(len(structures))
    forces: list[np.ndarray] = [np.zeros((0, 3))] * len(structures)
    stresses: list[np.ndarray | None] = [None] * len(structures)
    for members, n_atoms, n_edges in _buckets(structures, edges, min(batch_size, len(structures))):
        # empty structures fill the last batch, so that it has the shape of the others
        missing = min(batch_size, len(structures)) - len(members)
        graph = build_graph(
            [structures[k] for k in members] + [Atoms()] * missing,
            potential.atomic_numbers,
            potential.cutoff,
            n_atoms=n_atoms,
            n_edges=n_edges,
            edges=[edges[k] for k in members] + [NO_EDGES] * missing,
            dtype=np.dtype(dtype),
        )
        prediction = compiled_predict(potential.network, params, graph)
        node_energies = np.asarray(prediction.node_energies, dtype=np.float64)
        all_forces = np.asarray(prediction.forces, dtype=np.float64)
        virials = np.asarray(prediction.virials, dtype=np.float64)
        start = 0
        for place, k in enumerate(members):
            atoms, end = structures[k], start + len(structures[k])
            references = potential.reference_energies[species_of(atoms.numbers, potential.atomic_numbers)]
            energies[k] = (node_energies[start:end] + references).sum()
            forces[k] = all_forces[start:end]
            if atoms.pbc.all():
                stresses[k] = virials[place] / abs(np.linalg.det(atoms.cell.array))
            start = end
    return SetPrediction(energies, tuple(forces), tuple(stresses))


def _buckets(
    structures: Sequence[Atoms], edges: Sequence[Edges], batch_size: int
) -> Iterator[tuple[list[int], int, int]]:
    """Batches of similar size, largest first, as (members, capacity of atoms, capacity of edges)."""
    order = sorted(range(len(structures)), key=lambda k: (-len(edges[k].senders), -len(structures[k]), k))
    n_atoms = n_edges = 0
    for start in range(0, len(order), batch_size):
        members = order[start : start + batch_size]
        need_atoms = sum(len(structures[k]) for k in members)
        need_edges = sum(len(edges[k].senders) for k in members)
        whole = len(members) == batch_size
        fits = need_atoms <= n_atoms and need_edges <= n_edges
        filled = need_atoms >= KEEP_BUCKET * n_atoms and need_edges >= KEEP_BUCKET * n_edges
        if not fits or (whole and not filled):
            n_atoms, n_edges = capacity(need_atoms, ATOM_GRANULARITY), capacity(need_edges, EDGE_GRANULARITY)
        yield members, n_atoms, n_edges
