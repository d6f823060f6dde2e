"""Electrons and spin: which number of unpaired electrons a structure is computed with.

Engines disagree in silence here (an impossible parity becomes a doublet, half a charge none at all), so it is settled
before any of them is asked.
"""

from collections.abc import Iterable

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float

from jaxft.labels.engine import NoLabelError

OPEN_SHELLS = frozenset([*range(21, 30), *range(39, 48), *range(57, 80), *range(89, 104)])
"""Z of the d and f elements whose ions often have unpaired electrons (groups 3 to 11)."""


NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)


def check_charge(numbers: Iterable[int], charge: int) -> None:
    """Raise NoLabelError for a charge that no structure of these atoms has: more than all valence electrons gone, or more
    electrons than close all shells. Engines compute such things without a word.

    Bounds: Σ (Z - Z of the noble gas before) and Σ (Z of the next noble gas - Z), which is 0 for a noble gas itself.
    """
    numbers = [int(z) for z in numbers]
    most = sum(z - max(n for n in NOBLE_GASES if n < z) for z in numbers)
    least = -sum(min(n for n in NOBLE_GASES if n >= z) - z for z in numbers)
    if not least <= charge <= most or charge >= sum(numbers):
        raise NoLabelError(
            "electron count",
            f"a charge of {charge} is not possible for these {len(numbers)} atoms; expected {least} to {most} at the very most, "
            "and an electron left",
        )


def unpaired_electrons(numbers: Iterable[int], n_electrons: int, multiplicity: int | None) -> int:
    """2S, the number of unpaired electrons, for ``n_electrons`` and a multiplicity 2S+1.

    Without a multiplicity it is the lowest that the number of electrons allows, 0 or 1, but only where no atom is a d
    or f element: for those the lowest is usually the wrong one (a cobalt(II) ion in water has three). Raises
    NoLabelError there, and for a multiplicity that does not fit the number of electrons.
    """
    if multiplicity is None:
        open_shells = sorted({int(z) for z in numbers} & OPEN_SHELLS)
        if open_shells:
            elements = ", ".join(chemical_symbols[z] for z in open_shells)
            raise NoLabelError(
                "electron count",
                f"the structure contains {elements}, so its multiplicity can't be guessed; "
                "set it (3n+1 for n high-spin Co(II), 1 for a closed shell)",
            )
        return n_electrons % 2
    if multiplicity < 1 or multiplicity - 1 > n_electrons or (n_electrons - multiplicity) % 2 == 0:
        parity = "an odd" if n_electrons % 2 == 0 else "an even"
        raise NoLabelError(
            "electron count",
            f"multiplicity {multiplicity} does not go with {n_electrons} electrons; expected {parity} multiplicity, or "
            "another charge",
        )
    return multiplicity - 1


def initial_moments(atoms: Atoms, unpaired: int) -> Float[np.ndarray, "atoms"]:
    """Magnetic moments (in electrons, all up) from which an SCF with ``unpaired`` unpaired electrons starts; they sum to it.

    The atoms' own initial moments where they have any, else spread evenly over the d and f elements, where there are
    none over everything heavier than hydrogen, else over all. Raises NoLabelError where the atoms' own have another
    sum: an engine that fixes the total moment would take that instead of the multiplicity.
    """
    own = atoms.get_initial_magnetic_moments()
    if own.any():
        if abs(own.sum() - unpaired) > 1e-6:
            raise NoLabelError(
                "electron count",
                f"the initial moments sum to {own.sum():g}, but the multiplicity {unpaired + 1} means {unpaired}; "
                "correct one of them",
            )
        return own
    for chosen in (np.isin(atoms.numbers, list(OPEN_SHELLS)), atoms.numbers > 1, atoms.numbers > 0):
        if chosen.any():
            return np.where(chosen, unpaired / chosen.sum(), 0.0)
    raise AssertionError("a structure without atoms came this far")
