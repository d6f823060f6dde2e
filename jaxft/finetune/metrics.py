"""How far a potential is from labels: errors of energy, forces and stress over a set, with their units in their names.

Sums are float64 on the host. The energy errors come twice: as they are, and after their mean over the set was taken
off, which is all that forces, and dynamics at one composition, can feel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float

from jaxft.errors import InputError
from jaxft.finetune.check_labels import check_labels
from jaxft.finetune.predict_set import SetPrediction, predict_set
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure
from jaxft.units import MEV


@dataclass(frozen=True)
class Errors:
    """Mean absolute and root mean square of ``count`` differences, prediction minus label."""

    mae: float
    rmse: float
    count: int


@dataclass(frozen=True)
class Metrics:
    """Errors of a potential on a labelled set; prediction minus label.

    energy_mean_mev          signed mean of the energy error per atom, meV/atom
    energy_mev               energy per atom, meV/atom
    energy_centered_mev      the same after that mean was taken off
    forces_mev               force components, meV/Å
    forces_by_element_mev    the same, for the atoms of one element
    stress_mev               stress components, meV/Å³; None where no structure has a labelled stress
    """

    n_structures: int
    energy_mean_mev: float
    energy_mev: Errors
    energy_centered_mev: Errors
    forces_mev: Errors
    forces_by_element_mev: Mapping[str, Errors]
    stress_mev: Errors | None

    def to_json(self) -> dict[str, Any]:
        """As plain numbers."""
        return asdict(self)


def evaluate_set(
    potential: Potential, data: Sequence[LabelledStructure], *, dtype: str = "float32", batch_size: int = 8
) -> Metrics:
    """Errors of ``potential`` on ``data``. Raises InputError for labels or structures that can't be used."""
    check_labels(data, potential.atomic_numbers)
    prediction = predict_set(potential, [item.atoms for item in data], dtype=dtype, batch_size=batch_size)
    return errors_of(prediction, data)


def errors_of(prediction: SetPrediction, data: Sequence[LabelledStructure]) -> Metrics:
    """Errors of predictions that are already there. Raises InputError for predictions that are not finite."""
    _check_finite(prediction, data)
    sizes = np.array([len(item.atoms) for item in data])
    energies = (prediction.energies - np.array([float(item.energy) for item in data])) / sizes / MEV
    forces = np.concatenate([p - item.forces for p, item in zip(prediction.forces, data, strict=True)]) / MEV
    numbers = np.concatenate([item.atoms.numbers for item in data])
    stresses = [
        (p - item.stress) / MEV
        for p, item in zip(prediction.stresses, data, strict=True)
        if p is not None and item.stress is not None
    ]
    return Metrics(
        n_structures=len(data),
        energy_mean_mev=float(energies.mean()),
        energy_mev=_errors(energies),
        energy_centered_mev=_errors(energies - energies.mean()),
        forces_mev=_errors(forces),
        forces_by_element_mev={
            chemical_symbols[z]: _errors(forces[numbers == z]) for z in sorted(set(numbers.tolist()))
        },
        stress_mev=_errors(np.stack(stresses)) if stresses else None,
    )


def _check_finite(prediction: SetPrediction, data: Sequence[LabelledStructure]) -> None:
    said = zip(data, prediction.energies, prediction.forces, prediction.stresses, strict=True)
    for k, (item, energy, forces, stress) in enumerate(said):
        if not (np.isfinite(energy) and np.isfinite(forces).all() and (stress is None or np.isfinite(stress).all())):
            raise InputError(
                f"{item.where or f'labelled structure {k}'}: the potential's energy, forces or stress are not finite, so there are "
                "no errors to tell; look at the structure, or train again with a smaller learning rate"
            )


def _errors(differences: Float[np.ndarray, "..."]) -> Errors:
    return Errors(
        mae=float(np.abs(differences).mean()),
        rmse=float(np.sqrt((differences**2).mean())),
        count=int(differences.size),
    )
