"""The host loop of dynamics: block after block, frames into files, a checkpoint behind them, and resuming after a kill.

Replicas are spread over all devices that there are.

A run of n frames is cut into blocks at places that depend on nothing but ``block_frames``, so a run that was
interrupted computes the same blocks as one that was not and, on a CPU, ends with the same bits. Frames are on the disk
before the checkpoint that counts them.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from jaxft import units
from jaxft.errors import InputError
from jaxft.md.block import COMPILATIONS, Frames
from jaxft.md.checkpoint import previous, restore, save_checkpoint
from jaxft.md.devices import distribute
from jaxft.md.ensembles import ENSEMBLES
from jaxft.md.guards import describe
from jaxft.md.h5md import Layout, create, flush_to_disk, forget_frames, open_file, read_layout, trim, write_frames
from jaxft.md.identity import digest, identity_of
from jaxft.md.monitor import Reading
from jaxft.md.simulation import Simulation, advance
from jaxft.records import write_text
from jaxft.structures.extxyz import format_frame


@dataclass(frozen=True)
class Progress:
    """How far a run is, after each block.

    frames, n_frames  recorded so far, and wanted
    steps             done by each running replica since ``start``
    ns_per_day        of one replica, over the last block (the first one includes compiling)
    running           how many replicas still run
    temperature       kinetic, in K, mean over the running replicas and the frames of the block; NaN where none runs
    energy_per_atom   potential energy in eV, reference energies included, likewise
    """

    frames: int
    n_frames: int
    steps: int
    ns_per_day: float
    running: int
    temperature: float
    energy_per_atom: float


@dataclass(frozen=True)
class Stop:
    """Why a replica stopped, and its last good state's step and time (fs), counted since ``start``."""

    reason: str
    step: int
    time_fs: float


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    simulation    the state at its end
    stops         per replica, None where it ran to the end
    valid_frames  per replica, how many frames were recorded while it ran; later ones repeat its last good state
    n_frames      frames in each trajectory
    compilations  blocks compiled by this call
    wall_s        duration of this call in s
    """

    simulation: Simulation
    stops: tuple[Stop | None, ...]
    valid_frames: tuple[int, ...]
    n_frames: int
    compilations: int
    wall_s: float


def run(
    simulation: Simulation,
    n_frames: int,
    *,
    checkpoint: Path | None = None,
    trajectories: Sequence[Path] | None = None,
    block_frames: int = 25,
    checkpoint_every_s: float = 0.0,
    from_temperature: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Run until ``n_frames`` are recorded or all replicas have stopped.

    simulation          as the run begins, also where it goes on from a checkpoint
    checkpoint          where the state is kept; if it exists the run goes on from it, and returns at once if it had
                        ended
    trajectories        one file per replica; None: frames are not kept. The last good state of a replica that a guard stopped
                        is written beside its file, as NAME-stopped.extxyz
    block_frames        frames per compiled block
    checkpoint_every_s  s between checkpoints; 0: after every block. There is always one at the end
    from_temperature    K: the bath goes linearly from there to its temperature over the run; None: it is there at once

    Raises InputError where checkpoint or trajectories belong to another run.
    """
    began, compiled = time.perf_counter(), COMPILATIONS.total()
    identity = {**identity_of(simulation), "n_frames": n_frames, "block_frames": block_frames}
    if from_temperature is not None:
        identity["from_temperature"] = from_temperature
    paths = _check(simulation, n_frames, block_frames, trajectories)
    now, done = simulation, 0
    if checkpoint is not None and Path(checkpoint).exists():
        now, done = restore(simulation, checkpoint, identity)
    layouts = [_layout(simulation, k, n_frames, digest(identity)) for k in range(len(paths))]
    _prepare(paths, layouts, done)
    now = distribute(now)

    saved = time.perf_counter()
    # at least one block, so that every trajectory has a frame
    while done < n_frames and (done == 0 or (now.status == 0).any()):
        count = min(block_frames, n_frames - done)
        block_began = time.perf_counter()
        heating = _heating(simulation, from_temperature, n_frames, done, count)
        now, frames = advance(now, count, longest=block_frames, heating=heating)
        for replica, path in enumerate(paths):
            write_frames(path, done, _columns(now, frames, replica))
        done += count
        ended = done == n_frames or not (now.status == 0).any()
        if checkpoint is not None and (ended or time.perf_counter() - saved >= checkpoint_every_s):
            for path in paths:
                flush_to_disk(path)
            save_checkpoint(checkpoint, now, done, identity)
            saved = time.perf_counter()
        if on_progress is not None:
            on_progress(_progress(now, frames, done, n_frames, time.perf_counter() - block_began))
    for path in paths:
        trim(path, done)
    if checkpoint is not None:
        previous(checkpoint).unlink(missing_ok=True)
    stops = tuple(_stop(now, replica) for replica in range(now.n_replicas))
    for replica, path in enumerate(paths):
        _write_snapshot(now, replica, stops[replica], path)
    return Outcome(
        simulation=now,
        stops=stops,
        valid_frames=_valid_frames(simulation, now),
        n_frames=done,
        compilations=COMPILATIONS.total() - compiled,
        wall_s=time.perf_counter() - began,
    )


def _check(
    simulation: Simulation, n_frames: int, block_frames: int, trajectories: Sequence[Path] | None
) -> tuple[Path, ...]:
    if n_frames < 1 or block_frames < 1:
        raise InputError(f"a run needs at least one frame, and one per block; got {n_frames} and {block_frames}")
    paths = tuple(Path(path) for path in trajectories or ())
    if trajectories is not None and len(set(paths)) != simulation.n_replicas:
        raise InputError(f"{simulation.n_replicas} replicas need as many trajectory files, got {len(set(paths))}")
    return paths


