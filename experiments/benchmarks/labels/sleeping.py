"""An ASE calculator that sleeps instead of computing: what is left of a label's time is the labelling's own."""

import os
import time
from pathlib import Path

from ase.calculators.calculator import Calculator, all_changes


class Sleeping(Calculator):
    """Springs to the origin, after ``seconds``. parents: a file that gets the process above each calculation's own."""

    implemented_properties = ("energy", "forces")

    def __init__(self, seconds=0.01, parents=""):
        super().__init__()
        self.seconds, self.parents = seconds, parents

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Sleep, then E = Σ r²/2."""
        super().calculate(atoms, properties, system_changes)
        if self.parents:
            with Path(self.parents).open("a") as file:
                file.write(f"{os.getppid()}\n")
        time.sleep(self.seconds)
        self.results = {"energy": 0.5 * (atoms.positions**2).sum(), "forces": -atoms.positions}
