"""Frames in a stream: positions and cells that are read a few hundred at a time, so that memory does not grow with a run.

What every chemical analysis reads, whether from our trajectory files or from arrays of the user. Nothing is kept of a
frame once it has been looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Bool, Float, Int

from jaxft.errors import InputError
from jaxft.md.lazy_array import LazyArray
from jaxft.md.trajectory import Trajectory
from jaxft.structures.cell import check_cell, complete_cell, heights

CHUNK = 256
"""Frames that are read at once."""

EVEN_FS = 1e-6
"""Spacings of frames that differ by less are equal."""


class Chunk(NamedTuple):
    """Consecutive frames: index of the first, positions (frames, atoms, 3), cells (frames, 3, 3), float64 in Å."""

    start: int
    positions: Float[np.ndarray, "frames atoms 3"]
    cells: Float[np.ndarray, "frames 3 3"]


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames at even spacing, of always the same atoms.

    positions  (frames, atoms, 3) Å; a NumPy array, or one that stays in its file
    cells      (3, 3) Å where the cell stands still, (frames, 3, 3) where it moves
    pbc        (3,) which directions are periodic
    numbers    (atoms,) atomic numbers
    frame_fs   spacing in fs
    first_fs   time of frame 0
    start      first frame to look at; indices of frames count from frame 0 all the same
    stop       the frame after the last one to look at; None: all
    """

    positions: np.ndarray | LazyArray
    cells: np.ndarray | LazyArray
    pbc: Bool[np.ndarray, "3"]
    numbers: Int[np.ndarray, "atoms"]
    frame_fs: float
    first_fs: float = 0.0
    start: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        shape, n_atoms = tuple(self.positions.shape), len(self.numbers)
        if len(shape) != 3 or shape[1:] != (n_atoms, 3):
            raise InputError(
                f"positions have the shape {shape}, expected (frames, {n_atoms}, 3) for {n_atoms} atomic numbers"
            )
        cells = tuple(self.cells.shape)
        if cells != (3, 3) and cells != (shape[0], 3, 3):
            raise InputError(f"cells have the shape {cells}, expected (3, 3) or ({shape[0]}, 3, 3), as many as frames")
        if self.moving_cell and not np.all(self.pbc):
            raise InputError(
                f"the cell moves, but pbc is {np.asarray(self.pbc).tolist()}; "
                "expected a cell that is periodic in all directions, or one cell for all frames"
            )
        if not self.frame_fs > 0.0:
            raise InputError(f"frames are {self.frame_fs} fs apart, expected more than 0; give their spacing in fs")
        if not 0 <= self.start <= self.end <= shape[0]:
            raise InputError(f"frames {self.start} to {self.stop} were asked for, but there are {shape[0]}")

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def end(self) -> int:
        """The frame after the last one."""
        return len(self.positions) if self.stop is None else self.stop

    @property
    def moving_cell(self) -> bool:
        """Whether each frame has a cell of its own."""
        return len(self.cells.shape) == 3

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbol of each atom."""
        return tuple(chemical_symbols[z] for z in np.asarray(self.numbers).tolist())

    def time_fs(self, frame: int) -> float:
        """Time of a frame."""
        return float(self.first_fs + frame * self.frame_fs)

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All frames, ``size`` at a time. Raises InputError at a frame that is not finite, or whose cell is degenerate."""
        pbc = np.asarray(self.pbc, dtype=bool)
        for start in range(self.start, self.end, size):
            rows = slice(start, min(start + size, self.end))
            positions = np.asarray(self.positions[rows], dtype=np.float64)
            finite = np.isfinite(positions).all(axis=(1, 2))
            if not finite.all():
                bad = start + int(np.argmin(finite))
                raise InputError(f"frame {bad} has positions that are not finite; cut the trajectory before it")
            moving = np.asarray(self.cells[rows] if self.moving_cell else self.cells, dtype=np.float64)
            for cell in moving.reshape(-1, 3, 3)[:: len(positions)]:
                check_cell(cell, pbc)
            yield Chunk(start, positions, np.broadcast_to(moving, (len(positions), 3, 3)))

    def shortest_height(self) -> float:
        """The shortest perpendicular height of the cell in Å, over all frames. Raises InputError unless all is periodic."""
        pbc = np.asarray(self.pbc, dtype=bool)
        if not pbc.all():
            raise InputError(
                f"the box is not periodic in all three directions (pbc is {pbc.tolist()}), so it has no half height and "
                "no density; use frames of a periodic box"
            )
        check_cell(self.cells[self.start] if self.moving_cell and len(self) else np.asarray(self.cells), pbc)
        if not self.moving_cell:
            return float(heights(np.asarray(self.cells)).min())
        return min(
            (float(1.0 / np.linalg.norm(np.linalg.inv(self.cells[k : k + CHUNK]), axis=1).max()))
            for k in range(self.start, self.end, CHUNK)
        )


