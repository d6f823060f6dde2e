"""Any ASE calculator as a reference."""

import numpy as np
import pytest
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from jaxft.labels.reference import ReferenceSettings, compute


@pytest.fixture
def pair():
    return Atoms("HO", positions=[[1, 0, 0], [0, 0, 2]])


def test_settings_reach_the_function_and_results_come_back(pair, springs, log):
    label = compute(pair, springs)
    assert label.energy == 2.5
    np.testing.assert_array_equal(label.forces, -pair.positions)
    assert log.read_text() == "1.000\n"
    assert label.provenance.version == "1.0"


def test_the_energy_is_the_one_that_the_forces_belong_to(pair):
    assert compute(pair, ReferenceSettings("stub_calculators:Smeared")).energy == -1.0


def test_stress_is_unfolded_and_kept_only_where_the_cell_is_fully_periodic(pair):
    smeared = ReferenceSettings("stub_calculators:Smeared")
    assert compute(pair, smeared).stress is None
    pair.cell, pair.pbc = [5, 5, 5], True
    np.testing.assert_array_equal(compute(pair, smeared).stress, voigt_6_to_full_3x3_stress(np.arange(1.0, 7.0)))


def test_moments_are_kept(pair):
    label = compute(pair, ReferenceSettings("stub_calculators:Smeared"))
    assert label.n_unpaired == 2.0
    np.testing.assert_array_equal(label.moments, [1.5, 0.5])


def test_an_scf_error_of_ase_is_not_converged_in_one_line(springs, row):
    [atoms] = row([6.0])
    assert str(compute(atoms, springs)) == "not converged: SCFError: density did not converge"


def test_a_calculator_without_forces_gives_no_label(pair):
    failure = compute(pair, ReferenceSettings("stub_calculators:Silent"))
    assert failure.reason == "engine failed"
    assert "no energy with forces" in failure.detail


def test_a_bug_in_the_calculator_is_no_failure_of_the_structure(pair):
    with pytest.raises(TypeError):
        compute(pair, ReferenceSettings("stub_calculators:Springs", {"no_such_argument": 1}))
