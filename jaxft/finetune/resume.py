"""Exact resume: the whole training state and its history in one file, replaced in one step.

A fit that was killed goes on from its last chunk and ends with the same bits as one that was not. The file says which
fit it belongs to; another fit's file is refused, never mixed in. One safetensors file holds arrays and record
together, since two files could be of different moments.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxft.errors import InputError
from jaxft.finetune.step import TrainState
from jaxft.records import write_atomically

FORMAT = "jaxft-finetune-state"
VERSION = 4


class Progress(NamedTuple):
    """Where training stands.

    states   of all members, stacked along the first axis of every array
    history  (updates done, members, fields of UpdateRecord)
    checks   (checks, members) losses that tell the best parameters (``training.py``)
    best     stacked trees of the parameters with the smallest of them
    """

    states: TrainState
    history: np.ndarray
    checks: np.ndarray
    best: Any


def save_progress(path: str | Path, progress: Progress, identity: dict[str, Any]) -> None:
    """Write ``progress`` atomically. identity: plain JSON that tells this fit from every other."""
    arrays = {name: np.ascontiguousarray(leaf) for name, leaf in _named(progress)}
    record = json.dumps({"format": FORMAT, "format_version": VERSION, "identity": identity}, sort_keys=True)
    write_atomically(path, lambda temporary: save_file(arrays, temporary, metadata={"jaxft": record}))


def load_progress(path: str | Path, like: Progress, identity: dict[str, Any]) -> Progress | None:
    """What ``save_progress`` wrote, or None where there is no file. ``like``: progress of the same structure.

    Raises InputError where the file is damaged, newer, or belongs to another fit (the first difference is named).
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            record = json.loads((file.metadata() or {}).get("jaxft", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it to train from the start") from error
    if record.get("format") != FORMAT or record.get("format_version", 0) > VERSION:
        raise InputError(
            f"{path} is {record.get('format')} version {record.get('format_version')}, expected {FORMAT} up to version "
            f"{VERSION}; remove it, or update jaxft"
        )
    if record["format_version"] < VERSION:
        raise InputError(
            f"{path} is a fit that an older jaxft left in the middle; remove it to train that model from its start (labels "
            "and finished models are kept)"
        )
    was = record["identity"]
    differing = [key for key in {**identity, **was} if was.get(key) != identity.get(key)]
    if differing:
        raise InputError(
            f"{path} belongs to another fit: {differing[0]} was {was.get(differing[0])!r}, is now "
            f"{identity.get(differing[0])!r}; remove it to train from the start, or choose another path"
        )
    # what is NumPy stays NumPy: history and checks are float64 whatever the precision of the network
    leaves = [
        arrays[name] if isinstance(leaf, np.ndarray) else jnp.asarray(arrays[name]) for name, leaf in _named(like)
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _named(progress: Progress) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(progress)[0]]
