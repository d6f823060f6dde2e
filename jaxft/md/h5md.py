"""The trajectory file: H5MD 1.1, one replica per file, laid out whole at the start so that a crash can't damage it.

The number of frames is known beforehand. All space is therefore allocated when the file is created, in one atomic step,
and later writes replace raw data only: whatever is killed when, the file stays readable. What is not yet written has
status -1. How many frames count is said by the checkpoint, which is written after the data reached the disk. No times,
hosts or compression: equal runs give equal bytes. Source: de Buyl, Colberg & Höfling, Comput. Phys. Commun. 185 (2014)
1546; h5md.nongnu.org, version 1.1.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from ase import Atoms

import jaxft
from jaxft.errors import InputError
from jaxft.records import write_atomically

FORMAT = "jaxft-trajectory"
VERSION = 2
OLDEST = 2
"""Version 1 held no kinetic energies and no degrees of freedom, which nothing can make up for."""

CHUNK = 65536
"""Bytes per chunk, roughly: about 100 frames of positions of 52 atoms."""

NOT_WRITTEN = -1
"""Status of a frame that has space but no data yet."""


class Column(NamedTuple):
    """One number, one vector per atom, or one cell in each frame; ``unit`` in the words of H5MD."""

    group: str
    dtype: str
    kind: str
    unit: str | None


COLUMNS = {
    "positions": Column("particles/all/position", "<f4", "atoms", "Angstrom"),
    "velocities": Column("particles/all/velocity", "<f4", "atoms", "Angstrom fs-1"),
    "cells": Column("particles/all/box/edges", "<f8", "cell", "Angstrom"),
    "energies": Column("observables/potential_energy", "<f8", "number", "eV"),
    "kinetic": Column("observables/kinetic_energy", "<f8", "number", "eV"),
    "conserved": Column("observables/conserved_energy", "<f8", "number", "eV"),
    "pressure": Column("observables/pressure", "<f8", "number", "eV Angstrom-3"),
    "steps": Column("observables/steps_done", "<i8", "number", None),
    # last, so that a frame with a status is complete
    "status": Column("observables/status", "<i4", "number", None),
}

MONITORED = {
    "extrapolation": Column("observables/extrapolation", "<f8", "number", None),
    "extrapolation_atom": Column("observables/extrapolation_atom", "<i4", "number", None),
    "extrapolation_above": Column("observables/extrapolation_above", "<i4", "number", None),
}
"""Of a run under a monitor only: its reading (``monitor.Reading``)."""


@dataclass(frozen=True)
class Layout:
    """What a file is laid out for.

    template     elements, masses, cell, periodicity, charge and multiplicity; its positions mean nothing
    n_frames     how many frames have space
    first_step   step of the first frame; the others follow every ``frame_every`` steps of ``timestep_fs``
    identity     hash of the run that it belongs to
    n_dof        thermal degrees of freedom
    moving_cell  whether each frame has a cell of its own; else all have the template's
    alarm        of the monitor: the frame limit, and after how many checks above it there is an alarm; None: no monitor
    """

    template: Atoms
    n_frames: int
    first_step: int
    frame_every: int
    timestep_fs: float
    identity: str
    n_dof: int
    moving_cell: bool = False
    alarm: tuple[float, int] | None = None

    def columns(self) -> dict[str, Column]:
        """What is written frame by frame."""
        always = {name: column for name, column in COLUMNS.items() if name != "cells" or self.moving_cell}
        status = always.pop("status")
        return {**always, **(MONITORED if self.alarm is not None else {}), "status": status}


def create(path: str | Path, layout: Layout) -> None:
    """Write an empty file with space for all frames, atomically; an older file at ``path`` is replaced."""
    write_atomically(path, lambda temporary: _lay_out(temporary, layout))


def open_file(path: str | Path, mode: str = "r") -> h5py.File:
    """An open trajectory file. Without locks: looking at a running simulation must never stop it.

    Raises InputError where it is missing, no HDF5, not ours, or newer.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; expected a trajectory (H5MD)")
    try:
        file = h5py.File(path, mode, locking=False)
    except OSError as error:
        raise InputError(f"{path} can't be read as HDF5 ({error}); expected a trajectory (H5MD)") from error
    attributes = file["parameters/jaxft"].attrs if "parameters/jaxft" in file else {}
    found, version = attributes.get("format"), int(attributes.get("format_version", 0))
    if found != FORMAT or version > VERSION:
        file.close()
        raise InputError(
            f"{path} has format {found!r} version {version}, expected {FORMAT!r} up to version {VERSION}; "
            "give a trajectory that jaxft wrote, or update jaxft"
        )
    if version < OLDEST:
        file.close()
        raise InputError(
            f"{path} is of version {version}, from before the first release, and lacks what is read now; run the dynamics again"
        )
    return file


def read_layout(file: h5py.File) -> Layout:
    """What the file was laid out for."""
    ours, particles = file["parameters/jaxft"].attrs, file["particles/all"]
    edges = particles["box/edges/value"][0] if "edges" in particles["box"] else None
    template = Atoms(
        numbers=particles["species"][()],
        positions=np.zeros((len(particles["species"]), 3)),
        cell=edges,
        pbc=[side == "periodic" for side in particles["box"].attrs["boundary"]],
        info=json.loads(ours["info"]),
    )
    masses = particles["mass"][()]
    if not np.array_equal(masses, template.get_masses()):
        template.set_masses(masses)
    return Layout(
        template=template,
        n_frames=len(particles["position/value"]),
        first_step=int(ours["first_step"]),
        frame_every=int(ours["frame_every"]),
        timestep_fs=float(ours["timestep_fs"]),
        identity=str(ours["identity"]),
        n_dof=int(ours["n_dof"]),
        moving_cell=bool(ours["moving_cell"]),
        alarm=(float(ours["frame_limit"]), int(ours["checks"])) if "frame_limit" in ours else None,
    )


