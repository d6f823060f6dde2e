"""What makes two labels the same label."""

import io

import numpy as np
import pytest
from ase.build import molecule
from ase.io import read, write

from jaxft.errors import InputError
from jaxft.labels.key import label_key, settings_key
from jaxft.labels.reference import ReferenceSettings

GFN1 = ReferenceSettings()


def water():
    atoms = molecule("H2O")
    atoms.rattle(0.05, seed=0)
    atoms.cell, atoms.pbc = [5, 5.5, 6], True
    return atoms


def changed(change):
    atoms = water()
    change(atoms)
    return atoms


DIFFERENT = {
    "a position by 2e-8 Å": lambda a: a.positions.__setitem__((0, 0), a.positions[0, 0] + 2e-8),
    "an element": lambda a: a.numbers.__setitem__(1, 9),
    "the cell": lambda a: a.cell.__setitem__((0, 1), 0.1),
    "periodicity": lambda a: a.set_pbc([True, True, False]),
    "charge": lambda a: a.info.update(charge=-1),
    "multiplicity": lambda a: a.info.update(multiplicity=3),
    "the order of atoms": lambda a: a.positions.__setitem__([1, 2], a.positions[[2, 1]]),
}

SAME = {
    "rounding below 1e-8 Å": lambda a: a.positions.__iadd__(1e-11),
    "velocities": lambda a: a.set_velocities(np.ones((3, 3))),
    "tags and names": lambda a: (a.set_tags([1, 2, 3]), a.info.update(config_type="liquid", REF_energy=-1.0)),
    "the same charge, said": lambda a: a.info.update(charge=0),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_another_structure_has_another_key(what):
    assert label_key(changed(DIFFERENT[what]), GFN1) != label_key(water(), GFN1)


@pytest.mark.parametrize("what", SAME)
def test_what_does_not_change_the_label_does_not_change_the_key(what):
    assert label_key(changed(SAME[what]), GFN1) == label_key(water(), GFN1)


def test_minus_zero_is_zero():
    plus, minus = molecule("H2O"), molecule("H2O")
    plus.positions[0], minus.positions[0] = 0.0, -0.0
    assert label_key(plus, GFN1) == label_key(minus, GFN1)


def test_a_structure_written_to_extended_xyz_and_read_back_keeps_its_key():
    text = io.StringIO()
    write(text, water(), format="extxyz")
    text.seek(0)
    assert label_key(read(text, format="extxyz"), GFN1) == label_key(water(), GFN1)


def test_settings_count_with_their_defaults_and_threads_do_not_count():
    assert settings_key(GFN1) == settings_key(
        ReferenceSettings(settings={"method": "GFN1-xTB", "accuracy": 1}, threads=2)
    )
    assert settings_key(GFN1) != settings_key(ReferenceSettings(settings={"accuracy": 0.5}))
    assert settings_key(GFN1) != settings_key(ReferenceSettings(settings={"method": "GFN2-xTB"}))


def test_the_engine_counts_but_not_its_version(monkeypatch):
    import stub_calculators

    stub = ReferenceSettings("stub_calculators:Springs")
    before = settings_key(stub)
    monkeypatch.setattr(stub_calculators, "__version__", "2.0")
    assert settings_key(stub) == before
    assert settings_key(ReferenceSettings("stub_calculators:Smeared")) != before


def test_settings_that_no_file_can_hold_are_refused():
    with pytest.raises(InputError, match="plain JSON"):
        settings_key(ReferenceSettings("stub_calculators:Springs", {"log": object()}))
