"""What dynamics can't start from: said before anything is computed."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from jaxft.errors import InputError
from jaxft.md.ensembles import ENSEMBLES
from jaxft.md.settings import MDSettings
from jaxft.structures.checks import check_structure


def check_ensemble(template: Atoms, name: str) -> None:
    """Raise InputError where these atoms can't be in the ensemble of that name."""
    ensemble = ENSEMBLES[name]
    if ensemble.moves_cell and not template.pbc.all():
        raise InputError(f"{name} needs a cell that is periodic in all directions, got pbc {template.pbc.tolist()}")
    if ensemble.conserves_momentum and len(template) < 2:
        raise InputError(f"{name} keeps the centre of mass at rest, so one atom has nothing to do; use nvt-langevin")


FARTHEST_FLOAT32 = 1000.0
"""Å from the origin; there float32 resolves 6e-5 Å, a step of dynamics at 0.5 fs is some 1e-3 Å."""


def check_start(structures: Sequence[Atoms], settings: MDSettings, dtype: str) -> None:
    """Raise InputError for structures that dynamics can't start from, or not together."""
    if not structures:
        raise InputError("a simulation needs at least one starting structure, got none")
    template = structures[0]
    check_ensemble(template, settings.ensemble)
    for k, atoms in enumerate(structures):
        check_structure(atoms, f"starting structure {k}")
        if atoms.constraints:
            raise InputError(
                f"starting structure {k} has constraints ({type(atoms.constraints[0]).__name__}), which dynamics would "
                "not heed; remove them"
            )
        farthest = float(np.abs(atoms.positions).max(initial=0.0))
        if dtype == "float32" and farthest > FARTHEST_FLOAT32:
            raise InputError(
                f"starting structure {k} has atoms {farthest:.3g} Å from the origin, too far for float32 to resolve a step; "
                "move it to the origin, or use precision float64"
            )
        if not (
            np.array_equal(atoms.numbers, template.numbers)
            and np.array_equal(atoms.get_masses(), template.get_masses())
            and np.array_equal(atoms.pbc, template.pbc)
        ):
            raise InputError(
                f"starting structure {k} differs from the first in atoms, order, masses or periodicity "
                f"({atoms.get_chemical_formula()} and {template.get_chemical_formula()}); replicas must share all four"
            )
