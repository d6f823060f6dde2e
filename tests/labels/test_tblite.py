"""The tblite engine against finite differences and against tblite's own ASE class."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from battery import check_forces, check_stress
from tblite.ase import TBLite

from jaxft.errors import InputError
from jaxft.labels.label import Label
from jaxft.labels.reference import ReferenceSettings, compute
from jaxft.labels.tblite import METHODS, complete


def cobalt_box():
    """CoCl2 and two waters in a skewed cell, 9 atoms, a quartet."""
    box = Atoms("CoCl2", positions=[[0, 0, 0], [2.2, 0.1, 0], [-0.2, 2.2, 0.2]], cell=[5.6, 5.4, 5.5], pbc=True)
    for place, angle in (([-1.9, -0.6, 0.8], 40), ([0.3, -0.3, -2.1], 130)):
        water = molecule("H2O")
        water.rotate(angle, (1, 2, 3))
        water.positions += place
        box += water
    box.cell[0] += [0.0, 0.4, -0.3]
    box.positions += 2.0  # atoms on the boundary of the cell jump in tblite's lattice sums, by 4e-6 eV
    return box


def bent_water():
    water = molecule("H2O")
    water.rattle(0.1, seed=1)
    return water


def label(atoms, multiplicity=None, **settings):
    entry = compute(atoms, ReferenceSettings(settings=settings, multiplicity=multiplicity))
    assert isinstance(entry, Label), entry
    return entry


def tight(multiplicity, **settings):
    return lambda atoms: label(atoms, multiplicity, accuracy=1e-4, **settings)


def test_forces_are_the_derivative_of_the_energy_in_a_closed_shell():
    check_forces(tight(1), bent_water(), tolerance=1e-6, step=1e-4)


def test_forces_are_the_derivative_of_the_energy_in_a_periodic_quartet():
    check_forces(tight(4), cobalt_box(), tolerance=1e-6, step=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_stress_is_the_derivative_of_the_energy_in_a_periodic_quartet(method):
    check_stress(tight(4, method=method), cobalt_box(), tolerance=1e-6, step=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("atoms", "multiplicity"), [(bent_water(), 1), (cobalt_box(), 4)], ids=["water", "cobalt box"])
def test_numbers_are_those_of_tblites_own_ase_calculator(method, atoms, multiplicity):
    ours = label(atoms, multiplicity, method=method)
    atoms = atoms.copy()
    atoms.calc = TBLite(
        method=method, multiplicity=multiplicity, spin_polarization=1.0 if multiplicity > 1 else None, verbosity=0
    )
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(ours.forces, atoms.get_forces(), atol=1e-9)
    if atoms.pbc.all():
        np.testing.assert_allclose(ours.stress, atoms.get_stress(voigt=False), atol=1e-12)


def test_gfn1_is_the_default_method():
    assert label(bent_water()).energy == label(bent_water(), method="GFN1-xTB").energy
    assert label(bent_water()).provenance.settings["method"] == "GFN1-xTB"


def test_a_molecule_has_no_stress():
    assert label(bent_water()).stress is None


def test_the_cell_of_a_molecule_changes_nothing():
    boxed = bent_water()
    boxed.cell = [4, 4, 4]
    assert label(boxed).energy == label(bent_water()).energy


def test_spin_polarization_puts_triplet_oxygen_below_singlet_and_its_absence_above():
    oxygen = molecule("O2")
    assert label(oxygen, 3).energy < label(oxygen, 1).energy - 0.5
    assert label(oxygen, 3, spin_polarization=0.0).energy > label(oxygen, 1).energy


def test_the_spin_that_was_reached_is_recorded_and_sits_on_cobalt():
    entry = label(cobalt_box(), 4)
    assert entry.n_unpaired == pytest.approx(3.0, abs=1e-6)
    assert entry.moments.argmax() == 0
    assert entry.moments[0] > 1.5


def test_spin_that_cannot_be_known_is_not_made_up():
    entry = label(molecule("O2"), 3, spin_polarization=0.0)
    assert entry.n_unpaired is None
    assert entry.moments is None


def test_odd_electrons_without_a_multiplicity_are_a_polarized_doublet():
    entry = label(molecule("OH"))
    assert entry.n_unpaired == pytest.approx(1.0)
    assert entry.energy == label(molecule("OH"), 2).energy


def test_charge_comes_from_the_structure_before_the_settings():
    hydroxide = molecule("OH")
    hydroxide.info["charge"] = -1
    ours = compute(hydroxide, ReferenceSettings(charge=3))
    hydroxide.calc = TBLite(method="GFN1-xTB", charge=-1, multiplicity=1, verbosity=0)
    assert ours.energy == pytest.approx(hydroxide.get_potential_energy(), abs=1e-9)
    assert ours.provenance.charge == -1


def test_a_label_does_not_depend_on_the_one_before():
    first = label(cobalt_box(), 4)
    label(bent_water())
    again = label(cobalt_box(), 4)
    assert first.energy == again.energy
    np.testing.assert_array_equal(first.forces, again.forces)


def test_steps_and_cost_are_recorded():
    entry = label(bent_water())
    assert 3 < entry.scf_steps < 50
    assert entry.cost.wall_s > 0
    assert entry.cost.cpu_s > 0


def test_lanthanides_are_counted_as_gfn_counts_them():
    chloride = Atoms("CeCl3", positions=[[0, 0, 0], [2.5, 0, 0], [-1.25, 2.2, 0], [-1.25, -2.2, 0]])
    assert isinstance(label(chloride, 1), Label)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "GFN3-xTB"}, "no method 'GFN3-xTB'.*did you mean 'GFN"),
        ({"max_iteration": 5}, "no setting 'max_iteration'.*did you mean 'max_iterations'"),
        ({"max_iterations": 2.5}, "max_iterations is 2.5.*250"),
        ({"accuracy": "high"}, "accuracy is 'high'.*1.0"),
        ({"accuracy": 0}, "accuracy is 0.0.*positive"),
        ({"electronic_temperature": True}, "electronic_temperature is True"),
        ({"spin_polarization": -1.0}, "spin_polarization is negative"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        complete(settings)


def test_whole_numbers_pass_for_reals():
    assert complete({"accuracy": 1}) == complete({})
