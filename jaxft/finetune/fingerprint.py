"""Hashes that tell one potential, or one set of labels, from another: for lineage records and for safe resuming."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from jaxft.potential.checkpoint import flatten
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure


def hash_potential(potential: Potential) -> str:
    """SHA-256 of network settings, elements, reference energies and parameters; provenance is not part of it."""
    digest = hashlib.sha256()
    settings = potential.network.settings.to_json()
    what = [type(potential.network).__name__, settings, list(potential.atomic_numbers), list(potential.heads)]
    digest.update(json.dumps(what, sort_keys=True).encode())
    _add(digest, "reference_energies", potential.reference_energies)
    for path, leaf in flatten(potential.params):
        _add(digest, "/".join(path), leaf)
    return digest.hexdigest()


def hash_labels(data: Sequence[LabelledStructure]) -> str:
    """SHA-256 of structures and labels in their order, as float64; nothing else that ``Atoms`` may carry."""
    digest = hashlib.sha256()
    for item in data:
        atoms = item.atoms
        _add(digest, "numbers", np.asarray(atoms.numbers, np.int64))
        _add(digest, "pbc", np.asarray(atoms.pbc, bool))
        for name, value in (
            ("positions", atoms.positions),
            ("cell", atoms.cell.array),
            ("energy", item.energy),
            ("forces", item.forces),
            ("stress", np.zeros(0) if item.stress is None else item.stress),
        ):
            _add(digest, name, np.asarray(value, np.float64))
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", name: str, array: np.ndarray) -> None:
    digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
