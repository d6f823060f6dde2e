"""How near two atoms of different molecules may start: minimum distances by pair of elements.

Meant for packing only, so that a relaxation begins with whole molecules and no accidental chemistry. They lie just
inside the first peak of the pair distributions in liquids, as shares of tabulated radii, by three kinds of element.
"""

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from jaxtyping import Float

NONMETALS = frozenset(
    (
        "H",
        "He",
        "B",
        "C",
        "N",
        "O",
        "F",
        "Ne",
        "Si",
        "P",
        "S",
        "Cl",
        "Ar",
        "Ge",
        "As",
        "Se",
        "Br",
        "Kr",
        "Sb",
        "Te",
        "I",
        "Xe",
    )
)

HEAVY_HEAVY = 0.85  # of the vdW sum: O-O 2.55 (liquid water begins at 2.5), Cl-Cl 3.09 Å
HEAVY_HYDROGEN = 0.67  # of the vdW sum: a hydrogen bond, O-H 1.81, Cl-H 2.02 Å
HYDROGEN_HYDROGEN = 0.75  # of the vdW sum: 1.8 Å
METAL_HEAVY = 1.0  # of the covalent sum: a coordination bond, Li-O 1.94, Co-Cl 2.28 Å
METAL_HYDROGEN = 1.4  # of the covalent sum: water turns its oxygen to a cation, Li-H 2.23, Co-H 2.20 Å
METAL_METAL = 1.1  # of the covalent sum: Co-Li 2.79 Å; near enough for liquid metals


def minimum_distances(elements: Sequence[int]) -> Float[np.ndarray, "elements elements"]:
    """Symmetric matrix of minimum distances in Å between the given atomic numbers.

    Radii: van der Waals from S. Alvarez, Dalton Trans. 42 (2013) 8617, covalent from B. Cordero et al., Dalton Trans.
    (2008) 2832, both as tabulated by ASE. The shares are ours.
    """
    return np.array([[_minimum_distance(a, b) for b in elements] for a in elements])


def _minimum_distance(a: int, b: int) -> float:
    metals = sum(chemical_symbols[z] not in NONMETALS for z in (a, b))
    hydrogens = sum(z == atomic_numbers["H"] for z in (a, b))
    if metals:
        share = METAL_METAL if metals == 2 else METAL_HYDROGEN if hydrogens else METAL_HEAVY
        return float(share * (covalent_radii[a] + covalent_radii[b]))
    share = (HEAVY_HEAVY, HEAVY_HYDROGEN, HYDROGEN_HYDROGEN)[hydrogens]
    return float(share * (vdw_radii[a] + vdw_radii[b]))
