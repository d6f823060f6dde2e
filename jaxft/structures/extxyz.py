"""Extended XYZ as text: frames in by ASE's reader, frames out with every digit.

ASE's writer keeps eight decimals, and its reader stops at a blank line without a word. Here a float comes back bit
for bit, and a file is read whole or refused. What the entries mean is none of this file's business (see
``labelled.py``).
"""

import json
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from ase.io.extxyz import XYZError, key_val_dict_to_str, key_val_str_to_dict

from jaxft.errors import InputError

RESERVED = frozenset({"Lattice", "Properties", "pbc"})


def read_frames(path: Path) -> list[Atoms]:
    """All frames of an extended XYZ file. Raises InputError where it is absent, empty, cut off, or not such a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected an extended XYZ file with labelled structures") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; expected an extended XYZ file with labelled structures") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text ({error}); expected an extended XYZ file") from None
    if not text.strip():
        raise InputError(f"{path} is empty; expected an extended XYZ file with labelled structures")
    _refuse_hidden_frames(path, text)
    try:
        frames = read(StringIO(text), index=":", format="extxyz")
    except (XYZError, ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} can't be read as extended XYZ ({reason}); repair it") from error
    assert isinstance(frames, list)
    return frames


def format_frame(
    atoms: Atoms, arrays: Mapping[str, np.ndarray], entries: Mapping[str, Any], constants: Mapping[str, str]
) -> str:
    """One frame as text: positions and ``arrays`` as columns; ``entries``, then ``atoms.info``, on its second line.

    arrays      columns that come first, before ``atoms.arrays`` in alphabetical order
    entries     values that come first, before ``atoms.info`` in alphabetical order
    constants   words that come last, after the periodicity
    Raises InputError where two things have one name, or something can't be stored so that it comes back.
    """
    others = {name: atoms.arrays[name] for name in sorted(atoms.arrays) if name not in ("numbers", "positions")}
    for name in (*arrays, *entries, *constants, *RESERVED):
        if name in atoms.info or name in others:
            raise InputError(
                f"a structure has an entry {name!r} of its own, but its file needs that name; remove or rename it"
            )
    columns = {"species": np.array(atoms.get_chemical_symbols()), "pos": atoms.positions, **arrays, **others}
    words = [f'Lattice="{_numbers(atoms.cell.array)}"'] if atoms.cell.array.any() else []
    words.append("Properties=" + ":".join(_property(name, column) for name, column in columns.items()))
    words += [_entry(name, value) for name, value in entries.items()]
    words += [_entry(name, atoms.info[name]) for name in sorted(atoms.info)]
    words.append('pbc="{} {} {}"'.format(*("FT"[int(periodic)] for periodic in atoms.pbc)))
    words += [f"{name}={value}" for name, value in constants.items()]
    rows = (" ".join(row) for row in zip(*(_texts(column) for column in columns.values()), strict=True))
    return "\n".join([str(len(atoms)), " ".join(words), *rows]) + "\n"


def _refuse_hidden_frames(path: Path, text: str) -> None:
    lines = text.split("\n")
    k = n_frames = 0
    while k < len(lines) and lines[k].strip():
        if not re.fullmatch(r"\s*\d+\s*", lines[k]):
            raise InputError(
                f"{path} line {k + 1} is {lines[k][:40]!r}; expected the number of atoms of frame {n_frames} there"
            )
        n_atoms = int(lines[k])
        k += 2 + n_atoms
        if k > len(lines) or any(not line.strip() for line in lines[k - n_atoms : k]):
            raise InputError(
                f"{path} breaks off in frame {n_frames}, which should have {n_atoms} atoms; restore the file"
            )
        n_frames += 1
    if any(line.strip() for line in lines[k:]):
        raise InputError(f"{path} has a blank line at {k + 1} and more frames behind it; remove the blank line")


def _numbers(array: np.ndarray) -> str:
    return " ".join(map(repr, np.asarray(array, dtype=np.float64).ravel().tolist()))


def _property(name: str, column: np.ndarray) -> str:
    kind = {"f": "R", "i": "I", "u": "I", "b": "L", "U": "S"}.get(column.dtype.kind)
    if kind is None or column.ndim > 2 or re.search(r'[\s:="]', name):
        raise InputError(
            f"the array {name!r} ({column.dtype}, {column.ndim} axes) has no place in extended XYZ; remove or rename it"
        )
    return f"{name}:{kind}:{1 if column.ndim == 1 else column.shape[1]}"


def _texts(column: np.ndarray) -> list[str]:
    if column.dtype.kind == "b":
        column = np.where(column, "T", "F")
    spell = repr if column.dtype.kind == "f" else str
    rows = [list(map(spell, row)) for row in column.reshape(len(column), -1).tolist()]
    if any(not word or re.search(r"\s", word) for row in rows for word in row):
        raise InputError(f"an array of words holds an empty one or a space ({column[:3].tolist()} ...); remove it")
    return [" ".join(row) for row in rows]


def _entry(name: str, value: Any) -> str:
    """``name=value`` as ASE writes it if that comes back as it was, else as JSON: text like 12e3 would be a number."""
    candidates = []
    if isinstance(value, str | bool | int | float | np.generic | np.ndarray):
        candidates.append(key_val_dict_to_str({name: value}))
    try:
        json_text = json.dumps(value.tolist() if isinstance(value, np.ndarray | np.generic) else value, sort_keys=True)
        candidates.append(f"{name}={json.dumps('_JSON ' + json_text)}")
    except TypeError:
        pass  # not JSON: left to the check below
    for text in candidates:
        if "\n" not in text and _same(_parsed(text), {name: value}):
            return text
    raise InputError(f"info[{name!r}] = {value!r} can't be stored in extended XYZ so that it comes back; remove it")


def _parsed(text: str) -> dict[str, Any]:
    """What ASE makes of an entry; nothing where it refuses (it wants nine numbers behind ``stress`` and ``virial``)."""
    try:
        return key_val_str_to_dict(text)
    except ValueError:
        return {}


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(_same(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, list | tuple | np.ndarray):
        return np.shape(found) == np.shape(wanted) and all(map(_same, found, wanted))
    if isinstance(wanted, str):
        return isinstance(found, str) and found == wanted
    return not isinstance(found, str) and bool(found == wanted)