def write_frames(path: str | Path, first: int, columns: Mapping[str, np.ndarray]) -> None:
    """Write frames ``first``, ``first + 1``, …; ``columns`` has all that the file was laid out for, frames along the first axis.

    Cells are written only where the file was laid out for cells that move.
    """
    with open_file(path, "r+") as file:
        for name, column in read_layout(file).columns().items():
            data = columns[name]
            file[column.group]["value"][first : first + len(data)] = data


def forget_frames(path: str | Path, first: int) -> None:
    """Mark all frames from ``first`` on as not written."""
    with open_file(path, "r+") as file:
        file[COLUMNS["status"].group]["value"][first:] = NOT_WRITTEN


def trim(path: str | Path, n_frames: int) -> None:
    """Give up the space after the first ``n_frames``, atomically; nothing happens where there is none."""
    with open_file(path) as old:
        layout = read_layout(old)
        if layout.n_frames <= n_frames:
            return
        shorter = replace(layout, n_frames=n_frames)

        def write(temporary: Path) -> None:
            _lay_out(temporary, shorter)
            for first in range(0, n_frames, _ROWS):
                rows = slice(first, min(first + _ROWS, n_frames))
                columns = layout.columns().items()
                write_frames(temporary, first, {name: old[c.group]["value"][rows] for name, c in columns})

        write_atomically(path, write)


def flush_to_disk(path: str | Path) -> None:
    """Return when everything that was written to ``path`` is on the disk."""
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())


_ROWS = 4096
"""Frames that are copied or filled at once."""


def _lay_out(path: Path, layout: Layout) -> None:
    n, atoms = layout.n_frames, layout.template
    # the earliest format has no checksums or flags in its metadata that a later write would have to change
    with h5py.File(path, "w", libver="earliest", locking=False) as file:
        _describe(file, layout)
        steps = layout.first_step + layout.frame_every * np.arange(n, dtype=np.int64)
        shapes = {"atoms": (n, len(atoms), 3), "cell": (n, 3, 3), "number": (n,)}
        for column in layout.columns().values():
            group = file.create_group(column.group)
            shape = shapes[column.kind]
            value = _allocate(group, shape, column.dtype, NOT_WRITTEN if column is COLUMNS["status"] else None)
            if column.unit is not None:
                value.attrs["unit"] = column.unit
            _link_times(file, group, steps, layout.timestep_fs)
        box = file.require_group("particles/all/box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["periodic" if p else "none" for p in atoms.pbc]
        if atoms.cell.array.any() and not layout.moving_cell:
            edges = box.create_group("edges")
            value = _allocate(edges, (n, 3, 3), "<f8", None)
            value.attrs["unit"] = "Angstrom"
            for first in range(0, n, _ROWS):
                value[first : first + _ROWS] = np.broadcast_to(atoms.cell.array, (min(_ROWS, n - first), 3, 3))
            _link_times(file, edges, steps, layout.timestep_fs)
        file["particles/all"].create_dataset("species", data=np.asarray(atoms.numbers, "<i4"))
        mass = file["particles/all"].create_dataset("mass", data=np.asarray(atoms.get_masses(), "<f8"))
        mass.attrs["unit"] = "u"


def _describe(file: h5py.File, layout: Layout) -> None:
    """What H5MD wants to know of the file, and what we do."""
    file.create_group("h5md").attrs["version"] = np.array([1, 1], dtype="<i4")
    file.create_group("h5md/author").attrs["name"] = "jaxft"
    file.create_group("h5md/creator").attrs.update({"name": "jaxft", "version": jaxft.__version__})
    units: dict[str, Any] = {"version": np.array([1, 0], dtype="<i4"), "system": "SI"}
    file.create_group("h5md/modules/units").attrs.update(units)
    file.create_group("parameters/jaxft").attrs.update(
        {
            "format": FORMAT,
            "format_version": VERSION,
            "identity": layout.identity,
            "first_step": layout.first_step,
            "frame_every": layout.frame_every,
            "timestep_fs": layout.timestep_fs,
            "n_dof": layout.n_dof,
            "moving_cell": layout.moving_cell,
            "info": json.dumps(layout.template.info, sort_keys=True),
        }
    )
    if layout.alarm is not None:
        file["parameters/jaxft"].attrs.update({"frame_limit": layout.alarm[0], "checks": layout.alarm[1]})


def _allocate(group: h5py.Group, shape: tuple[int, ...], dtype: str, fill: int | None) -> h5py.Dataset:
    """A dataset ``value`` whose space exists from the start, filled only where ``fill`` is given."""
    row = np.dtype(dtype).itemsize * int(np.prod(shape[1:]))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((min(shape[0], max(1, CHUNK // row)), *shape[1:]))
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER if fill is None else h5py.h5d.FILL_TIME_ALLOC)
    if fill is not None:
        properties.set_fill_value(np.array(fill, dtype=dtype))
    properties.set_obj_track_times(False)
    space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(np.dtype(dtype))
    h5py.h5d.create(group.id, b"value", kind, space, properties)
    return group["value"]


def _link_times(file: h5py.File, group: h5py.Group, steps: np.ndarray, timestep_fs: float) -> None:
    """Steps and times of a group: those of the positions, to which all others are hard links."""
    positions = file[COLUMNS["positions"].group]
    if "step" not in positions:
        positions.create_dataset("step", data=steps)
        positions.create_dataset("time", data=steps * timestep_fs).attrs["unit"] = "fs"
    if group != positions:
        group["step"], group["time"] = positions["step"], positions["time"]
