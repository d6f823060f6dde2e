"""Neighbor lists inside compiled dynamics against those of the host, which are matscipy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxft.md.neighbors import Grid, choose_grid, filter_edges, find_candidates, is_stale, reach_needed
from jaxft.structures.cell import complete_cell, heights
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


def lists(atoms, moved=None, candidates=4096, edges=2048, grid=None, strain=1.0):
    """Candidates at ``atoms``, and edges at the positions ``moved`` to."""
    cell = complete_cell(atoms.cell.array, atoms.pbc, atoms.positions, 4.0 * (CUTOFF + SKIN))
    grid = grid or choose_grid(atoms.positions[None], cell[None], atoms.pbc, CUTOFF + SKIN)

    @jax.jit
    def compute(positions, moved, moved_cell):
        found = find_candidates(positions, jnp.asarray(cell), jnp.asarray(atoms.pbc), grid, CUTOFF + SKIN, candidates)
        stale = is_stale(moved, moved_cell, found, CUTOFF, SKIN)
        return found, filter_edges(moved, moved_cell, found, CUTOFF, edges), stale

    return compute(atoms.positions, atoms.positions if moved is None else moved, cell * strain)


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


def with_bins(atoms, bins, slack=0):
    """A grid of so many bins, with room for all atoms in each."""
    cell = complete_cell(atoms.cell.array, atoms.pbc, atoms.positions, 4.0 * (CUTOFF + SKIN))
    one = Grid(bins, (0, 0, 0), len(atoms))
    reach = reach_needed(jnp.asarray(cell), jnp.asarray(atoms.pbc), one, CUTOFF + SKIN)
    return one._replace(reach=tuple(int(n) + slack for n in reach))


@pytest.mark.parametrize("bins", [(2, 1, 3), (3, 3, 3), (4, 5, 1)])
@pytest.mark.parametrize("kind", ["periodic", "slab", "molecule", "triclinic primitive", "outside the cell"])
def test_any_number_of_bins_finds_the_same_pairs_in_the_same_order(structures, kind, bins):
    atoms = structures[kind]
    expected, wanted, _ = lists(atoms)
    found, got, _ = lists(atoms, grid=with_bins(atoms, bins))
    assert int(found.count) == int(expected.count)
    for name in ("senders", "receivers", "shifts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_bin_that_is_too_full_is_told(structures):
    atoms = structures["periodic"]
    grid = with_bins(atoms, (2, 2, 2))
    ample, *_ = lists(atoms, grid=grid)
    tight, *_ = lists(atoms, grid=grid._replace(per_bin=int(ample.fullest) - 1))
    assert int(tight.fullest) == int(ample.fullest)
    assert int(tight.count) < int(ample.count)


def test_a_large_system_is_cut_into_bins_and_a_small_one_is_not():
    rng = np.random.default_rng(0)
    cell, pbc = np.diag([40.0, 22.0, 9.0]), np.array([True, True, True])
    grid = choose_grid(rng.uniform(size=(2, 1500, 3)) @ cell, np.stack([cell] * 2), pbc, 4.5)
    assert grid.bins == (8, 4, 2)
    assert grid.reach == (1, 1, 1)
    assert grid.per_bin < 100
    assert choose_grid(rng.uniform(size=(1, 900, 3)) @ cell, cell[None], pbc, 4.5) == Grid((1, 1, 1), (1, 1, 1), 900)


def test_candidates_serve_while_the_cell_shrinks_by_less_than_the_skin_allows(structures):
    atoms = structures["periodic"]
    for factor in (0.97, 0.9, 0.8, 1.1):
        squeezed = atoms.copy()
        squeezed.set_cell(atoms.cell.array * factor, scale_atoms=True)
        _, (*_, count), stale = lists(atoms, squeezed.positions, strain=factor, edges=4096)
        expected = find_edges(squeezed.positions, squeezed.cell.array, squeezed.pbc, CUTOFF)
        complete = int(count) == len(expected.senders)
        # not stale means complete; it is stale exactly where the shell between cutoff and skin is used up
        assert bool(stale) == (factor * (CUTOFF + SKIN) < CUTOFF)
        assert stale or complete


def test_images_are_counted_from_heights_not_from_lengths():
    sheared = np.array([[5.0, 0.0, 0.0], [4.9, 1.0, 0.0], [0.0, 0.0, 9.0]])
    pbc = np.array([True, True, False])
    expected = (*(int(np.ceil(3.0 / h)) for h in heights(sheared)[:2]), 0)
    grid = choose_grid(np.zeros((1, 1, 3)), sheared[None], pbc, 3.0)
    assert grid.reach == expected
    assert tuple(np.asarray(reach_needed(jnp.asarray(sheared), jnp.asarray(pbc), grid, 3.0)).tolist()) == expected
