"""Random crystals: reproducible, of the elements asked for, no atoms on top of each other."""

import numpy as np
import pytest
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from jaxft.errors import InputError
from jaxft.structures.generate import random_crystals


def test_crystals_are_reproducible_and_sane():
    found = random_crystals(["H", "O", "Co", "Cl"], 40, seed=3)
    again = random_crystals(["H", "O", "Co", "Cl"], 40, seed=3)
    assert all((a.positions == b.positions).all() for a, b in zip(found, again, strict=True))
    assert {symbol for atoms in found for symbol in atoms.symbols} == {"H", "O", "Co", "Cl"}
    assert all(atoms.pbc.all() and 1 <= len(atoms) <= 32 for atoms in found)
    assert len({atoms.get_chemical_formula() for atoms in found}) > 10
    ratios = []
    for atoms in found:
        i, j, d = neighbor_list("ijd", atoms, 4.0)
        ratios.append((d / (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])).min(initial=9.0))
    assert np.median(ratios) > 0.6
    assert (np.array([abs(np.linalg.det(atoms.cell.array)) for atoms in found]) > 1.0).all()


def test_no_crystal_is_much_denser_than_diamond():
    """Helium at the sum of covalent radii would have 0.1 Å³ per atom, and seven thousand neighbors within 6 Å."""
    found = random_crystals(["He", "H", "Ne"], 40, seed=1)
    volumes = np.array([atoms.get_volume() / len(atoms) for atoms in found])
    assert volumes.min() > 3.5
    assert volumes.std() > 0.5


def test_one_element_will_do_and_none_is_refused():
    assert len(random_crystals(["Si"], 3, seed=0)) == 3
    with pytest.raises(InputError, match="expected elements"):
        random_crystals(["Xx"], 1, 0)
