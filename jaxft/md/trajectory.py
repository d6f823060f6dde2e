"""A trajectory that was written: what a run recorded of one replica, read back. Writing it is ``h5md.py``'s part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from jaxtyping import Bool, Float, Int

from jaxft import units
from jaxft.errors import InputError
from jaxft.md.h5md import COLUMNS, MONITORED, Layout, open_file, read_layout
from jaxft.md.lazy_array import LazyArray


@dataclass(frozen=True)
class Extrapolation:
    """What a monitor said while the trajectory ran.

    ratio        (frames,) largest Q/limit of an atom; NaN where nothing was checked
    atom         (frames,) whose that is; -1 likewise
    above        (frames,) checks in a row, up to then, with a ratio above the frame limit
    frame_limit  above it a check counts
    checks       after so many in a row there is an alarm
    """

    ratio: Float[np.ndarray, "frames"]
    atom: Int[np.ndarray, "frames"]
    above: Int[np.ndarray, "frames"]
    frame_limit: float
    checks: int

    @property
    def alarms(self) -> Bool[np.ndarray, "frames"]:
        """Whether there is an alarm at a frame."""
        return self.above >= self.checks


@dataclass(frozen=True)
class Trajectory:
    """Frames of one replica, the first axis of each array.

    positions   (frames, atoms, 3) Å, float32, not wrapped; read from the file slice by slice
    velocities  (frames, atoms, 3) Å/fs, float32; likewise
    cells       (frames, 3, 3) Å where a barostat moves the cell; None: it is the template's throughout
    energies    (frames,) potential energy in eV, reference energies included, float64
    kinetic     (frames,) kinetic energy in eV
    conserved   (frames,) what the exact equations of motion keep constant, eV (``ensembles.conserved_energy``)
    pressure    (frames,) instantaneous, eV/Å³, positive in compression
    status      (frames,) ``guards.Status``; not 0 once the replica has stopped: such a frame repeats its last good
                state
    steps       (frames,) steps that the replica had done, exact also where it stopped
    time_fs     (frames,) the same in fs
    n_dof       thermal degrees of freedom
    template    elements, masses, cell, periodicity, charge and multiplicity; its positions are zero
    extrapolation  what a monitor said; None where there was none
    """

    positions: LazyArray
    velocities: LazyArray
    cells: LazyArray | None
    energies: Float[np.ndarray, "frames"]
    kinetic: Float[np.ndarray, "frames"]
    conserved: Float[np.ndarray, "frames"]
    pressure: Float[np.ndarray, "frames"]
    status: Int[np.ndarray, "frames"]
    steps: Int[np.ndarray, "frames"]
    time_fs: Float[np.ndarray, "frames"]
    n_dof: int
    template: Atoms
    extrapolation: Extrapolation | None = None

    def __len__(self) -> int:
        return len(self.energies)

    @property
    def temperatures(self) -> Float[np.ndarray, "frames"]:
        """Kinetic temperature 2K/(n_dof k) in K."""
        return 2.0 * self.kinetic / (self.n_dof * units.KELVIN)

    def to_atoms(self, frame: int) -> Atoms:
        """One frame with positions and momenta, in ASE's units."""
        atoms = self.template.copy()
        if self.cells is not None:
            atoms.set_cell(self.cells[frame])
        atoms.positions = self.positions[frame]
        atoms.set_velocities(self.velocities[frame].astype(np.float64) / units.FEMTOSECOND)
        return atoms

    def structures(self, frames: Sequence[int], chunk: int = 256) -> Iterator[Atoms]:
        """Frames one after another without velocities, read ``chunk`` at a time."""
        for start in range(0, len(frames), chunk):
            wanted = list(frames[start : start + chunk])
            positions = self.positions[wanted]
            cells = None if self.cells is None else self.cells[wanted]
            for k in range(len(wanted)):
                atoms = self.template.copy()
                if cells is not None:
                    atoms.set_cell(cells[k])
                atoms.positions = positions[k]
                yield atoms


def read_trajectory(path: str | Path, n_frames: int | None = None) -> Trajectory:
    """The first ``n_frames`` of a trajectory file, by default all that were written.

    Where a run was killed, only as many count as its checkpoint says. Raises InputError where the file is missing, not
    ours, newer, or has fewer frames.
    """
    path = Path(path)
    with open_file(path) as file:
        layout = read_layout(file)
        status = file[COLUMNS["status"].group]["value"][()]
        written = int(np.append(status < 0, True).argmax())
        if n_frames is not None and not 0 <= n_frames <= written:
            raise InputError(f"{path} holds {written} frames, but {n_frames} were asked for")
        n = written if n_frames is None else n_frames
        numbers = {
            name: file[COLUMNS[name].group]["value"][:n]
            for name in ("energies", "kinetic", "conserved", "pressure", "steps")
        }
        extrapolation = _extrapolation(file, layout, n)
    return Trajectory(
        positions=LazyArray(path, f"{COLUMNS['positions'].group}/value", n),
        velocities=LazyArray(path, f"{COLUMNS['velocities'].group}/value", n),
        cells=LazyArray(path, f"{COLUMNS['cells'].group}/value", n) if layout.moving_cell else None,
        status=status[:n],
        time_fs=numbers["steps"] * layout.timestep_fs,
        n_dof=layout.n_dof,
        **numbers,
        template=layout.template,
        extrapolation=extrapolation,
    )


def _extrapolation(file: h5py.File, layout: Layout, n: int) -> Extrapolation | None:
    if layout.alarm is None:
        return None
    ratio, atom, above = (file[column.group]["value"][:n] for column in MONITORED.values())
    return Extrapolation(ratio, atom, above, *layout.alarm)