def frames_of(trajectory: Trajectory, start: int = 0) -> Frames:
    """The frames of a trajectory from ``start`` up to where its replica stopped, if it did.

    Frames after a stop repeat the last good state and are no dynamics. Raises InputError where the spacing is uneven.
    """
    stopped = np.flatnonzero(np.asarray(trajectory.status) != 0)
    stop = int(stopped[0]) if len(stopped) else len(trajectory)
    spacings = np.diff(trajectory.time_fs[:stop])
    if len(spacings) and np.ptp(spacings) > EVEN_FS:
        raise InputError(
            f"frames are between {spacings.min():g} and {spacings.max():g} fs apart, expected even spacing; "
            "cut the trajectory where the spacing changes"
        )
    template = trajectory.template
    return Frames(
        positions=trajectory.positions,
        cells=np.asarray(template.cell) if trajectory.cells is None else trajectory.cells,
        pbc=np.asarray(template.pbc),
        numbers=np.asarray(template.numbers),
        # of a single frame the spacing is not known and does not matter
        frame_fs=float(spacings.mean()) if len(spacings) else 1.0,
        first_fs=float(trajectory.time_fs[0]) if stop else 0.0,
        start=min(start, stop),
        stop=stop,
    )


def unwrap(
    positions: Float[np.ndarray, "frames atoms 3"],
    cells: Float[np.ndarray, "frames 3 3"],
    pbc: Bool[np.ndarray, "3"],
    before: Float[np.ndarray, "atoms 3"] | None = None,
) -> Float[np.ndarray, "frames atoms 3"]:
    """Positions of consecutive frames with whole lattice vectors taken out of every step, so that no atom ever jumps.

    ``before`` are fractional coordinates of the frame before the first (``fractional`` of what came back last), None at
    the start. Positions that are unwrapped already come back unchanged, as long as no atom moves by half a height of the
    box from one frame to the next: frames must be near each other in time.
    """
    pbc = np.asarray(pbc, dtype=bool)
    if not pbc.any() or len(positions) == 0:
        return positions
    scaled = fractional(positions, cells, pbc)
    steps = np.diff(scaled, axis=0, prepend=(scaled[:1] if before is None else before[None]))
    turns = np.cumsum(np.where(pbc, np.round(steps), 0.0), axis=0)
    return positions - turns @ cells if turns.any() else positions


def fractional(
    positions: Float[np.ndarray, "frames atoms 3"], cells: Float[np.ndarray, "frames 3 3"], pbc: Bool[np.ndarray, "3"]
) -> Float[np.ndarray, "frames atoms 3"]:
    """Fractional coordinates; along directions that are not periodic in an arbitrary unit."""
    return positions @ inverses(cells, pbc)


def inverses(cells: Float[np.ndarray, "frames 3 3"], pbc: Bool[np.ndarray, "3"]) -> Float[np.ndarray, "*frames 3 3"]:
    """Inverse cells: one for all frames, (1, 3, 3), where the cell stands still; missing vectors are filled in."""
    still = len(cells) == 0 or cells.strides[0] == 0
    some = cells[:1] if still else cells
    if np.all(pbc):
        return np.linalg.inv(some)
    return np.linalg.inv([complete_cell(cell, np.asarray(pbc), np.empty((0, 3)), 1.0) for cell in some])
