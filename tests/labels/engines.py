"""Engines of quantum chemistry that may be installed, each with the cheapest structures that show something.

Each case: settings, a closed shell, an open shell with its multiplicity, and whether it is periodic.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule

INSTALL = {
    "tblite": "pip install tblite",
    "pyscf": "pip install pyscf",
    "gpaw": "apt-get install libxc-dev libopenblas-dev gpaw-data; pip install gpaw",
    "cp2k": "apt-get install cp2k cp2k-data",
    "espresso": "apt-get install quantum-espresso quantum-espresso-data",
}
PSEUDOS = Path("/usr/share/espresso/pseudo")


def is_installed(engine):
    if engine == "cp2k":
        return shutil.which("cp2k.psmp") is not None and Path("/usr/share/cp2k").is_dir()
    if engine == "espresso":
        return shutil.which("pw.x") is not None and (PSEUDOS / "H.pbe-kjpaw.UPF").is_file()
    if engine == "gpaw":
        return find_spec("gpaw") is not None and Path("/usr/share/gpaw-setups").is_dir()
    return find_spec(engine) is not None


def needs(engine):
    return pytest.mark.skipif(not is_installed(engine), reason=f"{engine} is not installed: {INSTALL[engine]}")


def boxed(name, cell=(4.0, 4.2, 4.4)):
    atoms = molecule(name)
    atoms.rattle(0.05, seed=1)
    if cell is not None:
        atoms.cell, atoms.pbc = cell, True
        atoms.center()
    return atoms


SETTINGS = {
    "tblite": {},
    "pyscf": {},
    "gpaw": {},
    "cp2k": {},
    "espresso": {
        "pseudo_dir": str(PSEUDOS),
        "pseudopotentials": {"H": "H.pbe-kjpaw.UPF", "O": "O.pbe-kjpaw.UPF"},
        "input_data": {"ecutwfc": 90, "ecutrho": 540},
    },
}


def hydrogens(n):
    """H2 or H3 in a small skewed cell."""
    places = [[0, 0, 0], [0.1, 0.05, 0.78], [1.5, 1.4, 1.9]]
    return Atoms(f"H{n}", positions=places[:n], cell=[[3.0, 0, 0], [0.2, 3.2, 0], [0, 0.1, 3.4]], pbc=True)
