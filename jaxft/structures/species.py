"""Atomic numbers to species indices: a potential knows a table of elements, and networks count within it."""

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Int

from jaxft.errors import InputError


def species_of(numbers: Int[np.ndarray, "atoms"], table: Sequence[int]) -> Int[np.ndarray, "atoms"]:
    """0-based index of each atomic number in ``table``; InputError names every element that the table lacks."""
    index = np.full(len(chemical_symbols), -1, dtype=np.int32)
    index[list(table)] = np.arange(len(table), dtype=np.int32)
    species = index[np.asarray(numbers, dtype=np.int64)]
    if (species < 0).any():
        missing = sorted(set(np.asarray(numbers)[species < 0].tolist()))
        known = [chemical_symbols[z] for z in table]
        shown = " ".join(known) if len(known) <= 12 else f"{len(known)} elements"
        raise InputError(
            f"this potential does not know {', '.join(chemical_symbols[z] for z in missing)}; it was trained on {shown}. "
            "Choose another base potential or remove these atoms"
        )
    return species
