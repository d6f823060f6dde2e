"""Limits of bonds: which pairs are followed, and that known bonds and known non-bonds fall on their sides."""

import numpy as np
import pytest
from ase.build import molecule
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list

from jaxft.analysis.bond_limits import COORDINATION, COVALENT, BondSettings, find_limits, limit_matrix, why_not_followed
from jaxft.errors import InputError


def limits_of(*elements, **settings):
    found = find_limits(np.array([atomic_numbers[e] for e in elements]), BondSettings(**settings))
    return {pair.elements: pair for pair in found}


@pytest.mark.parametrize(
    ("pair", "bond", "no_bond"),
    [
        (("H", "O"), 0.97, 1.50),  # a short hydrogen bond
        (("H", "Cl"), 1.28, 2.05),
        (("H", "H"), 0.74, 1.27),  # of one water
        (("O", "O"), 1.45, 2.40),
        (("O", "Co"), 2.10, 3.30),  # second shell
        (("Cl", "Co"), 2.35, 4.00),
        (("Li", "O"), 1.95, 3.20),
        (("Li", "Cl"), 2.40, 3.80),
        (("C", "C"), 1.54, 2.50),  # next neighbors
        (("C", "H"), 1.09, 2.10),
        (("O", "Zn"), 2.10, 3.50),
        (("O", "Na"), 2.40, 3.90),
    ],
)
def test_a_bond_is_below_and_the_next_shell_above(pair, bond, no_bond):
    limits = limits_of(*pair)[tuple(sorted(pair, key=atomic_numbers.get))]
    assert bond < limits.form < limits.middle < limits.broken < no_bond


@pytest.mark.parametrize("name", ["H2O", "CH3CH2OH", "HCl", "C6H6", "H2O2", "NH3", "CO2", "SO2", "H2", "Cl2", "CH3SH"])
def test_bonds_of_molecules_are_those_of_chemistry(name):
    atoms = molecule(name)
    n_bonds = {"H2O": 2, "CH3CH2OH": 8, "HCl": 1, "C6H6": 12, "H2O2": 3, "NH3": 3, "CO2": 2, "SO2": 2, "CH3SH": 5}
    kinds = np.unique(atoms.numbers, return_inverse=True)[1]
    limits = find_limits(atoms.numbers, BondSettings())
    for which in ("form", "broken"):
        i, j, d = neighbor_list("ijd", atoms, 4.0)
        matrix = limit_matrix(atoms.numbers, limits, which)
        assert (d < matrix[kinds[i], kinds[j]]).sum() // 2 == n_bonds.get(name, 1)


def test_kinds_and_which_pairs_are_followed():
    found = limits_of("H", "Li", "O", "Cl", "Co")
    assert {pair for pair, limits in found.items() if limits.kind == COORDINATION} == {
        ("Li", "O"),
        ("Li", "Cl"),
        ("O", "Co"),
        ("Cl", "Co"),
    }
    assert {pair for pair, limits in found.items() if limits.kind == COVALENT} == {
        ("H", "H"),
        ("H", "O"),
        ("H", "Cl"),
        ("O", "O"),
        ("O", "Cl"),
        ("Cl", "Cl"),
    }


def test_a_user_sets_adds_and_removes_pairs_by_name_in_any_order():
    found = limits_of("H", "Cl", "Co", distances={"Co-Cl": (2.5, 3.0), "H-Co": (1.7, 2.0), "Cl-Cl": None})
    assert (found["Cl", "Co"].form, found["Cl", "Co"].broken) == (2.5, 3.0)
    assert found["H", "Co"].kind == COORDINATION
    assert ("Cl", "Cl") not in found
    assert found["H", "H"].form == 0.95


def test_the_matrix_is_symmetric_and_zero_where_nothing_is_followed():
    numbers = np.array([27, 1, 8, 8])
    matrix = limit_matrix(numbers, find_limits(numbers, BondSettings()), "broken")
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix[0, 2] == 0.0, "H-Co"
    assert matrix[1, 2] == pytest.approx(1.5 * (0.66 + 1.26)), "O-Co"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"distances": {"CoO": (1.0, 2.0)}}, "joined by a dash"),
        ({"distances": {"Co-Ox": (1.0, 2.0)}}, "no element is called 'Ox'; did you mean"),
        ({"distances": {"Co-O": (3.0, 2.0)}}, "distances of Co-O"),
        ({"covalent": (0.0, 1.5)}, "covalent"),
        ({"persistence_fs": -1.0}, "persistence_fs"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, words):
    with pytest.raises(InputError, match=words):
        BondSettings(**settings)


def test_frames_too_far_apart_are_refused_in_words():
    assert why_not_followed(10.0, BondSettings()) is None
    assert why_not_followed(20.0, BondSettings()) == "not looked for: frames are 20 fs apart, expected at most 10"
