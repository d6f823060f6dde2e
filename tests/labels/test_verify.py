"""The comparison of a reference with differences of its own energy."""

import pytest
from ase import Atoms
from ase.build import molecule

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


def test_a_molecule_has_no_stress_to_compare():
    comparisons = verify(pair(), ReferenceSettings("stub_calculators:Springs"), SerialExecutor())
    assert [comparison.agrees for comparison in comparisons] == [True, True]


def test_a_structure_without_a_label_is_an_input_error():
    pair = Atoms("HO", positions=[[6, 0, 0], [0, 0, 2]])
    with pytest.raises(InputError, match="has no label: not converged"):
        verify(pair, ReferenceSettings("stub_calculators:Springs"), SerialExecutor())
