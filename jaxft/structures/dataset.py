"""Labelled structures on disk: extended XYZ with REF_energy, REF_forces, REF_stress, as MACE and others read it.

A file comes back bit for bit, and equal data give equal bytes. Whatever is wrong with a foreign file is said at once,
with the frames by number; nothing is dropped or mended on the way. Splitting data for training is not decided here.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.extxyz import SPECIAL_3_3_KEYS

from jaxft.errors import InputError
from jaxft.records import write_text
from jaxft.structures.checks import check_structure
from jaxft.structures.extxyz import format_frame, read_frames
from jaxft.structures.labelled import (
    FAR,
    REF_KEYS,
    LabelKeys,
    LabelledStructure,
    find_value,
    is_isolated_atom,
    is_marked_isolated,
    label_of,
)

__all__ = [
    "REF_KEYS",
    "LabelKeys",
    "LabelledStructure",
    "find_duplicates",
    "read_dataset",
    "split_isolated_atoms",
    "write_dataset",
]

FORMAT, FORMAT_VERSION = "jaxft-dataset", 1

SAME_ENERGY = 1e-3
"""eV; energies of one isolated atom that differ by less are one energy, printed twice or converged twice."""


def read_dataset(path: str | Path, keys: LabelKeys = REF_KEYS) -> list[LabelledStructure]:
    """Read every frame of an extended XYZ file with its label, in float64, in the order of the file.

    Isolated atoms need no forces; stress is optional (see ``label_of``). Entries and arrays that are not labels stay
    with the structure, but those under ASE's own names (energy, forces, stress, dipole, magmoms ...) go with the
    calculator that ASE reads them into. Structures that occur twice are kept, and give one warning; isolated atoms give none.
    Raises InputError where the file is absent, empty, damaged or newer than this jaxft, has no labels under these
    keys, or has frames with missing, misshapen or non-finite labels or an unusable structure (``check_structure``).
    """
    path = Path(path)
    frames = read_frames(path)
    for k, atoms in enumerate(frames):
        _take_off_format(atoms, f"{path} frame {k}")
    _refuse_missing_labels(path, frames, keys)
    dataset = []
    for k, atoms in enumerate(frames):
        check_structure(atoms, f"{path} frame {k}")
        dataset.append(replace(label_of(atoms, keys, f"{path} frame {k}"), where=f"{path} frame {k}"))
    _note_duplicates(path, dataset)
    _note_left_stress(path, frames, keys)
    return dataset


def write_dataset(path: str | Path, dataset: Sequence[LabelledStructure], keys: LabelKeys = REF_KEYS) -> None:
    """Write labelled structures as extended XYZ, whole or not at all; equal data give equal bytes.

    Floats get as many digits as bring back the same float64. Raises InputError where there is nothing to write, where
    an entry has the name of a label, or where an entry can't be stored so that it comes back.
    """
    if not dataset:
        raise InputError(f"there are no labelled structures to write to {path}; expected at least one")
    write_text(path, "".join(format_labelled(labelled, keys) for labelled in dataset))


def format_labelled(labelled: LabelledStructure, keys: LabelKeys = REF_KEYS) -> str:
    """One frame of such a file. Raises InputError for an entry that has the name of a label or can't be stored."""
    entries: dict[str, float | np.ndarray] = {keys.energy: float(labelled.energy)}
    if labelled.stress is not None:
        stress = np.asarray(labelled.stress, dtype=np.float64)
        entries[keys.stress] = stress if keys.stress in SPECIAL_3_3_KEYS else stress.ravel()
    forces = np.asarray(labelled.forces, dtype=np.float64)
    constants = {"format": FORMAT, "format_version": str(FORMAT_VERSION)}
    return format_frame(labelled.atoms, {keys.forces: forces}, entries, constants)


def split_isolated_atoms(
    dataset: Iterable[LabelledStructure],
) -> tuple[list[LabelledStructure], dict[int, float]]:
    """The structures proper, and the energies (eV) of isolated atoms by atomic number.

    An element may occur several times where its energies agree within ``SAME_ENERGY``; their mean counts. Raises InputError
    where they don't, and where a frame of several atoms is marked as isolated.
    """
    structures: list[LabelledStructure] = []
    isolated: dict[int, list[LabelledStructure]] = {}
    for labelled in dataset:
        atoms = labelled.atoms
        if is_isolated_atom(atoms):
            isolated.setdefault(int(atoms.numbers[0]), []).append(labelled)
            continue
        if is_marked_isolated(atoms):
            raise InputError(
                f"{labelled.where or 'a structure'} has config_type={labelled.info['config_type']} and {len(atoms)} atoms; "
                "expected one atom"
            )
        structures.append(labelled)
    return structures, {z: _energy_of_isolated(frames) for z, frames in isolated.items()}


