"""The full state of a simulation in one file, replaced in one step: where a killed run goes on, bit for bit.

Positions, momenta, cells, thermostats, random keys, energies, statuses, steps and temperatures of all replicas, what a monitor
has counted, and the capacities, so that the same programs are compiled. Potential, settings and atoms are not part of it; the file
says to which it belongs, and is refused by any other run. The one before stays beside it (``NAME.previous``) and takes its place
where the disk has spoiled the newest.
"""

import json
import shutil
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxft import pytree
from jaxft.errors import InputError
from jaxft.md.block import Replicas
from jaxft.md.dynamics import Dynamics
from jaxft.md.identity import first_difference, identity_of
from jaxft.md.neighbors import Grid
from jaxft.md.simulation import Simulation
from jaxft.records import write_atomically

FORMAT = "jaxft-md-checkpoint"
VERSION = 2


class Restored(NamedTuple):
    """Where a run stands: its state, and how many frames of it are safely recorded."""

    simulation: Simulation
    frames: int


def save_checkpoint(path: str | Path, simulation: Simulation, frames: int, identity: dict[str, Any]) -> None:
    """Write the state atomically. identity: ``identity_of`` the simulation that the run began with, or more."""
    replicas = simulation.replicas
    dynamics = replicas.dynamics.set(rng=jax.random.key_data(replicas.dynamics.rng))
    arrays = {
        **{f"dynamics/{name}": getattr(dynamics, name) for name in _DYNAMICS},
        "energy": replicas.energy,
        "status": replicas.status,
        "steps": replicas.steps,
        "kT": simulation.bath.kT,
    }
    if replicas.above is not None:
        arrays["above"] = replicas.above
    record = {
        "format": FORMAT,
        "format_version": VERSION,
        "frames": frames,
        "edges": simulation.edges,
        "candidates": simulation.candidates,
        "grid": simulation.grid._asdict(),
        "identity": identity,
    }
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"jaxft": json.dumps(record, sort_keys=True)}
    if Path(path).exists():
        write_atomically(previous(path), lambda temporary: shutil.copyfile(path, temporary))
    write_atomically(path, lambda temporary: save_file(plain, temporary, metadata=metadata))


def restore(simulation: Simulation, path: str | Path, identity: dict[str, Any] | None = None) -> Restored:
    """``simulation``, as the run began with it, taken on to the state in ``path``, or in the one before where that is damaged.

    identity: as given to ``save_checkpoint``; by default ``identity_of(simulation)``. Raises InputError where the file
    is missing, damaged with none before it, of another version, or of another run (the first difference is named).
    """
    record, arrays = _read_newest(Path(path))
    difference = first_difference(record["identity"], identity or identity_of(simulation))
    if difference is not None:
        raise InputError(
            f"{path} belongs to another run: {difference}; choose another path, or remove it to begin anew"
        )
    found = Dynamics(**{name: jnp.asarray(arrays[f"dynamics/{name}"]) for name in _DYNAMICS})
    key = jax.random.wrap_key_data(found.rng, impl=jax.random.key_impl(simulation.replicas.dynamics.rng))
    energy, status, steps = (jnp.asarray(arrays[name]) for name in ("energy", "status", "steps"))
    above = None if simulation.watch is None else jnp.asarray(arrays["above"])
    bins, reach, per_bin = (record["grid"][name] for name in Grid._fields)
    restored = replace(
        simulation,
        replicas=Replicas(found.set(rng=key), energy, status, steps, above),
        bath=pytree.replace(simulation.bath, kT=jnp.asarray(arrays["kT"])),
        edges=record["edges"],
        candidates=record["candidates"],
        grid=Grid(tuple(bins), tuple(reach), per_bin),
    )
    return Restored(restored, record["frames"])


def previous(path: str | Path) -> Path:
    """Where the checkpoint before this one is kept."""
    return Path(path).with_name(f"{Path(path).name}.previous")


_DYNAMICS = [field.name for field in fields(Dynamics)]


def _read_newest(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        return _read(path)
    except _DamagedError as error:
        if not previous(path).exists():
            raise
        warnings.warn(f"{error}; going on from the checkpoint before it", stacklevel=2)
        return _read(previous(path))


class _DamagedError(InputError):
    """The file can't be read."""


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a checkpoint of dynamics")
    try:
        with safe_open(path, framework="numpy") as file:
            record = json.loads((file.metadata() or {}).get("jaxft", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise _DamagedError(f"{path} is damaged ({error}); remove it to begin anew") from error
    if record.get("format") != FORMAT or record.get("format_version", 0) != VERSION:
        raise InputError(
            f"{path} is {record.get('format')} version {record.get('format_version')}, expected {FORMAT} version "
            f"{VERSION}; remove it to begin anew, or use the jaxft that wrote it"
        )
    return record, arrays
