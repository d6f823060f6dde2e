"""A trajectory that was written: what a run recorded of one replica, read back. Writing it is ``h5md.py``'s part."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from jaxft import units
from jaxft.errors import InputError
from jaxft.md.h5md import COLUMNS, open_file, read_layout
from jaxft.md.lazy_array import LazyArray


@dataclass(frozen=True)
class Trajectory:
    """Frames of one replica, the first axis of each array.

    positions   (frames, atoms, 3) Å, float32, not wrapped; read from the file slice by slice
    velocities  (frames, atoms, 3) Å/fs, float32; likewise
    energies    (frames,) potential energy in eV, reference energies included, float64
    kinetic     (frames,) kinetic energy in eV
    status      (frames,) ``guards.Status``; not 0 once the replica has stopped: such a frame repeats its last good
                state
    steps       (frames,) steps that the replica had done, exact also where it stopped
    time_fs     (frames,) the same in fs
    template    elements, masses, cell, periodicity, charge and multiplicity; its positions are zero
    """

    positions: LazyArray
    velocities: LazyArray
    energies: Float[np.ndarray, "frames"]
    kinetic: Float[np.ndarray, "frames"]
    status: Int[np.ndarray, "frames"]
    steps: Int[np.ndarray, "frames"]
    time_fs: Float[np.ndarray, "frames"]
    template: Atoms

    def __len__(self) -> int:
        return len(self.energies)

    @property
    def temperatures(self) -> Float[np.ndarray, "frames"]:
        """Kinetic temperature 2K/3Nk in K: momentum is not conserved, so 3N degrees of freedom."""
        return self.kinetic / (1.5 * len(self.template) * units.KELVIN)

    def to_atoms(self, frame: int) -> Atoms:
        """One frame with positions and momenta, in ASE's units."""
        atoms = self.template.copy()
        atoms.positions = self.positions[frame]
        atoms.set_velocities(self.velocities[frame].astype(np.float64) / units.FEMTOSECOND)
        return atoms


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
        energies, kinetic, steps = (file[COLUMNS[name].group]["value"][:n] for name in ("energies", "kinetic", "steps"))
    return Trajectory(
        positions=LazyArray(path, f"{COLUMNS['positions'].group}/value", n),
        velocities=LazyArray(path, f"{COLUMNS['velocities'].group}/value", n),
        energies=energies,
        kinetic=kinetic,
        status=status[:n],
        steps=steps,
        time_fs=steps * layout.timestep_fs,
        template=layout.template,
    )
