"""Replay structures: what the base potential knows, in its own words, so that a fine-tune does not forget it.

No pre-training data is needed: the base labels structures itself (pseudo-labels), from

    dynamics   its own dynamics, from the structures of the labels: keeps the neighbourhood of the system
    generator  random crystals of all its elements (``structures/generate.py``): keeps the rest of the periodic table
    a file     any structures; labels in it are not read
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from ase import Atoms

from jaxft.errors import InputError
from jaxft.finetune.predict_set import predict_set
from jaxft.md.guards import describe
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start
from jaxft.potential.potential import Potential
from jaxft.structures.checks import check_structure
from jaxft.structures.dataset import LabelledStructure
from jaxft.structures.extxyz import read_frames
from jaxft.structures.generate import random_crystals
from jaxft.structures.species import species_of
from jaxft.study.progress import Progress

SOURCES = ("none", "dynamics", "generator", "file")
STARTS = 4
"""Structures of different composition that dynamics start from, at most."""

SPACING_STEPS = 100
MAX_FORCE = 50.0
"""eV/Å: what the base itself finds absurd teaches nothing."""


@dataclass(frozen=True)
class ReplaySettings:
    """What is replayed.

    source       ``none``, ``dynamics``, ``generator`` or ``file``
    count        structures
    temperature  K, of dynamics
    file         with ``source: file``
    """

    source: str = "none"
    count: int = 100
    temperature: float = 600.0
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(f"replay.source is {self.source!r}, expected one of {', '.join(SOURCES)}")
        if self.count < 1:
            raise InputError(f"replay.count is {self.count}, expected at least 1")
        if (self.source == "file") != (self.file is not None):
            raise InputError("replay.file and replay.source: file belong together; give both, or neither")


def replay_structures(
    settings: ReplaySettings,
    base: Potential,
    structures: Sequence[Atoms],
    seed: int,
    precision: str,
    progress: Progress,
) -> list[LabelledStructure]:
    """Structures with the base's own labels; none with ``source: none``. A function of its arguments alone.

    Dynamics that a guard ends give the frames up to there; that there are fewer than ``count`` is said. Raises InputError where
    there are none at all, and for a file that can't be read or has elements that the base lacks.
    """
    if settings.source == "none":
        return []
    endings: list[str] = []
    with progress.task(f"replay structures ({settings.source})", settings.count, "structures"):
        if settings.source == "generator":
            found = random_crystals(base.elements, settings.count, seed)
        elif settings.source == "file":
            assert settings.file is not None
            found = _spaced(_read(settings.file, base), settings.count)
        else:
            found, endings = _dynamics(settings, base, structures, seed, precision)
            if not found:
                raise InputError(
                    f"replay dynamics gave no structures: {'; '.join(endings)}; lower replay.temperature, relax the structures, or "
                    "choose replay.source: generator or file"
                )
        labelled = label_by(base, found, precision)
    if len(labelled) < settings.count:
        why = [
            *endings,
            *[f"{len(found) - len(labelled)} have forces beyond {MAX_FORCE:g} eV/Å"] * (len(labelled) < len(found)),
        ]
        progress.say(
            f"replay: {len(labelled)} of {settings.count} structures" + "".join(f"; {reason}" for reason in why)
        )
    return labelled


def label_by(potential: Potential, structures: Sequence[Atoms], precision: str) -> list[LabelledStructure]:
    """Structures with what a potential says of them; those with forces beyond ``MAX_FORCE`` are left out.

    Raises InputError where none is left.
    """
    said = predict_set(potential, structures, dtype=precision)
    kept = [
        LabelledStructure(_bare(atoms), float(energy), forces, stress, where=f"replay structure {k}")
        for k, (atoms, energy, forces, stress) in enumerate(
            zip(structures, said.energies, said.forces, said.stresses, strict=True)
        )
        if np.isfinite(energy) and np.abs(forces).max(initial=0.0) < MAX_FORCE
    ]
    if not kept:
        raise InputError(
            f"none of {len(structures)} replay structures has forces below {MAX_FORCE} eV/Å under the base; choose others"
        )
    return kept


def _read(path: Path, base: Potential) -> list[Atoms]:
    """The structures of a file, looked at before the base is asked."""
    frames = [_bare(atoms) for atoms in read_frames(path)]
    for k, atoms in enumerate(frames):
        what = f"{path} frame {k}"
        check_structure(atoms, what)
        try:
            species_of(atoms.numbers, base.atomic_numbers)
        except InputError as error:
            raise InputError(f"{what} ({atoms.get_chemical_formula()}): {error}") from None
    return frames


def _dynamics(
    settings: ReplaySettings, base: Potential, structures: Sequence[Atoms], seed: int, precision: str
) -> tuple[list[Atoms], list[str]]:
    """Frames 50 fs apart from Langevin dynamics under the base, as many from each composition; and why any ended early."""
    starts: dict[str, Atoms] = {}
    for atoms in structures:
        starts.setdefault(atoms.get_chemical_formula(), _bare(atoms))
    chosen = list(starts.values())[:STARTS]
    frames: list[Atoms] = []
    endings: list[str] = []
    for k, atoms in enumerate(chosen):
        count = settings.count // len(chosen) + (k < settings.count % len(chosen))
        md = MDSettings("nvt-langevin", settings.temperature, 0.5, friction_per_ps=10.0, frame_every=SPACING_STEPS)
        simulation = start(base, [atoms], md, jax.random.fold_in(jax.random.key(seed), k), precision)
        for _ in range(count):
            simulation, _ = advance(simulation, 1, longest=1)
            if simulation.status.any():
                steps = int(simulation.replicas.steps[0])
                endings.append(
                    f"{atoms.get_chemical_formula()} ended after {steps} steps by {describe(simulation.status[0])}"
                )
                break
            frames.append(_bare(simulation.atoms(0)))
    return frames, endings


def _spaced(frames: Sequence[Atoms], count: int) -> list[Atoms]:
    """At most ``count`` of the frames, evenly spaced."""
    places = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    return [frames[k] for k in places]


def _bare(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
