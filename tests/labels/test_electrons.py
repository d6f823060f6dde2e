"""How many unpaired electrons a structure is computed with."""

import numpy as np
import pytest
from ase import Atoms

from jaxft.labels.electrons import check_charge, initial_moments, unpaired_electrons
from jaxft.labels.engine import NoLabelError


@pytest.mark.parametrize(
    ("n_electrons", "multiplicity", "unpaired"),
    [(10, 1, 0), (10, 3, 2), (9, 2, 1), (9, 4, 3), (10, None, 0), (9, None, 1)],
)
def test_unpaired_electrons(n_electrons, multiplicity, unpaired):
    assert unpaired_electrons([8, 1, 1], n_electrons, multiplicity) == unpaired


@pytest.mark.parametrize(("n_electrons", "multiplicity"), [(10, 2), (9, 1), (9, 3), (1, 4), (10, 0), (9, -1)])
def test_a_multiplicity_that_the_electrons_exclude_is_no_label(n_electrons, multiplicity):
    with pytest.raises(NoLabelError, match=f"multiplicity {multiplicity} .* {n_electrons} electrons"):
        unpaired_electrons([1], n_electrons, multiplicity)


@pytest.mark.parametrize(
    ("symbols", "charge"),
    [("NaCl", 20), ("Na", 3), ("CH4", 20), ("H2", 2), ("H", -3), ("H", 1), ("Ar", -1), ("H2O", 10**30)],
)
def test_a_charge_that_no_shells_allow_is_no_label(symbols, charge):
    with pytest.raises(NoLabelError, match=f"a charge of {charge} is not possible"):
        check_charge(Atoms(symbols).numbers, charge)


@pytest.mark.parametrize(
    ("symbols", "charge"),
    [("Na", 1), ("Cl", -1), ("H", -1), ("OH", -1), ("H3O", 1), ("Co", 3), ("SO4", -2), ("Ar", 1), ("Xe2", 1)],
)
def test_ions_of_chemistry_are_let_through(symbols, charge):
    check_charge(Atoms(symbols).numbers, charge)


def test_the_spin_of_cobalt_is_not_guessed():
    with pytest.raises(NoLabelError, match=r"Co.*multiplicity"):
        unpaired_electrons([27, 17, 17], 61, None)


def test_zinc_has_a_closed_shell():
    assert unpaired_electrons([30], 28, None) == 0


def test_moments_start_on_the_open_shells_then_on_heavy_atoms_then_on_all():
    np.testing.assert_array_equal(initial_moments(Atoms("Co2OH"), 6), [3, 3, 0, 0])
    np.testing.assert_array_equal(initial_moments(Atoms("OH"), 1), [1, 0])
    np.testing.assert_array_equal(initial_moments(Atoms("H2"), 2), [1, 1])


def test_moments_of_the_atoms_own_are_kept_where_they_sum_to_the_spin_asked():
    atoms = Atoms("CoO", magmoms=[2.5, 0.5])
    np.testing.assert_array_equal(initial_moments(atoms, 3), [2.5, 0.5])
    with pytest.raises(NoLabelError, match="sum to 3, but the multiplicity 2 means 1"):
        initial_moments(atoms, 1)
