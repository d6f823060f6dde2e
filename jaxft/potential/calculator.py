"""A potential as an ASE calculator."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from jaxft.potential.evaluate import Evaluator
from jaxft.potential.potential import Potential
from jaxft.structures.checks import check_structure


class JaxftCalculator(Calculator):
    """Energy, free energy, atomic energies, forces and stress for ASE, in ASE's units and signs.

    Any periodicity, any cell, atoms anywhere. Stress where the cell is not fully periodic raises ASE's
    PropertyNotImplementedError. A new number of atoms or more edges than before compiles a new program; nothing else does.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 - as ASE declares it

    def __init__(self, potential: Potential, dtype: str = "float32") -> None:
        super().__init__()
        self.evaluate = Evaluator(potential, dtype=dtype)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = tuple(all_changes),
    ) -> None:
        """Fill ``results``; called by ASE."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if "stress" in properties and not self.atoms.pbc.all():
            raise PropertyNotImplementedError(
                f"stress needs a cell that is periodic in all three directions; here pbc is {self.atoms.pbc.tolist()}"
            )
        check_structure(self.atoms)
        result = self.evaluate(self.atoms)
        self.results = {
            "energy": result.energy,
            "free_energy": result.energy,
            "energies": result.energies,
            "forces": result.forces,
        }
        if result.stress is not None:
            self.results["stress"] = np.asarray(full_3x3_to_voigt_6_stress(result.stress))
