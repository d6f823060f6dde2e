"""Keys: what makes two labels the same label, as a hash.

The structure (rounded to 1e-8 Å), the charge and multiplicity asked for, the engine and all of its settings. Not the
engine's version, so that an upgrade does not throw paid labels away; not threads, names, velocities or anything else
that the atoms carry.
"""

import hashlib
import json

import numpy as np
from ase import Atoms

from jaxft.errors import InputError
from jaxft.labels.reference import ReferenceSettings, asked_state, identity_of

DECIMALS = 8
"""Å; a structure written to extended XYZ and read back keeps its key."""


def settings_key(reference: ReferenceSettings) -> str:
    """SHA-256 of the engine and all of its settings, defaults included, so that a changed default is another reference.

    Raises InputError for settings that the engine does not know or that are no JSON values.
    """
    try:
        text = json.dumps([reference.engine, identity_of(reference)], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the settings of {reference.engine} can't be stored ({error}); expected plain JSON values"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def label_key(atoms: Atoms, reference: ReferenceSettings, settings_hash: str | None = None) -> str:
    """SHA-256 of a structure under a reference; ``settings_hash`` saves hashing the same settings again."""
    charge, multiplicity = asked_state(atoms, reference)
    digest = hashlib.sha256(b"jaxft-label 1\0")
    digest.update((settings_hash or settings_key(reference)).encode())
    digest.update(json.dumps([len(atoms), charge, multiplicity]).encode())
    digest.update(atoms.numbers.astype("<i4").tobytes())
    digest.update(_rounded(atoms.positions))
    digest.update(_rounded(atoms.cell.array))
    digest.update(atoms.pbc.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _rounded(values: np.ndarray) -> bytes:
    # + 0.0 turns -0.0 into 0.0, which is the same place
    return (np.round(np.asarray(values, dtype=np.float64), DECIMALS) + 0.0).astype("<f8").tobytes()
