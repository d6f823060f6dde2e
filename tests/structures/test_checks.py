"""Unusable structures are refused in words."""

import numpy as np
import pytest
from ase import Atoms

from jaxft.errors import InputError
from jaxft.structures.checks import check_structure


@pytest.mark.parametrize(
    ("atoms", "word"),
    [
        (Atoms(), "no atoms"),
        (Atoms("HH", positions=[[0, 0, 0], [0, 0, np.nan]]), "not finite"),
        (Atoms("HX", positions=[[0, 0, 0], [0, 0, 1.0]]), "dummy atom"),
        (Atoms("HO", positions=[[0, 0, 0], [0, 0, 0.01]]), "coincident"),
        (Atoms("HO", positions=[[0, 0, 0], [0, 0, 4.99]], cell=[5, 5, 5], pbc=True), "coincident"),
        (Atoms("H", cell=[5, 5, 0], pbc=True), "zero lattice vector"),
    ],
)
def test_refused(atoms, word):
    with pytest.raises(InputError, match=word):
        check_structure(atoms)


def test_accepted(structures):
    for atoms in structures.values():
        check_structure(atoms)
