"""The energy offset: planted shifts come back, and what the labels don't determine is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from jaxft.errors import InputError
from jaxft.finetune.offset import CompositionOffset, fit_offset


def many(formulas: list[str]) -> list[Atoms]:
    return [Atoms(formula) for formula in formulas]


VARIED = many(["H2O", "H4O2", "H3O", "HCl", "H5OCl", "O2", "Cl2", "H2OCl"])
STUDY = [Atoms("CoCl4Li2O15H30")] * 10


def test_planted_shifts_come_back_at_dft_energies():
    shifts = {"H": -17.25, "O": -2041.5, "Cl": -12520.125}
    planted = [sum(shifts[s] for s in atoms.symbols) for atoms in VARIED]
    offset = fit_offset(VARIED, np.array(planted))
    assert offset.elements == ("H", "O", "Cl")
    assert offset.undetermined == ()
    assert_allclose(offset.shifts, list(shifts.values()), rtol=1e-12)
    assert offset.residual_sd < 1e-9


def test_fit_is_that_of_numpy():
    rng = np.random.default_rng(0)
    differences = rng.normal(size=len(VARIED))
    counts = np.array([[np.sum(a.numbers == z) for z in (1, 8, 17)] for a in VARIED], float)
    expected = np.linalg.lstsq(counts, differences, rcond=None)[0]
    assert_allclose(fit_offset(VARIED, differences).shifts, expected, rtol=1e-10)


def test_single_composition_gets_the_minimum_norm_shifts():
    differences = np.random.default_rng(1).normal(-300.0, 1.0, 10)
    offset = fit_offset(STUDY, differences)
    counts = np.array([30, 2, 15, 4, 1.0])  # H Li O Cl Co
    assert offset.rank == 1
    assert_allclose(offset.shifts, np.linalg.pinv(np.tile(counts, (10, 1))) @ differences, rtol=1e-10)
    assert_allclose(offset.of(STUDY[0].numbers), differences.mean(), rtol=1e-12)


def test_single_composition_names_every_element():
    offset = fit_offset(STUDY, np.zeros(10))
    assert offset.undetermined == ("H", "Li", "O", "Cl", "Co")
    assert "only at this composition" in offset.describe()


def test_only_the_elements_that_can_not_be_separated_are_named():
    # Na and F come only together; H, O and Cl in different ratios
    structures = many(["NaF", "NaFH2O", "Na2F2H4O2Cl2", "H2O", "HCl"])
    offset = fit_offset(structures, np.arange(5.0))
    assert offset.undetermined == ("F", "Na")
    assert offset.rank == 4


def test_standard_error_of_one_composition_is_sd_over_root_n():
    differences = np.random.default_rng(2).normal(5.0, 0.3, 10)
    offset = fit_offset(STUDY, differences)
    assert_allclose(offset.residual_sd, differences.std(ddof=1), rtol=1e-10)
    assert_allclose(offset.standard_error(STUDY[0].numbers), differences.std(ddof=1) / np.sqrt(10), rtol=1e-10)


def test_repeated_frames_that_count_once_change_no_standard_error():
    differences = np.random.default_rng(3).normal(5.0, 0.3, 10)
    once = fit_offset(STUDY, differences)
    thrice = fit_offset(STUDY * 3, np.tile(differences, 3), n_effective=10.0)
    numbers = STUDY[0].numbers
    assert_allclose(thrice.residual_sd, once.residual_sd, rtol=1e-10)
    assert_allclose(thrice.standard_error(numbers), once.standard_error(numbers), rtol=1e-10)


def test_standard_error_of_several_compositions_is_that_of_ordinary_least_squares():
    differences = np.random.default_rng(4).normal(size=len(VARIED))
    counts = np.array([[np.sum(a.numbers == z) for z in (1, 8, 17)] for a in VARIED], float)
    x = np.linalg.lstsq(counts, differences, rcond=None)[0]
    covariance = ((differences - counts @ x) ** 2).sum() / (len(VARIED) - 3) * np.linalg.inv(counts.T @ counts)
    new = np.array([7.0, 3.0, 1.0])
    error = fit_offset(VARIED, differences).standard_error(Atoms("H7O3Cl").numbers)
    assert_allclose(error, np.sqrt(new @ covariance @ new), rtol=1e-10)


def test_no_standard_error_for_what_the_labels_do_not_determine():
    offset = fit_offset(STUDY, np.random.default_rng(5).normal(size=10))
    assert offset.standard_error(Atoms("H2O").numbers) is None
    assert offset.standard_error(Atoms("H2Na").numbers) is None
    assert offset.standard_error(Atoms("Co2Cl8Li4O30H60").numbers) is not None


def test_too_few_independent_frames_have_no_standard_error():
    assert fit_offset(STUDY[:1], np.ones(1)).residual_sd is None
    assert fit_offset(STUDY, np.arange(10.0), n_effective=1.0).standard_error(STUDY[0].numbers) is None


def test_apply_adds_to_the_reference_energies_and_leaves_other_elements(student):
    base = replace(student, atomic_numbers=(8, 1), reference_energies=np.array([-430.0, -13.5]))
    offset = fit_offset(many(["H2", "H4"]), np.array([-2.0, -4.0]))
    shifted = offset.apply(base)
    assert_allclose(shifted.reference_energies, [-430.0, -14.5], rtol=1e-12)
    assert_allclose(base.reference_energies, [-430.0, -13.5])


def test_element_that_the_potential_lacks_is_refused(student):
    with pytest.raises(InputError, match="shifts Cl, but the potential knows only H O"):
        fit_offset(many(["Cl2"]), np.ones(1)).apply(student)


def test_offset_survives_json():
    offset = fit_offset(STUDY, np.random.default_rng(6).normal(size=10), n_effective=7.5)
    again = CompositionOffset.from_json(json.loads(json.dumps(offset.to_json())))
    assert again.to_json() == offset.to_json()
    assert again.standard_error(STUDY[0].numbers) == offset.standard_error(STUDY[0].numbers)


@pytest.mark.parametrize(
    ("structures", "differences", "n_effective", "words"),
    [
        ([], np.zeros(0), None, "at least one"),
        (STUDY[:2], np.array([1.0, np.nan]), None, "structure 1 differs from the base by nan"),
        (STUDY[:2], np.ones(2), 3.0, "effective number of frames is 3.0"),
    ],
)
def test_unusable_input_is_refused(structures, differences, n_effective, words):
    with pytest.raises(InputError, match=words):
        fit_offset(structures, differences, n_effective)
