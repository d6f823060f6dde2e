"""The full state of a simulation in one file, replaced in one step: where a killed run goes on, bit for bit.

Positions, momenta, forces, random keys, energies, statuses, steps and temperatures of all replicas, and the capacities,
so that the same programs are compiled. Potential, settings and atoms are not part of it; the file says to which it
belongs, and is refused by any other run.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxft.errors import InputError
from jaxft.md.block import Drive, Replicas
from jaxft.md.identity import first_difference, identity_of
from jaxft.md.simulation import Simulation
from jaxft.records import write_atomically

FORMAT = "jaxft-md-checkpoint"
VERSION = 1


class Restored(NamedTuple):
    """Where a run stands: its state, and how many frames of it are safely recorded."""

    simulation: Simulation
    frames: int


def save_checkpoint(path: str | Path, simulation: Simulation, frames: int, identity: dict[str, Any]) -> None:
    """Write the state atomically. identity: ``identity_of`` the simulation that the run began with, or more."""
    replicas, dynamics = simulation.replicas, simulation.replicas.dynamics
    arrays = {
        "positions": dynamics.position,
        "momenta": dynamics.momentum,
        "forces": dynamics.force,
        "keys": jax.random.key_data(dynamics.rng),
        "energy": replicas.energy,
        "status": replicas.status,
        "steps": replicas.steps,
        "kT": simulation.drive.kT,
    }
    record = {
        "format": FORMAT,
        "format_version": VERSION,
        "frames": frames,
        "edges": simulation.edges,
        "candidates": simulation.candidates,
        "identity": identity,
    }
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"jaxft": json.dumps(record, sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(plain, temporary, metadata=metadata))


def restore(simulation: Simulation, path: str | Path, identity: dict[str, Any] | None = None) -> Restored:
    """``simulation``, as the run began with it, taken on to the state in ``path``.

    identity: as given to ``save_checkpoint``; by default ``identity_of(simulation)``. Raises InputError where the file
    is missing, damaged, newer, or of another run (the first difference is named).
    """
    record, arrays = _read(Path(path))
    difference = first_difference(record["identity"], identity or identity_of(simulation))
    if difference is not None:
        raise InputError(
            f"{path} belongs to another run: {difference}; choose another path, or remove it to begin anew"
        )
    begun = simulation.replicas.dynamics
    dynamics = begun.set(
        position=jnp.asarray(arrays["positions"]),
        momentum=jnp.asarray(arrays["momenta"]),
        force=jnp.asarray(arrays["forces"]),
        rng=jax.random.wrap_key_data(jnp.asarray(arrays["keys"]), impl=jax.random.key_impl(begun.rng)),
    )
    energy, status, steps = (jnp.asarray(arrays[name]) for name in ("energy", "status", "steps"))
    drive = simulation.drive
    restored = replace(
        simulation,
        replicas=Replicas(dynamics, energy, status, steps),
        drive=Drive(jnp.asarray(arrays["kT"]), drive.timestep, drive.friction),
        edges=record["edges"],
        candidates=record["candidates"],
    )
    return Restored(restored, record["frames"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a checkpoint of dynamics")
    try:
        with safe_open(path, framework="numpy") as file:
            record = json.loads((file.metadata() or {}).get("jaxft", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it to begin anew") from error
    if record.get("format") != FORMAT or record.get("format_version", 0) > VERSION:
        raise InputError(
            f"{path} is {record.get('format')} version {record.get('format_version')}, expected {FORMAT} up to version "
            f"{VERSION}; remove it, or update jaxft"
        )
    return record, arrays
