"""Pairs with images, their names and distances, against ASE's neighbor list of each frame."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from jaxft.analysis.frames import Frames, unwrap
from jaxft.analysis.pair_distances import nearest_image, pair_distances, segments

CELL = np.array([[4.1, 0.0, 0.0], [1.0, 3.9, 0.0], [-0.6, 0.8, 4.4]])
NUMBERS = np.array([1, 8, 1, 17, 8])


def walk(n, *, step=0.15, seed=0, n_atoms=5):
    """Diffusing atoms, unwrapped, that leave the cell."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 4, (n_atoms, 3)) + np.cumsum(step * rng.normal(size=(n, n_atoms, 3)), axis=0)


def found_by(stream, reach):
    """{frame: {(i, j, n): distance}} of pairs within reach, and how many segments it took."""
    found, parts = {}, 0
    kinds = np.unique(stream.numbers, return_inverse=True)[1]
    for segment in segments(stream, reach):
        parts += 1
        bound = reach[kinds[segment.pairs[:, 0]], kinds[segment.pairs[:, 1]]]
        for row, distances in enumerate(segment.distances):
            near = distances < bound
            named = zip(map(tuple, segment.pairs[near].tolist()), distances[near], strict=True)
            found[segment.start + row] = dict(named)
    return found, parts


def by_ase(positions, cell, pbc, numbers, reach):
    """The same of one frame, from ASE."""
    kinds = np.unique(numbers, return_inverse=True)[1]
    atoms = Atoms(numbers, positions=positions, cell=cell, pbc=pbc)
    found = {}
    for i, j, n, d in zip(*neighbor_list("ijSd", atoms, float(reach.max())), strict=True):
        n = tuple(int(k) for k in n)
        once = i < j or (i == j and n > (0, 0, 0))
        if once and d < reach[kinds[i], kinds[j]]:
            found[(int(i), int(j), *n)] = d
    return found


def same(found, expected):
    assert set(found) == set(expected)
    np.testing.assert_allclose([found[p] for p in expected], list(expected.values()), rtol=1e-9)


REACH = np.array([[1.5, 2.0, 0.0], [2.0, 4.6, 3.0], [0.0, 3.0, 4.5]])


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_every_pair_within_reach_is_found_with_all_its_images_in_every_frame(pbc):
    positions = walk(70)
    stream = Frames(positions, CELL, np.array(pbc), NUMBERS, 10.0)
    found, parts = found_by(stream, REACH)
    assert 1 < parts < 70, "frames share searches"
    for k, x in enumerate(positions):
        same(found[k], by_ase(x, CELL, pbc, NUMBERS, REACH))


def test_the_same_in_a_cell_that_moves():
    rng = np.random.default_rng(3)
    strain = np.cumsum(0.01 * rng.normal(size=(70, 3, 3)), axis=0)
    cells = CELL @ (np.eye(3) + strain)
    positions = walk(70) @ np.linalg.inv(CELL) @ cells
    found, _ = found_by(Frames(positions, cells, np.ones(3, bool), NUMBERS, 10.0), REACH)
    for k, x in enumerate(positions):
        same(found[k], by_ase(x, cells[k], True, NUMBERS, REACH))


def test_the_same_where_only_the_cell_breathes():
    scales = 1.0 + 0.12 * np.sin(0.4 * np.arange(60))
    cells = CELL * scales[:, None, None]
    positions = np.broadcast_to(walk(1), (60, 5, 3)) * scales[:, None, None]
    found, parts = found_by(Frames(positions, cells, np.ones(3, bool), NUMBERS, 10.0), REACH)
    assert parts < 60
    for k, x in enumerate(positions):
        same(found[k], by_ase(x, cells[k], True, NUMBERS, REACH))


