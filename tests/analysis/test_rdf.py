"""Radial distribution functions against ASE, the ideal gas, and crystals."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry.rdf import get_rdf

from jaxft.analysis.frames import Frames
from jaxft.analysis.rdf import radial_distribution
from jaxft.errors import InputError

CELL = np.array([[9.0, 0.0, 0.0], [2.0, 8.5, 0.0], [-1.5, 1.0, 9.5]])
NUMBERS = np.array([8] * 10 + [1] * 20 + [27])


def gas(n, *, seed=0, numbers=NUMBERS, cell=CELL, cells=None):
    rng = np.random.default_rng(seed)
    boxes = np.broadcast_to(cell, (n, 3, 3)) if cells is None else cells
    # some images away from the cell: positions are unwrapped
    scaled = rng.uniform(-1, 2, (n, len(numbers), 3))
    return Frames(scaled @ boxes, cell if cells is None else cells, np.ones(3, bool), numbers, 10.0)


@pytest.mark.parametrize(("a", "b"), [("O", "H"), ("H", "H"), ("Co", "O")])
def test_partial_functions_agree_with_ase(a, b):
    stream = gas(20)
    found = radial_distribution([stream], [(a, b)], r_max=4.2)
    edges = np.array(found.edges)
    images = [Atoms(NUMBERS, positions=x, cell=CELL, pbc=True) for x in stream.positions]
    expected, r = get_rdf(images, edges[-1], len(edges) - 1, elements=(a, b))
    n_a = sum(atom.symbol == a for atom in images[0])
    # ASE divides by N_a² pairs of one element
    scale = n_a / (n_a - 1) if a == b else 1.0
    np.testing.assert_allclose(found.r, r)
    np.testing.assert_allclose(found.pair(a, b).g, expected * scale, rtol=1e-9)


def test_in_an_ideal_gas_every_function_is_one_within_its_band():
    found = radial_distribution([gas(2000, numbers=NUMBERS[:-1])], bin_width=0.5)
    assert {pair.elements for pair in found.pairs} == {("H", "H"), ("H", "O"), ("O", "O")}
    for pair in found.pairs:
        deviations = (np.array(pair.g) - 1.0)[1:] / np.array(pair.g_error)[1:]
        assert np.abs(deviations).max() < 4.0
        assert np.mean(np.abs(deviations)) < 1.5


def test_the_neighbors_of_an_ideal_gas_are_density_times_volume():
    found = radial_distribution([gas(500)], [("O", "H"), ("H", "O"), ("O", "O")])
    sphere = 4 / 3 * np.pi * found.edges[-1] ** 3 / abs(np.linalg.det(CELL))
    expected = {("O", "H"): 20 * sphere, ("H", "O"): 10 * sphere, ("O", "O"): 9 * sphere}
    for elements, neighbors in expected.items():
        pair = found.pair(*elements)
        assert pair.neighbors[-1] == pytest.approx(neighbors, abs=4 * pair.neighbors_error[-1])


def test_the_shells_of_a_crystal():
    copper = bulk("Cu", "fcc", a=3.6, cubic=True) * (3, 3, 3)
    stream = Frames(copper.positions[None], np.asarray(copper.cell), np.ones(3, bool), copper.numbers, 10.0)
    found = radial_distribution([stream], bin_width=0.1).pair("Cu", "Cu")
    shells = dict.fromkeys(np.round(found.neighbors, 9))
    assert list(shells) == [0.0, 12.0, 18.0, 42.0, 54.0]
    assert found.g_error is None


def test_a_cell_that_moves_has_its_own_density_in_every_frame():
    scales = np.random.default_rng(3).uniform(0.9, 1.2, 2000)
    cells = np.eye(3) * 10 * scales[:, None, None]
    stream = gas(2000, cells=cells, numbers=NUMBERS[:30])
    found = radial_distribution([stream], [("H", "O")], bin_width=0.5)
    assert found.edges[-1] == pytest.approx(5.0 * scales.min()), "half of the smallest box"
    g, error = np.array(found.pair("H", "O").g), np.array(found.pair("H", "O").g_error)
    assert (np.abs(g - 1.0) < 4 * error)[1:].all()
    mean_density = 10 / np.mean((10 * scales) ** 3)
    naive = found.pair("H", "O").neighbors[-1] / (mean_density * 4 / 3 * np.pi * found.edges[-1] ** 3)
    assert naive > 1.02, "with the mean volume it would be off"


def test_only_frames_that_are_asked_for_count():
    stream = gas(40)
    part = Frames(stream.positions, CELL, stream.pbc, NUMBERS, 10.0, start=10, stop=30)
    alone = Frames(stream.positions[10:30], CELL, stream.pbc, NUMBERS, 10.0)
    assert radial_distribution([part]) == radial_distribution([alone])


def test_bands_come_from_runs_too_and_become_narrower_with_more_frames():
    short = radial_distribution([gas(100, seed=k) for k in range(3)], [("H", "O")], bin_width=0.5)
    long = radial_distribution([gas(900, seed=k + 5) for k in range(3)], [("H", "O")], bin_width=0.5)
    ratio = np.array(short.pair("H", "O").g_error[2:]) / np.array(long.pair("H", "O").g_error[2:])
    assert np.median(ratio) == pytest.approx(3.0, rel=0.4)
    assert (short.n_frames, short.block_fs, short.why) == (300, 100.0, None)


def test_one_frame_has_a_function_and_no_band():
    found = radial_distribution([gas(1)], [("O", "H")])
    assert found.pair("O", "H").g_error is None
    assert found.why == "too short for an error bar: 1 frames, expected at least 10"


def test_it_is_plain_json():
    found = radial_distribution([gas(20)], bin_width=0.5)
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["n_frames"] == 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pairs": [("O", "Na")]}, "there is no Na; these atoms are H, O, Co"),
        ({"pairs": [("O", "Ox")]}, "no element is called that"),
        ({"pairs": [("Co", "Co")]}, "one Co only"),
        ({"r_max": 5.0}, "half the shortest height"),
        ({"bin_width": 0.0}, "more than 0"),
    ],
)
def test_what_can_not_be_had_is_named(arguments, words):
    with pytest.raises(InputError, match=words):
        radial_distribution([gas(2)], **arguments)


def test_a_box_that_is_not_periodic_no_frames_and_other_atoms_are_refused():
    stream = gas(4)
    slab = Frames(stream.positions, CELL, np.array([True, True, False]), NUMBERS, 10.0)
    with pytest.raises(InputError, match="not periodic in all three directions"):
        radial_distribution([slab])
    with pytest.raises(InputError, match="at least one frame"):
        radial_distribution([stream, gas(0)])
    with pytest.raises(InputError, match="run 1 has other atoms"):
        radial_distribution([stream, gas(4, numbers=NUMBERS[:-1])])
    with pytest.raises(InputError, match="there is no g\\(r\\) of H-O; expected one of O-H"):
        radial_distribution([stream], [("O", "H")]).pair("H", "O")
