"""An entry of the label store as a database row, and back; arrays as little-endian bytes, so that nothing is rounded.

Blobs are float64 in C order (numbers int32, pbc one byte each). ``stored_at`` is a Unix time; like wall_s, cpu_s and
host it is for people and never reaches a result file.
"""

import json
import sqlite3
import time
from typing import Any

import numpy as np
from ase import Atoms

from jaxft.labels.label import Cost, Entry, Failure, Label, Provenance

COLUMNS = (
    *("key", "settings_key", "numbers", "positions", "cell", "pbc"),
    *("engine", "version", "settings", "charge", "multiplicity"),
    *("energy", "forces", "stress", "n_unpaired", "moments", "scf_steps", "recipe"),
    *("reason", "detail", "files"),
    *("wall_s", "cpu_s", "host", "stored_at"),
)


def entry_to_row(key: str, settings_key: str, atoms: Atoms, entry: Entry) -> dict[str, Any]:
    """The columns of an entry, by name."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "key": key,
        "settings_key": settings_key,
        "numbers": atoms.numbers.astype("<i4").tobytes(),
        "positions": _blob(atoms.positions),
        "cell": _blob(atoms.cell.array),
        "pbc": atoms.pbc.astype(np.uint8).tobytes(),
        "engine": entry.provenance.engine,
        "version": entry.provenance.version,
        "settings": json.dumps(dict(entry.provenance.settings), sort_keys=True),
        "charge": entry.provenance.charge,
        "multiplicity": entry.provenance.multiplicity,
        "wall_s": entry.cost.wall_s,
        "cpu_s": entry.cost.cpu_s,
        "host": entry.cost.host,
        "stored_at": time.time(),
    }
    if isinstance(entry, Failure):
        return row | {"reason": entry.reason, "detail": entry.detail, "files": entry.files}
    return row | {
        "energy": entry.energy,
        "forces": _blob(entry.forces),
        "stress": _blob(entry.stress),
        "n_unpaired": entry.n_unpaired,
        "moments": _blob(entry.moments),
        "scf_steps": entry.scf_steps,
        "recipe": entry.recipe,
    }


def row_to_entry(row: sqlite3.Row) -> Entry:
    """The label or failure of a row, to the last bit as it was stored."""
    provenance = Provenance(
        row["engine"], row["version"], json.loads(row["settings"]), row["charge"], row["multiplicity"]
    )
    cost = Cost(row["wall_s"], row["cpu_s"], row["host"])
    if row["reason"] is not None:
        return Failure(row["reason"], row["detail"], provenance, cost, row["files"])
    return Label(
        energy=row["energy"],
        forces=_array(row["forces"]).reshape(-1, 3),
        stress=None if row["stress"] is None else _array(row["stress"]).reshape(3, 3),
        provenance=provenance,
        cost=cost,
        n_unpaired=row["n_unpaired"],
        moments=None if row["moments"] is None else _array(row["moments"]),
        scf_steps=row["scf_steps"],
        recipe=row["recipe"],
    )


def row_to_atoms(row: sqlite3.Row) -> Atoms:
    """The structure of a row, with the charge and multiplicity that were asked for in its info."""
    atoms = Atoms(
        numbers=np.frombuffer(row["numbers"], dtype="<i4"),
        positions=_array(row["positions"]).reshape(-1, 3),
        cell=_array(row["cell"]).reshape(3, 3),
        pbc=np.frombuffer(row["pbc"], dtype=np.uint8).astype(bool),
    )
    for name in ("charge", "multiplicity"):
        if row[name] is not None:
            atoms.info[name] = int(row[name]) if float(row[name]).is_integer() else row[name]
    return atoms


def _blob(values: np.ndarray | None) -> bytes | None:
    return None if values is None else np.asarray(values).astype("<f8").tobytes()


def _array(blob: bytes) -> np.ndarray:
    return np.frombuffer(blob, dtype="<f8").astype(np.float64)