def _heating(
    simulation: Simulation, from_temperature: float | None, n_frames: int, done: int, count: int
) -> np.ndarray | None:
    """Factor on the bath's temperature for each of the next frames: a straight line that ends at 1 with the last frame."""
    if from_temperature is None:
        return None
    begin = from_temperature / simulation.settings.temperature
    return begin + (1.0 - begin) * np.arange(done + 1, done + count + 1) / n_frames


def _layout(simulation: Simulation, replica: int, n_frames: int, identity: str) -> Layout:
    every, watch = simulation.settings.frame_every, simulation.watch
    return Layout(
        template=simulation.frame(replica),
        n_frames=n_frames,
        first_step=int(np.max(simulation.replicas.steps)) + every,
        frame_every=every,
        timestep_fs=simulation.settings.timestep_fs,
        identity=identity,
        n_dof=simulation.n_dof,
        moving_cell=ENSEMBLES[simulation.settings.ensemble].moves_cell,
        alarm=None if watch is None else (float(watch.frame_limit), int(watch.checks)),
    )


def _prepare(paths: Sequence[Path], layouts: Sequence[Layout], done: int) -> None:
    """Files with space for all frames, ``done`` of them written. A file of another run is never touched."""
    space = {path: _space(path, layout.identity, done) for path, layout in zip(paths, layouts, strict=True)}
    for path, layout in zip(paths, layouts, strict=True):
        if done == 0:
            create(path, layout)
        elif space[path] > done:
            forget_frames(path, done)


def _space(path: Path, identity: str, done: int) -> int:
    """How many frames fit into a file that must hold ``done`` already; 0 where there is none yet."""
    if not path.exists() and done == 0:
        return 0
    if not path.exists():
        raise InputError(
            f"{path} is missing, but its checkpoint counts {done} frames; put it back, or remove the checkpoint"
        )
    with open_file(path) as file:
        found = read_layout(file)
    if found.identity != identity:
        raise InputError(f"{path} belongs to another run; choose another path, or remove it")
    if found.n_frames < done:
        raise InputError(
            f"{path} has {found.n_frames} frames, but its checkpoint counts {done}; remove both to begin anew"
        )
    return found.n_frames


def _columns(simulation: Simulation, frames: Frames, replica: int) -> dict[str, Any]:
    """A block of one replica as the trajectory file wants it: Å, Å/fs, eV with reference energies in float64."""
    momenta = np.asarray(frames.momenta[:, replica], dtype=np.float64)
    masses = simulation.template.get_masses()[:, None]
    return {
        "positions": frames.positions[:, replica],
        "velocities": momenta / masses * units.FEMTOSECOND,
        "energies": np.asarray(frames.energy[:, replica], dtype=np.float64) + simulation.reference_energy[replica],
        "kinetic": frames.kinetic[:, replica],
        "conserved": np.asarray(frames.conserved[:, replica], np.float64) + simulation.reference_energy[replica],
        "pressure": frames.pressure[:, replica],
        "cells": frames.cells[:, replica],
        "steps": frames.steps[:, replica],
        "status": frames.status[:, replica],
        **({} if frames.reading is None else _reading(frames.reading, replica)),
    }


def _reading(reading: Reading, replica: int) -> dict[str, Any]:
    """What a monitor said of one replica, by the names of its columns."""
    return {
        "extrapolation": reading.ratio[:, replica],
        "extrapolation_atom": reading.atom[:, replica],
        "extrapolation_above": reading.above[:, replica],
    }


def _progress(simulation: Simulation, frames: Frames, done: int, n_frames: int, wall_s: float) -> Progress:
    running = simulation.status == 0
    n_atoms, settings = len(simulation.template), simulation.settings
    fs = len(frames.energy) * settings.frame_every * settings.timestep_fs
    some = running.any()
    kinetic = float(np.mean(frames.kinetic[:, running], dtype=np.float64)) if some else math.nan
    energies = frames.energy[:, running] + simulation.reference_energy[running]
    energy = float(np.mean(energies, dtype=np.float64)) if some else math.nan
    return Progress(
        frames=done,
        n_frames=n_frames,
        steps=int(np.max(simulation.replicas.steps)),
        ns_per_day=fs * 1.0e-6 * 86400.0 / wall_s,
        running=int(running.sum()),
        temperature=2.0 * kinetic / (simulation.n_dof * units.KELVIN),
        energy_per_atom=energy / n_atoms,
    )


def _stop(simulation: Simulation, replica: int) -> Stop | None:
    status, step = int(simulation.status[replica]), int(simulation.replicas.steps[replica])
    return Stop(describe(status), step, step * simulation.settings.timestep_fs) if status else None


def _write_snapshot(simulation: Simulation, replica: int, stop: Stop | None, trajectory: Path) -> None:
    """The last good state of a stopped replica, with momenta, the reason, and when; nothing for one that ran on."""
    if stop is None:
        return
    atoms = simulation.atoms(replica)
    plain = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, momenta=atoms.get_momenta())
    entries = {"stopped": stop.reason, "step": stop.step, "time_fs": stop.time_fs}
    write_text(trajectory.with_name(f"{trajectory.stem}-stopped.extxyz"), format_frame(plain, {}, entries, {}))


def _valid_frames(begun: Simulation, now: Simulation) -> tuple[int, ...]:
    steps = np.asarray(now.replicas.steps) - np.asarray(begun.replicas.steps)
    return tuple(int(n) for n in steps // begun.settings.frame_every)
