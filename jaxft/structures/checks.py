"""What makes a structure unusable, said before any work is done on it."""

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from jaxft.errors import InputError
from jaxft.structures.cell import check_cell
from jaxft.structures.neighbors import find_edges

COINCIDENT = 0.05
"""Å; two nuclei nearer than this are one atom entered twice, whatever the chemistry."""

SEARCH = 1.0
"""Å; cutoff of the neighbor search behind that test."""


def check_structure(atoms: Atoms, what: str = "the structure") -> None:
    """Raise InputError for an empty structure, NaN, dummy atoms, a degenerate cell, or coincident atoms."""
    if len(atoms) == 0:
        raise InputError(f"{what} has no atoms; expected at least one")
    if not np.isfinite(atoms.positions).all():
        bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
        raise InputError(
            f"{what} has positions that are not finite (atom {bad[0]}, {atoms.symbols[bad[0]]}: "
            f"{atoms.positions[bad[0]].tolist()}); give finite positions in Å"
        )
    if (atoms.numbers <= 0).any():
        raise InputError(
            f"{what} has a dummy atom ({chemical_symbols[0]}, atom {int(np.argmin(atoms.numbers))}); remove it"
        )
    check_cell(atoms.cell.array, atoms.pbc, what)
    # searched wider than needed: the search sorts atoms into cells of this size, and tiny cells are slow
    edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, SEARCH)
    vectors = atoms.positions[edges.senders] - atoms.positions[edges.receivers] + edges.shifts @ atoms.cell.array
    near = np.flatnonzero(np.linalg.norm(vectors, axis=1) < COINCIDENT)
    if len(near):
        i, j = sorted((int(edges.receivers[near[0]]), int(edges.senders[near[0]])))
        raise InputError(
            f"{what} has coincident atoms: {atoms.symbols[i]} {i} and {atoms.symbols[j]} {j} are nearer than "
            f"{COINCIDENT} Å (periodic images included); remove one or correct the cell"
        )
