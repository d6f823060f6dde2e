"""Energies, forces and stress of many structures: padded batches of similar size, few shapes and one compilation for each.

Sums over atoms and reference energies are float64 on the host, as everywhere. A structure's energy does not depend on
the company that it keeps in a batch beyond the rounding of the network's precision.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.finetune.training_set import BatchShape
from jaxft.potential.evaluate import ATOM_GRANULARITY, EDGE_GRANULARITY, compiled_predict
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.batch import build_graph, capacity
from jaxft.structures.neighbors import NO_EDGES, find_edges
from jaxft.structures.species import species_of

CROWD = 4
"""Where structures are smaller than the largest, up to this many times as many share a batch of the same shape."""

FILLED = 0.25
"""A batch of that many structures that still fills less than this share of its shape gets a smaller one: another compilation."""


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
    for members, shape in _batches([len(a) for a in structures], [len(e.senders) for e in edges], batch_size):
        # empty structures fill the batch, so that all of one shape have the same number
        missing = shape.n_structures - len(members)
        graph = build_graph(
            [structures[k] for k in members] + [Atoms()] * missing,
            potential.atomic_numbers,
            potential.cutoff,
            n_atoms=shape.n_atoms,
            n_edges=shape.n_edges,
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


def _batches(atoms: Sequence[int], edges: Sequence[int], batch_size: int) -> Iterator[tuple[list[int], BatchShape]]:
    """Batches of structures with so many atoms and edges, largest first, each with its shape.

    The edges of the ``batch_size`` largest decide the shape, and with it the memory; smaller ones fill it in greater number. So
    sets of mixed sizes take one shape, and another one for every fourfold drop in size beyond that.
    """
    rest = sorted(range(len(atoms)), key=lambda k: (-edges[k], -atoms[k], k))
    # not min(..., len(rest)): sets of different length share a program, and empty structures cost nothing
    crowd = CROWD * batch_size if len(rest) > batch_size else len(rest)
    room = _room(rest[:batch_size], edges)
    while rest:
        batches = _cut(rest, edges, room, crowd)
        # the last batch stays with the shape of the others, however little is left for it
        full = [batch for batch in batches[:-1] if _fills(batch, edges, room)] + batches[-1:]
        if len(full) < len(batches):
            full.pop()
        if full:
            most = max(sum(atoms[k] for k in batch) for batch in full)
            for batch in full:
                yield batch, BatchShape(crowd, capacity(most, ATOM_GRANULARITY), room)
            rest = rest[sum(len(batch) for batch in full) :]
        if rest:
            room = _room(rest[:crowd], edges)


def _fills(batch: Sequence[int], edges: Sequence[int], room: int) -> bool:
    return sum(edges[k] for k in batch) >= FILLED * room or room == EDGE_GRANULARITY


def _room(members: Sequence[int], edges: Sequence[int]) -> int:
    return capacity(sum(edges[k] for k in members), EDGE_GRANULARITY)


def _cut(order: Sequence[int], edges: Sequence[int], room: int, crowd: int) -> list[list[int]]:
    """One batch after another, each as long as its edges have room and it has at most ``crowd`` structures."""
    batches: list[list[int]] = [[]]
    filled = 0
    for k in order:
        if batches[-1] and (filled + edges[k] > room or len(batches[-1]) == crowd):
            batches.append([])
            filled = 0
        batches[-1].append(k)
        filled += edges[k]
    return batches
