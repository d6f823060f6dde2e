"""References for tests: one pair of atoms on a spring, everything else free; each calculation is counted."""

import numpy as np
from ase.calculators.calculator import Calculator

CALLS = []
"""Positions of every structure that was computed in this process."""

INTERRUPT_AT = [0]
"""Ctrl-C comes in this call, counted from 1; 0: never."""


def spring(i=0, j=1, stiffness=5.0, length=0.97, fails_below=0.0, fails_above=99.0):
    """E = k/2 (r - r0)² between two atoms (eV/Å², Å); no convergence outside of two distances."""
    return Spring(i, j, stiffness, length, (fails_below, fails_above))


class Spring(Calculator):
    """See ``spring``."""

    implemented_properties = ("energy", "forces")

    def __init__(self, i, j, stiffness, length, works_in):
        super().__init__()
        self.i, self.j, self.stiffness, self.length, self.works_in = i, j, stiffness, length, works_in

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        CALLS.append(self.atoms.positions.copy())
        if len(CALLS) == INTERRUPT_AT[0]:
            raise KeyboardInterrupt
        vector = self.atoms.get_distance(self.i, self.j, mic=True, vector=True)
        distance = np.linalg.norm(vector)
        if not self.works_in[0] < distance < self.works_in[1]:
            raise RuntimeError("SCF did not converge")
        forces = np.zeros((len(self.atoms), 3))
        forces[self.i] = self.stiffness * (distance - self.length) * vector / distance
        forces[self.j] = -forces[self.i]
        self.results = {"energy": 0.5 * self.stiffness * (distance - self.length) ** 2 - 100.0, "forces": forces}
