"""ASE calculators of which a test knows everything: springs to the origin, and ways in which they go wrong."""

import errno
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


def charged(charge, multiplicity=None, scale=1.0):
    """A function that takes the state, and a setting; the energy tells what it was given."""
    calculator = Springs()
    calculator.misbehave = lambda: calculator.results.clear()
    spin = multiplicity or 0

    def calculate(atoms=None, properties=("energy",), system_changes=all_changes):
        calculator.results = {"energy": 100.0 * charge + spin, "forces": np.zeros((len(atoms), 3)), "scale": scale}

    calculator.calculate = calculate
    return calculator


class LibraryError(Exception):
    """As libraries define their own, derived from nothing else."""


def refusing(method="good"):
    if method != "good":
        raise NotImplementedError(f"no method {method}")
    return Springs()


class Odd(Springs):
    """Raises what the height of the first atom says, as a calculator deep in a library might."""

    def misbehave(self):
        z = self.atoms.positions[0, 2]
        if z > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        if z > 6:
            raise MemoryError("no room for the integrals")
        if z > 4:
            raise LibraryError("the grid is empty")


class Tidy(Springs):
    """Writes into the folder that it is given."""

    def __init__(self, directory, log="", crash=False):
        super().__init__(log)
        self.directory, self.crash = str(directory), crash

    def misbehave(self):
        (Path(self.directory) / "output").write_text("so far so good")
        if self.crash or self.atoms.positions[0, 0] > 5:
            raise SCFError("did not converge")


class Wild(Springs):
    """Wrong forces: another sign along x."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = -atoms.positions * [-1, 1, 1]


class Short(Springs):
    """Forgets the last atom."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = self.results["forces"][:-1]


class Sleepy(Springs):
    """Beyond 7 Å it does not come back."""

    def misbehave(self):
        if self.atoms.positions[0, 0] > 7:
            time.sleep(60)


class Littering(Springs):
    """Leaves a file in the folder of its calculation, and fails."""

    def __init__(self, directory, log="", sleep=0.0):
        super().__init__(log, sleep)
        self.folder = directory

    def misbehave(self):
        (Path(self.folder) / "output").touch()
        raise RuntimeError("the program failed")
