"""Each way in which a label can go wrong ends in one clear line and no label; mistakes in settings end before that."""

import re
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from jaxft.errors import InputError
from jaxft.labels.label import Failure, Label
from jaxft.labels.reference import ReferenceSettings, asked_state, check_reference, compute


def changed(atoms, **info):
    atoms.info.update(info)
    return atoms


def with_nan():
    water = molecule("H2O")
    water.positions[1, 2] = np.nan
    return water


def periodic(atoms, cell, pbc=True):
    atoms.cell, atoms.pbc = cell, pbc
    return atoms


FAILURES = {
    "too few cycles": (molecule("H2O"), {"settings": {"max_iterations": 3}}, "not converged", "3 cycles"),
    "unknown element": (
        Atoms("UO2", [[0, 0, 0], [1.8, 0, 0], [-1.8, 0, 0]]),
        {"multiplicity": 1},
        "not supported",
        "U",
    ),
    "atoms identical": (Atoms("OO", np.zeros((2, 3))), {}, "bad structure", "O 0 and O 1"),
    "atoms 0.02 Å apart": (Atoms("OO", [[0, 0, 0], [0, 0, 0.02]]), {}, "bad structure", "O 0 and O 1"),
    "NaN position": (with_nan(), {}, "bad structure", "not finite"),
    "wrong parity": (molecule("H2O"), {"multiplicity": 2}, "electron count", "multiplicity 2.*10 electrons"),
    "odd electrons as a singlet": (
        molecule("OH"),
        {"multiplicity": 1},
        "electron count",
        "multiplicity 1.*9 electrons",
    ),
    "zero cell": (periodic(molecule("H2O"), [0, 0, 0]), {}, "bad structure", "zero lattice vector"),
    "slab": (periodic(molecule("H2O"), [4, 4, 9], (True, True, False)), {}, "not supported", "all three directions"),
    "dummy atom": (Atoms("XH2", [[0, 0, 0], [3, 0, 0], [3.7, 0, 0]]), {}, "bad structure", "dummy"),
    "half a charge": (changed(molecule("H2O"), charge=0.5), {}, "electron count", "charge is 0.5"),
    "fractional multiplicity": (
        changed(molecule("H2O"), multiplicity=1.5),
        {},
        "electron count",
        "multiplicity is 1.5",
    ),
    "cobalt without a multiplicity": (Atoms("CoCl2", [[0, 0, 0], [2, 0, 0], [-2, 0, 0]]), {}, "electron count", "Co"),
    "no atoms": (Atoms(), {}, "bad structure", "no atoms"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_has_its_reason_and_one_line(case):
    atoms, reference, reason, words = FAILURES[case]
    entry = compute(atoms, ReferenceSettings(**reference))
    assert isinstance(entry, Failure)
    assert entry.reason == reason
    assert "\n" not in str(entry)
    assert re.search(words, entry.detail), entry.detail


@pytest.mark.parametrize("case", [case for case in FAILURES if case != "too few cycles"])
def test_what_can_be_known_beforehand_is_said_before_anything_is_computed(case):
    atoms, reference, _, words = FAILURES[case]
    with pytest.raises(InputError, match=words):
        check_reference(ReferenceSettings(**reference), atoms)


def test_a_good_reference_and_structure_pass():
    check_reference(ReferenceSettings(multiplicity=1), molecule("H2O"))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"engine": "tblight"}, "unknown reference engine 'tblight'.*did you mean 'tblite'"),
        ({"engine": "no_such_module:function"}, "can't be imported.*no_such_module"),
        ({"engine": "stub_calculators:no_such_function"}, "can't be imported.*no_such_function"),
        ({"engine": "stub_calculators:__version__"}, "is no function"),
        ({"settings": {"mehtod": "GFN2-xTB"}}, "no setting 'mehtod'.*did you mean 'method'"),
        ({"threads": 0}, "threads is 0"),
        ({"charge": 0.5}, "charge is 0.5"),
        ({"multiplicity": True}, "multiplicity is True"),
        ({"engine": "teacher"}, "needs a model"),
        ({"engine": "teacher", "settings": {"model": "nowhere"}}, "no potential 'nowhere'"),
    ],
)
def test_mistakes_in_the_settings_are_input_errors(reference, message):
    with pytest.raises(InputError, match=message):
        check_reference(ReferenceSettings(**reference))


def test_an_engine_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.library", None)
    with pytest.raises(InputError, match="pip install tblite"):
        check_reference(ReferenceSettings())


@pytest.mark.parametrize("charge", ["minus one", [1, 2], np.inf])
def test_a_charge_that_is_no_number_is_an_input_error(charge):
    with pytest.raises(InputError, match=r"charge .*whole number"):
        compute(changed(molecule("H2O"), charge=charge), ReferenceSettings())


def test_numbers_as_numpy_reads_them_from_a_file_are_numbers():
    entry = compute(changed(molecule("OH"), charge=np.int64(-1), multiplicity=np.float64(1.0)), ReferenceSettings())
    assert isinstance(entry, Label)


def test_a_result_that_is_not_finite_is_a_failure_even_where_the_engine_says_nothing():
    entry = compute(molecule("H2O"), ReferenceSettings("stub_calculators:Wrong"))
    assert (entry.reason, "forces" in entry.detail) == ("not finite", True)


def test_a_label_does_not_change_the_structure():
    water = molecule("H2O")
    compute(water, ReferenceSettings())
    assert water.calc is None
    assert water.info == {}


def test_moments_by_element_give_the_multiplicity_of_each_structure():
    asked = ReferenceSettings(moments={"O": 1, "Co": 3})
    assert asked_state(molecule("O2"), asked) == (0.0, 3.0)
    assert asked_state(molecule("H2"), asked) == (0.0, 1.0)
    assert compute(molecule("O2"), asked).n_unpaired == pytest.approx(2.0)


def test_a_multiplicity_that_is_given_goes_before_moments():
    assert asked_state(molecule("O2"), ReferenceSettings(moments={"O": 1}, multiplicity=1)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("moments", "words"),
    [({"Coo": 3}, "has 'Coo'.*did you mean 'Co'"), ({"Co": -3}, "Co is -3"), ({"Co": True}, "Co is True")],
)
def test_moments_that_make_no_sense_are_input_errors(moments, words):
    with pytest.raises(InputError, match=words):
        check_reference(ReferenceSettings(moments=moments))


def test_the_ladder_is_climbed_until_a_rung_converges_and_the_rung_is_recorded():
    entry = compute(molecule("H2O"), ReferenceSettings(settings={"max_iterations": 9, "mixer_damping": 1e-3}))
    assert isinstance(entry, Label)
    assert entry.recipe == "mixer_damping 0.15"
    usual = compute(molecule("H2O"), ReferenceSettings())
    assert usual.recipe is None
    assert entry.energy == pytest.approx(usual.energy, abs=1e-4)


def test_without_retries_the_first_try_is_the_last():
    failure = compute(molecule("H2O"), ReferenceSettings(settings={"max_iterations": 3}, retries=0))
    assert "nor with" not in failure.detail
    with pytest.raises(InputError, match="retries is -1"):
        check_reference(ReferenceSettings(retries=-1))


def test_forces_of_another_shape_are_no_label():
    failure = compute(molecule("H2O"), ReferenceSettings("stub_calculators:Short"))
    assert (failure.reason, "forces of shape (2, 3)" in failure.detail) == ("engine failed", True)
