"""Neighbor lists inside compiled dynamics against those of the host, which are matscipy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxft.md.neighbors import filter_edges, find_candidates, moved_too_far
from jaxft.structures.cell import complete_cell, image_stencil
from jaxft.structures.neighbors import find_edges

CUTOFF, SKIN = 3.5, 1.0
KINDS = [
    "periodic",
    "molecule",
    "slab",
    "wire",
    "triclinic primitive",
    "outside the cell",
    "left-handed",
    "isolated atom",
]


def lists(atoms, moved=None, candidates=4096, edges=2048):
    """Candidates at ``atoms``, and edges at the positions ``moved`` to."""
    cell = complete_cell(atoms.cell.array, atoms.pbc, atoms.positions, 4.0 * (CUTOFF + SKIN))
    stencil = image_stencil(cell, atoms.pbc, CUTOFF + SKIN)

    @jax.jit
    def compute(positions, moved):
        found = find_candidates(
            positions, jnp.asarray(cell), jnp.asarray(atoms.pbc), jnp.asarray(stencil), CUTOFF + SKIN, candidates
        )
        return found, filter_edges(moved, jnp.asarray(cell), found, CUTOFF, edges), moved_too_far(moved, found, SKIN)

    return compute(atoms.positions, atoms.positions if moved is None else moved)


@pytest.mark.parametrize("kind", KINDS)
def test_filtered_edges_are_those_of_the_host_in_the_same_order(structures, kind):
    atoms = structures[kind]
    expected = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF)
    _, (senders, receivers, shifts, count), _ = lists(atoms)
    n = len(expected.senders)
    assert int(count) == n
    np.testing.assert_array_equal(senders[:n], expected.senders)
    np.testing.assert_array_equal(receivers[:n], expected.receivers)
    np.testing.assert_array_equal(shifts[:n], expected.shifts)
    assert (np.asarray(receivers[n:]) == len(atoms)).all()


def test_cell_of_less_than_a_third_of_the_cutoff_finds_all_images(structures):
    # the primitive cell of one atom, and the wire of 2.9 Å, both with many images of each pair
    atoms = structures["triclinic primitive"].copy()
    atoms.set_cell(atoms.cell.array * 0.4, scale_atoms=True)
    atoms.positions += [100.0, -37.0, 12.3]
    expected = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF)
    _, (_, _, shifts, count), _ = lists(atoms)
    assert int(count) == len(expected.senders) > 100
    np.testing.assert_array_equal(shifts[: len(expected.shifts)], expected.shifts)


def test_candidates_serve_until_an_atom_has_moved_by_half_the_skin(structures):
    atoms = structures["periodic"]
    rng = np.random.default_rng(0)
    step = rng.normal(size=atoms.positions.shape)
    step *= 0.499 * SKIN / np.linalg.norm(step, axis=1)[:, None]
    moved = atoms.positions + step
    expected = find_edges(moved, atoms.cell.array, atoms.pbc, CUTOFF)
    _, (senders, receivers, _, count), stale = lists(atoms, moved)
    assert not stale
    assert int(count) == len(expected.senders)
    np.testing.assert_array_equal(senders[: int(count)], expected.senders)
    np.testing.assert_array_equal(receivers[: int(count)], expected.receivers)
    assert lists(atoms, atoms.positions + 1.01 * step)[2]


def test_counts_tell_how_much_was_needed_when_capacities_are_too_small(structures):
    atoms = structures["periodic"]
    ample, (*_, need), _ = lists(atoms)
    small, (*_, found), _ = lists(atoms, candidates=64, edges=16)
    assert int(small.count) == int(ample.count) > 64
    # only what was among the candidates can be counted as an edge
    assert 16 < int(found) < int(need)