def test_a_pair_keeps_its_name_whether_positions_are_wrapped_or_not():
    positions = walk(400, seed=5)
    assert (np.abs(positions @ np.linalg.inv(CELL)) > 1.5).any(), "atoms leave the cell"
    wrapped = Atoms(NUMBERS, cell=CELL, pbc=True)
    inside = np.empty_like(positions)
    for k, x in enumerate(positions):
        wrapped.positions = x
        inside[k] = wrapped.get_positions(wrap=True)
    free, _ = found_by(Frames(positions, CELL, np.ones(3, bool), NUMBERS, 10.0), REACH)
    cut, _ = found_by(Frames(inside, CELL, np.ones(3, bool), NUMBERS, 10.0), REACH)
    offsets = np.round((inside[0] - positions[0]) @ np.linalg.inv(CELL)).astype(int)
    for k in range(400):
        renamed = {}
        for (i, j, *n), d in free[k].items():
            m = np.array(n) - offsets[j] + offsets[i]
            m = -m if i == j and tuple(m) < (0, 0, 0) else m
            renamed[(i, j, *m.tolist())] = d
        same(cut[k], renamed)


def test_frames_far_from_each_other_are_searched_one_by_one():
    positions = walk(12, step=3.0)
    found, parts = found_by(Frames(positions, np.zeros((3, 3)), np.zeros(3, bool), NUMBERS, 1000.0), REACH)
    assert parts == 12
    for k, x in enumerate(positions):
        same(found[k], by_ase(x, np.zeros((3, 3)), False, NUMBERS, REACH))


def test_nothing_within_reach_gives_no_pairs_and_all_frames():
    stream = Frames(walk(30), CELL, np.ones(3, bool), NUMBERS, 10.0)
    parts = list(segments(stream, np.zeros((3, 3))))
    assert sum(len(part.distances) for part in parts) == 30
    assert all(part.distances.shape[1] == 0 for part in parts)


def test_distances_of_given_pairs_far_beyond_reach():
    x = walk(3)
    pairs = np.array([[0, 1, 5, 0, -2], [2, 2, 0, 0, 3]])
    expected = [[np.linalg.norm(p[1] + [5, 0, -2] @ CELL - p[0]), np.linalg.norm([0, 0, 3] @ CELL)] for p in x]
    np.testing.assert_allclose(pair_distances(x, np.broadcast_to(CELL, (3, 3, 3)), pairs), expected)


def test_nearest_image_is_exact_below_half_the_shortest_height():
    rng = np.random.default_rng(0)
    cell = np.array([[5.0, 0.0, 0.0], [4.0, 3.0, 0.0], [2.0, 1.0, 4.0]])
    half = 0.5 / np.linalg.norm(np.linalg.inv(cell), axis=0).max()
    vectors = rng.normal(size=(1, 5000, 3)) * 8
    wrapped = nearest_image(vectors, cell[None], np.ones(3, bool))[0]
    images = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3), axis=-1).reshape(-1, 3) @ cell
    nearest = np.array([np.linalg.norm(v + images, axis=1).min() for v in vectors[0]])
    near = nearest < half
    assert 50 < near.sum() < 5000
    np.testing.assert_allclose(np.linalg.norm(wrapped, axis=1)[near], nearest[near], atol=1e-12)


def test_unwrapping_undoes_wrapping_across_pieces():
    positions = walk(300, seed=2)
    pbc = np.array([True, True, False])
    turns = np.floor(positions @ np.linalg.inv(CELL)) * pbc
    wrapped = positions - turns @ CELL
    cells = np.broadcast_to(CELL, (300, 3, 3))
    first = unwrap(wrapped[:100], cells[:100], pbc)
    last = first[-1] @ np.linalg.inv(np.where(pbc[:, None], CELL, np.cross(CELL[0], CELL[1])))
    second = unwrap(wrapped[100:], cells[100:], pbc, last)
    whole = unwrap(wrapped, cells, pbc)
    np.testing.assert_allclose(whole, positions - turns[0] @ CELL, atol=1e-9)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-9)
    np.testing.assert_array_equal(unwrap(positions, cells, pbc), positions)
