"""Are the labels in eV and eV/Å, and has the stress ASE's sign? Compared with what the base potential says.

A base potential is wrong by a factor of two at worst, so labels in other units stand out: forces in Hartree/Bohr are 51.4 times
smaller than in eV/Å, energies in Hartree 27.2 times smaller than in eV, in kcal/mol 23.1 times larger, a stress in GPa is 160
times larger than in eV/Å³. Forces that are the gradient itself have the other sign. Slopes are those of the labels on the base's
predictions, through the origin; energies as differences within one composition, since their constants mean nothing. A stress is
judged from 5 frames of more than 1 GPa on only: its errors are large. The sign of forces is judged from 5 frames on that are far
from equilibrium.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import units
from jaxtyping import Float

from jaxft.finetune.predict_set import SetPrediction
from jaxft.structures.dataset import LabelledStructure

ENERGY_UNITS = {
    "Hartree": 1.0 / units.Hartree,
    "Rydberg": 1.0 / units.Rydberg,
    "kcal/mol": units.mol / units.kcal,
    "kJ/mol": units.mol / units.kJ,
}
FORCE_UNITS = {
    "Hartree/Bohr": units.Bohr / units.Hartree,
    "Rydberg/Bohr": units.Bohr / units.Rydberg,
    "Hartree/Å": 1.0 / units.Hartree,
    "kcal/mol/Å": units.mol / units.kcal,
    "kJ/mol/Å": units.mol / units.kJ,
}
STRESS_UNITS = {"GPa": 1.0 / units.GPa, "kbar": 10.0 / units.GPa}
NEAR = 1.6
"""A slope within this factor of a unit's is taken for it; the units' own slopes are further apart than that, and so is 1."""

OTHER_SIGN = "the other sign"
CORRELATED = 0.5

FRAMES = 5
STRESS_SCALE = 1.0 * units.GPa
FORCE_SCALE = 0.5
"""eV/Å, root mean square of a structure. Between the minima of two methods their forces oppose each other, and are small."""

FACTOR = 2.0
"""Forces of the other sign, and nothing else wrong, are as large as the base's within this factor."""


class Suspicion(NamedTuple):
    """A label that looks like another unit or sign: which, what it may be, and the numbers behind it; in words, what to do."""

    label: str
    unit: str
    slope: float
    correlation: float

    def __str__(self) -> str:
        s = "s" * (self.label == "stress")
        what = f"seem{s} to have {self.unit}" if self.unit == OTHER_SIGN else f"look{s} like {self.unit}"
        expected = {"energies": "eV", "forces": "eV/Å, minus the gradient", "stress": "eV/Å³, positive in tension"}[
            self.label
        ]
        return (
            f"the {self.label} of the labels {what}: the slope on the potential's predictions is {self.slope:.3g} (correlation "
            f"{self.correlation:.2f}, expected slope near 1); expected {expected}; convert {'it' if s else 'them'}"
        )


def suspect_units(prediction: SetPrediction, data: Sequence[LabelledStructure]) -> list[Suspicion]:
    """What looks wrong in the labels of ``data``, of which ``prediction`` is a potential's opinion; empty where nothing does."""
    forces = _slope(
        np.concatenate([f.ravel() for f in prediction.forces]), np.concatenate([d.forces.ravel() for d in data])
    )
    found = _named("forces", forces, FORCE_UNITS)
    strong = [f for f in prediction.forces if np.sqrt(np.mean(f**2)) > FORCE_SCALE]
    if len(strong) >= FRAMES and forces is not None and 1.0 / FACTOR < abs(forces[0]) < FACTOR:
        found += _turned("forces", forces)
    found += _named("energies", _energy_slope(prediction, data), ENERGY_UNITS)
    pairs = [
        (p, d.stress) for p, d in zip(prediction.stresses, data, strict=True) if p is not None and d.stress is not None
    ]
    strained = [(p, s) for p, s in pairs if np.abs(p).max() > STRESS_SCALE]
    if len(strained) >= FRAMES:
        slope = _slope(*(np.concatenate([np.ravel(pair[side]) for pair in strained]) for side in (0, 1)))
        found += _named("stress", slope, STRESS_UNITS, either_sign=True) + _turned("stress", slope)
    return found


def _energy_slope(prediction: SetPrediction, data: Sequence[LabelledStructure]) -> tuple[float, float] | None:
    """Of differences from the mean of each composition."""
    groups: dict[str, list[int]] = {}
    for k, item in enumerate(data):
        groups.setdefault(item.atoms.get_chemical_formula(), []).append(k)
    labels = np.array([float(item.energy) for item in data])
    said, given = [], []
    for members in groups.values():
        said.append(prediction.energies[members] - prediction.energies[members].mean())
        given.append(labels[members] - labels[members].mean())
    return _slope(np.concatenate(said), np.concatenate(given))


def _slope(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> tuple[float, float] | None:
    """Geometric-mean slope of y on x through the origin, with the sign of their correlation, and that; None where one is zero.

    The ordinary slope of noisy pairs is too small by their correlation; the ratio of sizes is not.
    """
    if len(x) < 3 or not x.any() or not y.any():
        return None
    size = float(np.sqrt((y @ y) / (x @ x)))
    correlation = float((x @ y) / np.sqrt((x @ x) * (y @ y)))
    return float(np.copysign(size, correlation)), correlation


def _named(
    label: str, slope: tuple[float, float] | None, known: dict[str, float], *, either_sign: bool = False
) -> list[Suspicion]:
    """Another unit."""
    if slope is None or (abs(slope[1]) if either_sign else slope[1]) < CORRELATED:
        return []
    for unit, factor in known.items():
        if factor / NEAR < abs(slope[0]) < factor * NEAR:
            return [Suspicion(label, unit, *slope)]
    return []


def _turned(label: str, slope: tuple[float, float] | None) -> list[Suspicion]:
    """The other sign."""
    return [Suspicion(label, OTHER_SIGN, *slope)] if slope is not None and slope[1] < -CORRELATED else []
