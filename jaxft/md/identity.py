"""Which run is this? Hashes that tell one run from every other, so that a file is never continued by another run.

They cover what decides a trajectory: network, parameters and reference energies; settings; atoms, cells, starting
positions and random keys; temperatures, timestep, friction, relaxation times, pressure; a monitor, if there is one. Momenta are
left out: they follow from the rest, and another machine may round them otherwise.
"""

import dataclasses
import hashlib
import json
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxft.md.simulation import Simulation


def identity_of(simulation: Simulation) -> dict[str, Any]:
    """Plain JSON that is equal for equal runs; ``simulation`` as the run begins."""
    replicas, bath, template = simulation.replicas, simulation.bath, simulation.template
    # one potential for all replicas has one energy, however many there are
    energies = simulation.reference_energy if simulation.stacked else simulation.reference_energy[:1]
    watch = simulation.watch
    monitor = (
        {} if watch is None else {"monitor": f"{_words(watch.network)} {watch.layers} {_hash(jax.tree.leaves(watch))}"}
    )
    return {
        # no entry where there is none: files of before there were monitors are still those of their runs
        **monitor,
        "network": _words(simulation.network),
        "parameters": _hash([*jax.tree.leaves(simulation.params), energies]),
        "settings": dataclasses.asdict(simulation.settings),
        "atoms": _hash([template.numbers, template.get_masses(), template.cell.array, template.pbc]),
        "start": _hash(
            [
                replicas.dynamics.position,
                replicas.dynamics.cell,
                jax.random.key_data(replicas.dynamics.rng),
                replicas.steps,
                replicas.status,
                *jax.tree.leaves(replicas.above),
                *jax.tree.leaves(bath),
            ]
        ),
        "dtype": str(replicas.dynamics.position.dtype),
    }


def first_difference(found: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """``name was x, is now y`` of the first entry in which two identities differ, or None."""
    for name in [*(name for name in found if name not in expected), *expected]:
        if found.get(name) != expected.get(name):
            return f"{name} was {found.get(name)!r}, is now {expected.get(name)!r}"
    return None


def digest(identity: dict[str, Any]) -> str:
    """SHA-256 of an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


_FLAX = ("parent", "name")
"""Fields of every flax module that say where it stands, not what it computes."""


def _words(network: nn.Module) -> str:
    """Kind and settings of a network."""
    fields = {f.name: repr(getattr(network, f.name)) for f in dataclasses.fields(network) if f.name not in _FLAX}
    return f"{type(network).__name__} {json.dumps(fields, sort_keys=True)}"


def _hash(arrays: list[Any]) -> str:
    sha = hashlib.sha256()
    for array in map(np.asarray, arrays):
        sha.update(f"{array.dtype.str} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()
