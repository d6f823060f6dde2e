"""Labels in other units are named; right ones, and noisy ones, are left alone."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units

from jaxft.finetune.check_units import suspect_units
from jaxft.finetune.predict_set import SetPrediction
from jaxft.structures.dataset import LabelledStructure


def planted(noise=0.2, n=12, seed=0):
    """What a base says, and labels that differ by noise; two compositions, stresses of some GPa."""
    rng = np.random.default_rng(seed)
    data, energies, forces, stresses = [], [], [], []
    for k in range(n):
        atoms = Atoms(
            "OHH" if k % 2 else "OHHH", positions=rng.normal(size=(3 + (k % 2 == 0), 3)), cell=[5] * 3, pbc=True
        )
        e, f = -400.0 - 100.0 * (k % 2) + rng.normal(), rng.normal(size=atoms.positions.shape)
        s = 0.03 * rng.normal(size=(3, 3))
        s = s + s.T
        energies.append(e)
        forces.append(f)
        stresses.append(s)
        data.append(
            LabelledStructure(
                atoms,
                17.0 * len(atoms) + e + noise * rng.normal(),
                f + noise * rng.normal(size=f.shape),
                s + noise * 0.03 * np.eye(3) * rng.normal(),
            )
        )
    return SetPrediction(np.array(energies), tuple(forces), tuple(stresses)), data


def scaled(data, energy=1.0, forces=1.0, stress=1.0):
    return [replace(d, energy=d.energy * energy, forces=d.forces * forces, stress=d.stress * stress) for d in data]


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_labels_in_ev_are_left_alone(noise):
    assert suspect_units(*planted(noise)) == []


@pytest.mark.parametrize(
    ("change", "label", "unit"),
    [
        ({"energy": 1 / units.Hartree}, "energies", "Hartree"),
        ({"energy": units.mol / units.kcal}, "energies", "kcal/mol"),
        ({"forces": units.Bohr / units.Hartree}, "forces", "Hartree/Bohr"),
        ({"forces": units.mol / units.kcal}, "forces", "kcal/mol/Å"),
        ({"stress": 1 / units.GPa}, "stress", "GPa"),
        ({"stress": -1.0}, "stress", "the other sign"),
        ({"forces": -1.0}, "forces", "the other sign"),
    ],
)
def test_other_units_and_signs_are_named(change, label, unit):
    prediction, data = planted()
    (found,) = suspect_units(prediction, scaled(data, **change))
    assert (found.label, found.unit) == (label, unit)
    assert unit in str(found)
    assert "convert" in str(found)


def test_a_weak_or_rare_stress_is_not_judged():
    prediction, data = planted()
    flipped = scaled(data, stress=-1.0)
    assert suspect_units(SetPrediction(*(part[:4] for part in prediction_parts(prediction))), flipped[:4]) == []
    weak = SetPrediction(prediction.energies, prediction.forces, tuple(1e-3 * s for s in prediction.stresses))
    assert suspect_units(weak, scaled(data, stress=-1e-3)) == []


def prediction_parts(prediction):
    return prediction.energies, prediction.forces, prediction.stresses


def test_one_structure_says_nothing_of_energies():
    prediction, data = planted(n=1)
    assert suspect_units(prediction, data) == []


def test_one_stress_has_one_verb():
    prediction, data = planted()
    (found,) = suspect_units(prediction, scaled(data, stress=-1.0))
    assert "the stress of the labels seems to have the other sign" in str(found)
    (found,) = suspect_units(prediction, scaled(data, stress=1 / units.GPa))
    assert "the stress of the labels looks like GPa" in str(found)


def test_a_stress_in_gpa_with_the_other_sign_is_both():
    prediction, data = planted()
    found = suspect_units(prediction, scaled(data, stress=-1.0 / units.GPa))
    assert [(one.label, one.unit) for one in found] == [("stress", "GPa"), ("stress", "the other sign")]


@pytest.mark.parametrize(("frames", "size", "ratio"), [(4, 1.0, 1.0), (12, 0.1, 1.0), (12, 1.0, 0.3), (12, 1.0, 3.0)])
def test_forces_that_oppose_each_other_between_two_minima_are_left_alone(frames, size, ratio):
    prediction, data = planted(n=frames)
    said = replace(prediction, forces=tuple(size * f for f in prediction.forces))
    assert suspect_units(said, scaled(data, forces=-size * ratio)) == []
