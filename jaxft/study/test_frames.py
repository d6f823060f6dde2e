"""Labelled frames of a model's own dynamics on disk: what every later question about errors is asked of.

``evaluation/frames/NAME.extxyz``: positions, ``REF_energy`` and ``REF_forces``, the test seed and the time; where the reference
failed, ``label_failure`` says why and there is no label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from jaxft.errors import InputError
from jaxft.labels.label import Entry, Failure
from jaxft.records import write_text
from jaxft.structures.extxyz import format_frame, read_frames
from jaxft.structures.labelled import REF_KEYS

SEED, TIME, FAILURE = "test_seed", "test_time_fs", "label_failure"


@dataclass(frozen=True, eq=False)
class TestFrames:
    """Frames that the reference was asked about, all seeds after each other.

    energies   (frames,) eV, NaN where the label failed
    forces     one (atoms, 3) array per frame, eV/Å, likewise
    times_fs   (frames,) from the start of the test, equilibration left out
    failures   reason by frame
    """

    __test__ = False  # no test class of pytest's

    atoms: tuple[Atoms, ...]
    seeds: Int[np.ndarray, "frames"]
    times_fs: Float[np.ndarray, "frames"]
    energies: Float[np.ndarray, "frames"]
    forces: tuple[Float[np.ndarray, "atoms 3"], ...]
    failures: dict[int, str]

    @property
    def labelled(self) -> Int[np.ndarray, "labelled"]:
        """Numbers of the frames that have a label."""
        return np.array([k for k in range(len(self.atoms)) if k not in self.failures], dtype=np.int64)


def write_test_frames(
    path: Path, frames: Sequence[Sequence[Atoms]], times_fs: Sequence[Sequence[float]], entries: Sequence[Entry]
) -> None:
    """Frames and times by seed, and their labels in the same order."""
    texts = []
    waiting = iter(entries)
    for seed, (of_seed, times) in enumerate(zip(frames, times_fs, strict=True)):
        for atoms, time in zip(of_seed, times, strict=True):
            entry = next(waiting)
            bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            about: dict[str, float | str | int] = {SEED: seed, TIME: float(time)}
            if isinstance(entry, Failure):
                texts.append(format_frame(bare, {}, {**about, FAILURE: entry.reason}, {}))
            else:
                label = {REF_KEYS.energy: float(entry.energy), **about}
                texts.append(format_frame(bare, {REF_KEYS.forces: np.asarray(entry.forces)}, label, {}))
    write_text(path, "".join(texts))


def read_test_frames(path: Path) -> TestFrames:
    """Read them back. Raises InputError where the file is missing or damaged."""
    frames = read_frames(path)
    for k, atoms in enumerate(frames):
        _check(atoms, f"{path} frame {k}")
    failures = {k: str(a.info[FAILURE]) for k, a in enumerate(frames) if FAILURE in a.info}
    return TestFrames(
        atoms=tuple(Atoms(a.numbers, a.positions, cell=a.cell, pbc=a.pbc) for a in frames),
        seeds=np.array([int(a.info[SEED]) for a in frames]),
        times_fs=np.array([float(a.info[TIME]) for a in frames]),
        energies=np.array([float(a.info.get(REF_KEYS.energy, np.nan)) for a in frames]),
        forces=tuple(
            np.asarray(a.arrays.get(REF_KEYS.forces, np.full((len(a), 3), np.nan)), dtype=np.float64) for a in frames
        ),
        failures=failures,
    )


def _check(atoms: Atoms, where: str) -> None:
    """Raise InputError for a frame that is not as it was written."""
    lacking = [name for name in (SEED, TIME) if name not in atoms.info]
    if FAILURE not in atoms.info:
        lacking += [
            name for name, held in ((REF_KEYS.energy, atoms.info), (REF_KEYS.forces, atoms.arrays)) if name not in held
        ]
    if lacking:
        raise InputError(f"{where} lacks {', '.join(lacking)}; let jaxft run write it again")
    if FAILURE in atoms.info:
        return
    if not (np.isfinite(atoms.info[REF_KEYS.energy]) and np.isfinite(atoms.arrays[REF_KEYS.forces]).all()):
        raise InputError(f"{where} has a label that is not finite; let jaxft run write it again")
