"""Starting boxes: packed (or rattled from a given structure), relaxed, and equilibrated under the base potential.

Boxes for sampling and boxes for tests come from different seeds and never meet: no test starts from a training frame.
"""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ase import Atoms
from ase.io import read

from jaxft.errors import InputError
from jaxft.md.relax import relax
from jaxft.md.run import run
from jaxft.md.simulation import start
from jaxft.potential.potential import Potential
from jaxft.records import write_text
from jaxft.structures.checks import check_structure
from jaxft.structures.extxyz import format_frame, read_frames
from jaxft.structures.pack import pack
from jaxft.study.settings import StudySettings, SystemSettings

PURPOSES = ("sampling", "test")
RATTLE = 0.05
"""Å, standard deviation of what makes boxes from one given structure differ."""


def packed_box(system: SystemSettings, seed: int) -> Atoms:
    """One box of the system. A given structure is rattled, so that boxes of different seeds differ."""
    if system.composition is not None:
        assert system.density_g_cm3 is not None
        return pack(system.composition, system.density_g_cm3, seed=seed)
    assert system.structure is not None
    atoms = read_structure(system.structure)
    atoms.positions += np.random.default_rng(seed).normal(scale=RATTLE, size=atoms.positions.shape)
    return atoms


def read_structure(path: Path) -> Atoms:
    """A structure from any file that ASE reads. Raises InputError where it can't be read or used."""
    if not path.is_file():
        raise InputError(f"system.structure: {path} does not exist; expected a structure file that ASE reads")
    # ASE's readers raise anything at all, from StopIteration to RuntimeError; none of it is a bug of ours
    try:
        frames = read(path, index=":")
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InputError(
            f"system.structure: {path} can't be read ({reason}); expected a file that ASE reads"
        ) from error
    frames = frames if isinstance(frames, list) else [frames]
    if len(frames) != 1:
        raise InputError(
            f"system.structure: {path} holds {len(frames)} structures, expected one; write the one you mean to a file"
        )
    (atoms,) = frames
    if atoms.has("momenta"):
        warnings.warn(
            f"{path} has momenta, which are not used: they are drawn at the temperature of the start", stacklevel=2
        )
    if atoms.constraints:
        raise InputError(f"system.structure: {path} holds constraints, which dynamics here does not keep; remove them")
    check_structure(atoms, str(path))
    return _plain(atoms)


def prepare_boxes(
    settings: StudySettings,
    base: Potential,
    purpose: str,
    paths: list[Path],
    checkpoint: Path,
    on_progress: Callable[..., None] | None = None,
    on_relax: Callable[[int, int], None] | None = None,
) -> list[Atoms]:
    """Boxes for one purpose, from disk where they are there already.

    Box k depends on (study seed, purpose, k) alone. All boxes of a purpose are equilibrated side by side. on_relax: called with
    the number of a box and the step of its relaxation. Raises InputError where the base potential can't hold a box together,
    which says that it is no base for this system.
    """
    if all(path.exists() for path in paths):
        return [read_frames(path)[0] for path in paths]
    seeds = np.random.SeedSequence([settings.seed, PURPOSES.index(purpose)]).generate_state(len(paths))
    boxes = []
    for number, (path, seed) in enumerate(zip(paths, seeds, strict=True)):
        # on disk before the dynamics begins: a resumed run must start from the very same positions on any hardware
        relaxed = path.with_name(f"{path.stem}-relaxed.extxyz")
        if not relaxed.exists():
            packed = packed_box(settings.system, int(seed))
            show = None if on_relax is None else partial(on_relax, number)
            write_box(relaxed, relax(base, packed, dtype=settings.precision, on_step=show))
        boxes.append(read_frames(relaxed)[0])
    key = jax.random.fold_in(jax.random.key(settings.seed), 1 + PURPOSES.index(purpose))
    simulation = start(base, boxes, settings.md, key, dtype=settings.precision)
    outcome = run(
        simulation,
        settings.frames(settings.start_ps),
        checkpoint=checkpoint,
        trajectories=None,
        on_progress=on_progress,
    )
    for k, stop in enumerate(outcome.stops):
        if stop is not None:
            raise InputError(
                f"{purpose} box {k} was stopped after {stop.time_fs:.0f} fs of equilibration under the base potential: "
                f"{stop.reason}; the base does not hold this system together at {settings.md.temperature:g} K. "
                "Check composition, density and timestep, or choose another base"
            )
    for k, path in enumerate(paths):
        write_box(path, outcome.simulation.atoms(k))
    return [read_frames(path)[0] for path in paths]


def _plain(atoms: Atoms) -> Atoms:
    """Positions, cell, charge and multiplicity; what else a file or a simulation carried is left behind."""
    info = {name: atoms.info[name] for name in ("charge", "multiplicity") if name in atoms.info}
    plain = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=info)
    if atoms.has("masses"):
        plain.set_masses(atoms.get_masses())
    return plain


def write_box(path: Path, box: Atoms) -> None:
    """Write a box with its charge and multiplicity, atomically and with every digit; all else is left behind."""
    write_text(path, format_frame(_plain(box), {}, {}, {}))
