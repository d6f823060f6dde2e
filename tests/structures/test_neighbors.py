"""Neighbor lists against ASE's, for every periodicity."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import primitive_neighbor_list

from jaxft.errors import InputError
from jaxft.structures.cell import complete_cell, heights
from jaxft.structures.neighbors import find_edges


def vectors(atoms, edges):
    return atoms.positions[edges.senders] - atoms.positions[edges.receivers] + edges.shifts @ atoms.cell.array


def ase_vectors(atoms, cutoff):
    cell = complete_cell(atoms.cell.array, atoms.pbc, atoms.positions, cutoff)
    i, j, shift = primitive_neighbor_list("ijS", atoms.pbc, cell, atoms.positions, cutoff)
    return i, j, atoms.positions[j] - atoms.positions[i] + shift @ cell


def as_set(i, j, v):
    return sorted((int(a), int(b), *np.round(x, 6)) for a, b, x in zip(i, j, v, strict=True))


@pytest.mark.parametrize("cutoff", [1.5, 3.5, 7.0])
def test_same_edges_as_ase_for_every_kind_of_cell(structures, cutoff):
    for name, atoms in structures.items():
        edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
        ours = as_set(edges.receivers, edges.senders, vectors(atoms, edges))
        assert ours == as_set(*ase_vectors(atoms, cutoff)), name


def test_edges_are_sorted_by_receiver_sender_and_shift(structures):
    edges = find_edges(*_arguments(structures["periodic"]), 5.0)
    rows = list(zip(edges.receivers.tolist(), edges.senders.tolist(), map(tuple, edges.shifts.tolist()), strict=True))
    assert rows == sorted(rows)


def test_moving_an_atom_by_a_lattice_vector_changes_only_its_shifts(structures):
    atoms = structures["periodic"]
    moved = atoms.copy()
    moved.positions[1] += atoms.cell[0] - 2 * atoms.cell[2]
    a, b = find_edges(*_arguments(atoms), 4.0), find_edges(*_arguments(moved), 4.0)
    assert as_set(a.receivers, a.senders, vectors(atoms, a)) == as_set(b.receivers, b.senders, vectors(moved, b))


def test_filled_rows_are_orthogonal_to_the_periodic_ones():
    cell = np.array([[4.0, 0.0, 0.0], [1.0, 5.0, 0.5], [0.0, 0.0, 0.0]])
    full = complete_cell(cell, np.array([True, True, False]), np.zeros((1, 3)), 3.0)
    np.testing.assert_array_equal(full[:2], cell[:2])
    np.testing.assert_allclose(full[2] @ cell[:2].T, 0.0, atol=1e-12)
    assert heights(full)[2] > 2 * 3.0


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        (np.diag([4.0, 0.0, 4.0]), "zero lattice vector"),
        (np.array([[4.0, 0, 0], [8.0, 0, 0], [0, 0, 4.0]]), "degenerate"),
        (np.diag([4.0, np.nan, 4.0]), "not finite"),
    ],
)
def test_a_degenerate_cell_is_refused_in_words(cell, word):
    with pytest.raises(InputError, match=word):
        find_edges(np.zeros((1, 3)), cell, np.array([True] * 3), 3.0)


def test_no_atoms_and_no_neighbors_give_no_edges():
    assert len(find_edges(*_arguments(Atoms("H")), 5.0).senders) == 0


def _arguments(atoms):
    return atoms.positions, atoms.cell.array, atoms.pbc
