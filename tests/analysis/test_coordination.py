"""Coordination numbers and first shells, against ASE's neighbor list and planted complexes."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from planted_events import CO, FREE_CL, complex_box, frames, put, still

from jaxft.analysis.bond_events import shell_formula
from jaxft.analysis.bond_limits import BondSettings
from jaxft.analysis.coordination import coordination_series, shell_series, summarise_coordination
from jaxft.analysis.frames import Frames
from jaxft.errors import InputError


def test_counts_agree_with_ase_in_a_box_smaller_than_the_distance():
    rng = np.random.default_rng(0)
    cell = np.array([[4.0, 0, 0], [1.0, 4.2, 0], [0.5, -0.7, 3.9]])
    numbers = np.array([8, 1, 1, 8, 3])
    positions = rng.uniform(0, 4, (5, 3)) + np.cumsum(0.1 * rng.normal(size=(40, 5, 3)), axis=0)
    series = coordination_series(Frames(positions, cell, np.ones(3, bool), numbers, 10.0), "O", {"O": 4.5, "H": 3.0})
    for k, x in enumerate(positions):
        atoms = Atoms(numbers, positions=x, cell=cell, pbc=True)
        i, j, d = neighbor_list("ijd", atoms, 4.5)
        for place, center in enumerate((0, 3)):
            mine = i == center
            expected = [(mine & (numbers[j] == 8)).sum(), (mine & (numbers[j] == 1) & (d < 3.0)).sum()]
            assert series.counts[k, place].tolist() == expected


def test_a_crystal_has_its_coordination():
    salt = bulk("NaCl", "rocksalt", a=5.64)
    stream = frames(salt, np.repeat(salt.positions[None], 20, axis=0))
    found = summarise_coordination([coordination_series(stream, "Na", {"Cl": 3.5, "Na": 4.5})])
    assert found.shells == (("NaCl6Na12", 1.0),)
    assert found.shares == ((18, 1.0),)


def test_a_complex_is_counted_by_ligand_and_named():
    atoms = complex_box()
    positions = put(still(atoms, 200, noise=0.03), FREE_CL, CO, 2.4, 150)
    series = coordination_series(frames(atoms, positions), "Co")
    found = summarise_coordination([series])
    assert found.number.value == pytest.approx(4.25)
    assert found.by_ligand["Cl"].value == pytest.approx(3.25)
    assert found.by_ligand["O"].value == pytest.approx(1.0)
    assert found.shares == ((4, 0.75), (5, 0.25))
    assert found.shells == (("CoCl3O", 0.75), ("CoCl4O", 0.25))
    assert [shells[0] for shells in shell_series(series)] == ["CoCl3O"] * 150 + ["CoCl4O"] * 50


def test_what_changed_once_is_too_short_for_an_error_bar():
    atoms = complex_box()
    series = coordination_series(frames(atoms, put(still(atoms, 200), FREE_CL, CO, 2.4, 150)), "Co")
    number = summarise_coordination([series]).number
    assert (number.error, number.why) == (None, "too short for an error bar")


def test_the_error_of_many_changes_is_that_of_their_correlated_mean():
    rng = np.random.default_rng(0)
    atoms = Atoms("LiO", positions=[[0, 0, 0], [2, 0, 0]], cell=[20] * 3, pbc=True)
    errors, means = [], []
    for _ in range(12):
        near = np.repeat(rng.random(400) < 0.5, 5)  # the same for 5 frames: one fifth counts
        positions = np.zeros((2000, 2, 3))
        positions[:, 1, 0] = np.where(near, 2.0, 4.0)
        found = summarise_coordination([coordination_series(frames(atoms, positions), "Li")])
        errors.append(found.number.error)
        means.append(found.number.value)
    assert np.mean(errors) == pytest.approx(0.5 / np.sqrt(400), rel=0.25)
    assert np.std(means) == pytest.approx(0.5 / np.sqrt(400), rel=0.6)


def test_runs_are_pooled_and_must_fit():
    atoms = complex_box()
    runs = [coordination_series(frames(atoms, still(atoms, n, seed=n)), "Co") for n in (30, 60)]
    found = summarise_coordination(runs)
    assert (found.n_frames, found.number.value) == (90, 4.0)
    other = coordination_series(frames(atoms, still(atoms, 5)), "Co", {"Cl": 3.0})
    with pytest.raises(InputError, match="can't be pooled"):
        summarise_coordination([*runs, other])
    with pytest.raises(InputError, match="at least one run"):
        summarise_coordination([])


def test_default_distances_are_the_middles_of_the_limits():
    atoms = complex_box()
    series = coordination_series(frames(atoms, still(atoms, 2)), "Co")
    assert dict(zip(series.ligands, series.cutoffs, strict=True)) == pytest.approx({"O": 2.592, "Cl": 3.078})
    own = coordination_series(frames(atoms, still(atoms, 2)), "O", settings=BondSettings(distances={"O-O": None}))
    assert set(own.ligands) == {"H", "Cl", "Co"}


@pytest.mark.parametrize("n", [0, 1])
def test_no_frame_and_one_frame(n):
    atoms = complex_box()
    found = summarise_coordination([coordination_series(frames(atoms, still(atoms, n)), "Co")])
    assert found.number.value == (4.0 if n else None)
    assert found.number.error is None
    assert found.n_frames == n
    json.dumps(asdict(found), allow_nan=False)


@pytest.mark.parametrize(
    ("center", "cutoffs", "words"),
    [
        ("Na", {"O": 2.0}, "there is no Na among Cl, Co, H, O"),
        ("Co", {"Na": 2.0}, "there is no Na"),
        ("Co", {"O": 0.0}, "more than 0"),
        ("Na", None, "has bonds with Na that are followed"),
    ],
)
def test_what_is_not_there_is_named(center, cutoffs, words):
    atoms = complex_box()
    with pytest.raises(InputError, match=words):
        coordination_series(frames(atoms, still(atoms, 3)), center, cutoffs)


def test_formulas_are_alphabetical_and_omit_ones():
    assert shell_formula("Co", ["O", "Cl", "Cl", "Cl"]) == "CoCl3O"
    assert shell_formula("Li", []) == "Li"
