"""Where replicas run: spread over all devices, and how many side by side on one."""

import os
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxft import pytree
from jaxft.md.block import run_block
from jaxft.md.simulation import Simulation, select

USABLE = 0.8
"""Share of a device's free memory that replicas may fill: the rest is for what the allocator wastes."""


def distribute(simulation: Simulation) -> Simulation:
    """Replicas spread evenly over as many devices as divide their number; unchanged where there is one device.

    The compiled block then runs on all of them, each with its share; replicas don't talk to each other but for the decision
    when neighbor lists are rebuilt.
    """
    devices = jax.devices()
    n = simulation.n_replicas
    used = max(k for k in range(1, min(n, len(devices)) + 1) if n % k == 0)
    if used == 1:
        return simulation
    mesh = Mesh(np.array(devices[:used]), ("replicas",))
    split, whole = NamedSharding(mesh, PartitionSpec("replicas")), NamedSharding(mesh, PartitionSpec())

    def put(tree: Any, sharding: NamedSharding) -> Any:
        return jax.device_put(tree, sharding)

    system, bath = simulation.system, simulation.bath
    volume = put(system.limits.volume, split)
    return replace(
        simulation,
        params=put(simulation.params, split if simulation.stacked else whole),
        system=pytree.replace(
            put(system, whole),
            bonds=put(system.bonds, split),
            limits=pytree.replace(put(system.limits, whole), volume=volume),
        ),
        bath=pytree.replace(put(bath, whole), kT=put(bath.kT, split)),
        replicas=put(simulation.replicas, split),
        watch=put(simulation.watch, whole),
    )


CPU_ATOMS = 208
"""Atoms side by side in one program on a processor. More are slower, since they leave its caches: four boxes of 52 atoms gave 1.3
times the steps per second of one, 64 boxes 0.85 times; boxes of 416 atoms are fastest alone (experiments/vmapped_vs_serial)."""


def replicas_per_batch(simulation: Simulation, block_frames: int) -> int:
    """How many replicas to run side by side, at least 1: what memory holds, and on a processor no more than its caches do."""
    most = simulation.n_replicas
    if jax.default_backend() == "cpu":
        most = min(most, max(1, CPU_ATOMS // len(simulation.template)))
    # one has to fit, and asking costs two compilations
    return most if most == 1 else min(most, replicas_that_fit(simulation, block_frames))


def replicas_that_fit(simulation: Simulation, block_frames: int) -> int:
    """How many replicas like those of ``simulation`` one block can hold in the memory of a device, at least 1.

    The compiler's own account of a block of one and of two replicas gives the bytes per replica (two compilations).
    """
    one, two = (_bytes(simulation, [0] * n, block_frames) for n in (1, 2))
    per_replica = max(two - one, 1)
    fixed = max(one - per_replica, 0)
    free = int(USABLE * free_memory())
    return int(np.clip((free - fixed) // per_replica, 1, simulation.n_replicas))


def free_memory() -> int:
    """Bytes that are free on the first device, or on the machine where JAX runs on its processor."""
    statistics = jax.devices()[0].memory_stats()
    if statistics and "bytes_limit" in statistics:
        return int(statistics["bytes_limit"]) - int(statistics.get("bytes_in_use", 0))
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _bytes(simulation: Simulation, replicas: list[int], block_frames: int) -> int:
    """What a block of these replicas needs: arguments, results and everything between."""
    some = select(simulation, replicas)
    compiled = run_block.lower(
        some.network,
        some.shape(block_frames),
        some.params,
        some.system,
        some.bath,
        np.ones(block_frames, dtype=some.bath.kT.dtype),
        some.replicas,
        np.int32(block_frames),
        some.watch,
    ).compile()
    need: Any = compiled.memory_analysis()
    return int(need.argument_size_in_bytes + need.output_size_in_bytes + need.temp_size_in_bytes)
