"""The comparison of a reference with differences of its own energy."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.stress import full_3x3_to_voigt_6_stress

from jaxft.errors import InputError
from jaxft.jobs.serial import SerialExecutor
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.verify import STRAINS, verify


def pair():
    return Atoms("HO", positions=[[1, 0.2, 0.1], [0.3, 0, 2]])


def test_exact_derivatives_agree_in_forces_and_stress():
    box = molecule("H2O", cell=[4, 4.5, 5], pbc=True)
    box.rattle(0.1, seed=0)
    comparisons = verify(box, ReferenceSettings(), SerialExecutor())
    assert len(comparisons) == 3 + len(STRAINS)
    assert all(comparison.agrees for comparison in comparisons)
    assert max(abs(c.engine - c.difference) for c in comparisons) < 2e-3
    assert max(abs(c.engine) for c in comparisons) > 1.0


def test_a_force_of_the_wrong_sign_is_named():
    comparisons = verify(pair(), ReferenceSettings("stub_calculators:Wild"), SerialExecutor())
    wrong = [comparison.what for comparison in comparisons if not comparison.agrees]
    assert wrong == ["force on H 0 along x"]


class WrongShear(Calculator):
    """Springs in a cell, one component of the stress with the wrong sign."""

    implemented_properties = ("energy", "forces", "stress")
    wrong = 3

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        cell = atoms.cell.array
        virial = cell.T @ cell / atoms.get_volume()  # of E = Σ |a_i|²/2, where the atoms do not count
        stress = full_3x3_to_voigt_6_stress(virial)
        stress[self.wrong] *= -2
        self.results = {"energy": 0.5 * (cell**2).sum(), "forces": np.zeros((len(atoms), 3)), "stress": stress}


@pytest.mark.parametrize(("component", "row"), [(0, "xx"), (1, "yy"), (2, "zz"), (3, "yz"), (4, "xz"), (5, "xy")])
def test_every_component_of_the_stress_is_looked_at(monkeypatch, component, row):
    monkeypatch.setattr(WrongShear, "wrong", component)
    box = Atoms("HO", positions=[[1, 0, 0], [0, 0, 2]], cell=[[4, 0.5, 0.4], [0.2, 3.5, 0.6], [0.3, 0.1, 5]], pbc=True)
    comparisons = verify(box, ReferenceSettings(f"{__name__}:WrongShear"), SerialExecutor())
    wrong = [c.what for c in comparisons if not c.agrees]
    assert len(wrong) == 1
    assert row in wrong[0]


class WrongSign(LennardJones):
    """Repels where it should attract."""

    def calculate(self, *given, **named):
        super().calculate(*given, **named)
        self.results["forces"] = -self.results["forces"]


class WrongOrder(EMT):
    """Shears in the order of another program: xy yz xz."""

    def calculate(self, *given, **named):
        super().calculate(*given, **named)
        self.results["stress"] = self.results["stress"][[0, 1, 2, 5, 3, 4]]


class NoStress(EMT):
    """Zero where there is one."""

    def calculate(self, *given, **named):
        super().calculate(*given, **named)
        self.results["stress"] = np.zeros(6)


@pytest.mark.parametrize("calculator", [WrongOrder, NoStress])
def test_a_relaxed_crystal_is_strained_so_that_a_wrong_stress_shows(calculator):
    crystal = bulk("Cu", a=3.59)
    wrong = verify(crystal, ReferenceSettings(f"{__name__}:{calculator.__name__}"), SerialExecutor())
    assert [c.what for c in wrong if not c.agrees]
    right = verify(crystal, ReferenceSettings("ase.calculators.emt:EMT"), SerialExecutor())
    assert all(c.agrees for c in right)


def test_a_structure_at_rest_is_moved_so_that_a_wrong_sign_shows():
    rest = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 2 ** (1 / 6)]])
    comparisons = verify(rest, ReferenceSettings(f"{__name__}:WrongSign"), SerialExecutor())
    assert [c.what for c in comparisons if not c.agrees]


def test_a_molecule_has_no_stress_to_compare():
    comparisons = verify(pair(), ReferenceSettings("stub_calculators:Springs"), SerialExecutor())
    assert [comparison.agrees for comparison in comparisons] == [True, True]


def test_a_structure_without_a_label_is_an_input_error():
    pair = Atoms("HO", positions=[[6, 0, 0], [0, 0, 2]])
    with pytest.raises(InputError, match="has no label: not converged"):
        verify(pair, ReferenceSettings("stub_calculators:Springs"), SerialExecutor())