def _energy_of_isolated(frames: Sequence[LabelledStructure]) -> float:
    """The one energy of frames of one element; equal energies stay what they are to the last bit."""
    low, high = (choose(frames, key=lambda frame: frame.energy) for choose in (min, max))
    if high.energy - low.energy >= SAME_ENERGY:
        each = " and ".join(f"{frame.energy} eV" + f" ({frame.where})" * bool(frame.where) for frame in (low, high))
        raise InputError(
            f"isolated {low.atoms.symbols[0]} has two energies, {each}; keep one (frames of one atom further than {FAR:g} Å from "
            "its periodic images are isolated atoms)"
        )
    return low.energy if low.energy == high.energy else float(np.mean([frame.energy for frame in frames]))


def find_duplicates(dataset: Sequence[LabelledStructure]) -> list[tuple[int, int]]:
    """Index pairs (first, again) of structures that are the same bit for bit: elements, positions, cell, pbc."""
    seen: dict[tuple[bytes, ...], int] = {}
    repeats = []
    for k, labelled in enumerate(dataset):
        atoms = labelled.atoms
        # adding 0.0 turns -0.0 into 0.0
        parts = (atoms.numbers.astype(np.int64), atoms.positions + 0.0, atoms.cell.array + 0.0, atoms.pbc)
        first = seen.setdefault(tuple(part.tobytes() for part in parts), k)
        if first != k:
            repeats.append((first, k))
    return repeats


def _note_duplicates(path: Path, dataset: Sequence[LabelledStructure]) -> None:
    repeats = [pair for pair in find_duplicates(dataset) if not is_isolated_atom(dataset[pair[0]].atoms)]
    if not repeats:
        return
    first, again = repeats[0]
    differs = "" if dataset[first].energy == dataset[again].energy else " with another energy"
    more = f" (and {len(repeats) - 1} more repeats)" if len(repeats) > 1 else ""
    warnings.warn(
        f"{path}: frame {again} repeats the structure of frame {first}{differs}{more}; repeats count twice in a fit",
        stacklevel=3,
    )


def _note_left_stress(path: Path, frames: Sequence[Atoms], keys: LabelKeys) -> None:
    """A molecule or a slab has no stress: codes that print one for any box print zeros, or that of a box with vacuum in it."""
    left = [
        k
        for k, atoms in enumerate(frames)
        if not atoms.pbc.all() and not is_isolated_atom(atoms) and find_value(atoms, keys.stress) is not None
    ]
    if left:
        warnings.warn(
            f"{path}: {keys.stress} of {len(left)} of {len(frames)} frames (first: {left[0]}) is left out, since their cells are "
            "not periodic in all directions",
            stacklevel=3,
        )


def _take_off_format(atoms: Atoms, what: str) -> None:
    """Our own mark, which says how a frame is laid out; a foreign file has none."""
    if atoms.info.get("format") != FORMAT:
        return
    version = atoms.info.pop("format_version", None)
    if not isinstance(version, int | np.integer) or version > FORMAT_VERSION:
        raise InputError(
            f"{what} has {FORMAT} version {version}, but this jaxft reads up to {FORMAT_VERSION}; update it"
        )
    del atoms.info["format"]


def _refuse_missing_labels(path: Path, frames: Sequence[Atoms], keys: LabelKeys) -> None:
    """One message for the whole file: nothing is labelled, or these frames lack that."""
    has = {key: [find_value(atoms, key) is not None for atoms in frames] for key in (keys.energy, keys.forces)}
    if not any(has[keys.energy]) and not any(has[keys.forces]):
        found = sorted({name for atoms in frames for name in _label_like(atoms)})
        there = f"it has {', '.join(found)}: name those as keys" if found else "label its structures first"
        raise InputError(f"{path} has no labels {keys.energy} and {keys.forces} in {len(frames)} frames; {there}")
    has[keys.forces] = [there or is_isolated_atom(a) for there, a in zip(has[keys.forces], frames, strict=True)]
    for key, there_is in has.items():
        missing = [k for k, there in enumerate(there_is) if not there]
        if missing:
            shown = ", ".join(map(str, missing[:8])) + (" ..." if len(missing) > 8 else "")
            raise InputError(
                f"{path} lacks {key} in {len(missing)} of {len(frames)} frames ({shown}); label or remove these frames"
            )


def _label_like(atoms: Atoms) -> list[str]:
    names = [*atoms.info, *atoms.arrays, *getattr(atoms.calc, "results", {})]
    return [name for name in names if re.search(r"energy|forces?$|stress", name, flags=re.IGNORECASE)]
