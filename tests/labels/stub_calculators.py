"""ASE calculators of which a test knows everything: springs to the origin, and ways in which they go wrong."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, SCFError, all_changes

__version__ = "1.0"


class Springs(Calculator):
    """E = Σ r²/2 eV, F = -r. ``log``: a file that gets one line for each calculation."""

    implemented_properties = ("energy", "forces")

    def __init__(self, log="", sleep=0.0):
        super().__init__()
        self.log = log
        self.sleep = sleep

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        time.sleep(self.sleep)
        self.misbehave()
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{atoms.positions[0, 0]:.3f}\n")
        self.results = {"energy": 0.5 * (atoms.positions**2).sum(), "forces": -atoms.positions}

    def misbehave(self):
        """What the place of the first atom decides: beyond 10 Å along x it dies, beyond 5 Å it does not converge."""
        x = self.atoms.positions[0, 0]
        if x > 10:
            os.kill(os.getpid(), signal.SIGKILL)
        if x > 5:
            raise SCFError("density did not\n converge")


class Smeared(Springs):
    """As with electronic smearing: the forces belong to the free energy."""

    implemented_properties = ("energy", "free_energy", "forces", "stress", "magmom", "magmoms")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results |= {"free_energy": -1.0, "stress": np.arange(1.0, 7.0), "magmom": 2.0, "magmoms": [1.5, 0.5]}


class Wrong(Springs):
    """Says that all went well."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = np.full((len(atoms), 3), np.nan)


class Silent(Springs):
    """Gives no forces."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        del self.results["forces"]
