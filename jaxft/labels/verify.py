"""Verification: do the forces and the stress of a reference agree with differences of its energy?

Asked once, of one structure, before a budget is spent: engines have returned stresses in wrong units and with wrong
signs, forces that belong to another energy, and numbers of grids too coarse. Central differences,
F = -[E(x + h) - E(x - h)] / 2h and σ = [E(ε) - E(-ε)] / (2 V ε), of energies that are labels like all others, but are
not kept: a structure displaced by a hundredth of an Å is nothing to train on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.errors import InputError
from jaxft.jobs.executor import Executor, Lost, TimedOut, WorkerDied
from jaxft.labels.label import Entry, Failure, Label
from jaxft.labels.reference import ReferenceSettings, compute

STEP = 0.01
"""Å: large enough for the noise of an SCF (1e-5 eV gives 1e-3 eV/Å), small enough for the third derivative."""

STRAIN = 0.004

FORCE_TOLERANCE = (0.01, 0.02)
STRESS_TOLERANCE = (1e-3, 0.03)
"""Absolute (eV/Å; eV/Å³, 0.16 GPa) plus this part of the larger one; wrong units, signs and grids are far outside."""

STRAINS = {
    "xx": np.diag([1.0, 0.0, 0.0]),
    "yy": np.diag([0.0, 1.0, 0.0]),
    "zz": np.diag([0.0, 0.0, 1.0]),
    "yz + 2 xz + 3 xy": 0.5 * np.array([[0.0, 3.0, 2.0], [3.0, 0.0, 1.0], [2.0, 1.0, 0.0]]),
}
"""Symmetric strains that together see every component: E changes by V Σ σ_ij ε_ij. Unequal weights see a wrong order too."""

AT_REST = (0.1, 0.01)
"""eV/Å, eV/Å³: where nothing is larger, the structure is changed first, since zero has no sign to be wrong."""

RATTLE = 0.05
"""Å, standard deviation of that,"""

DEFORMATION = np.array([[0.03, 0.01, 0.02], [0.01, -0.02, 0.015], [0.02, 0.015, 0.025]])
"""and the strain of a cell at rest."""


@dataclass(frozen=True)
class Comparison:
    """One component: what the engine says and what the energy says, in eV/Å or eV/Å³."""

    what: str
    engine: float
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether both are the same within the tolerance."""
        return abs(self.engine - self.difference) <= self.tolerance


def verify(
    atoms: Atoms,
    reference: ReferenceSettings,
    executor: Executor,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Comparison]:
    """Compare three force components (of the strongest force, and of two other atoms), and where the cell is periodic
    all of the stress (the shears as a sum), with differences of the energy: 7 or 15 calculations. on_progress(done, of).

    A structure at rest is rattled first, for one calculation more. Raises InputError where one of them fails.
    """
    [center] = _labels([atoms], reference, executor, None)
    changed = _off_rest(atoms, center)
    if changed is not None:
        atoms = changed
        [center] = _labels([atoms], reference, executor, None)
    places = _places(center)
    strains = STRAINS if center.stress is not None else {}
    moved = [_moved(atoms, i, axis, sign * STEP) for i, axis in places for sign in (1, -1)]
    strained = [_strained(atoms, sign * STRAIN * strain) for strain in strains.values() for sign in (1, -1)]
    energies = [label.energy for label in _labels(moved + strained, reference, executor, on_progress)]
    slopes = [up - down for up, down in zip(energies[::2], energies[1::2], strict=True)]
    comparisons = []
    for (i, axis), slope in zip(places, slopes, strict=False):
        what = f"force on {atoms.symbols[i]} {i} along {'xyz'[axis]}"
        comparisons.append(_compared(what, center.forces[i, axis], -slope / (2 * STEP), FORCE_TOLERANCE))
    for (name, strain), slope in zip(strains.items(), slopes[len(places) :], strict=True):
        assert center.stress is not None
        difference = slope / (2 * STRAIN * atoms.get_volume())
        comparisons.append(
            _compared(f"stress {name}", float((center.stress * strain).sum()), difference, STRESS_TOLERANCE)
        )
    return comparisons


def _off_rest(atoms: Atoms, center: Label) -> Atoms | None:
    """The structure with its atoms moved, and its cell strained, where there is nothing to compare; None where there is."""
    still = len(atoms) > 1 and np.abs(center.forces).max() < AT_REST[0]
    relaxed = center.stress is not None and np.abs(center.stress).max() < AT_REST[1]
    if not still and not relaxed:
        return None
    changed = _strained(atoms, DEFORMATION) if relaxed else atoms.copy()
    if still:
        changed.rattle(RATTLE, seed=0)
    return changed


def _compared(what: str, engine: float, difference: float, tolerance: tuple[float, float]) -> Comparison:
    absolute, relative = tolerance
    return Comparison(
        what, float(engine), float(difference), absolute + relative * max(abs(float(engine)), abs(float(difference)))
    )


def _places(center: Label) -> list[tuple[int, int]]:
    """Up to three different atoms with the component that is largest on each: the strongest forces, spread."""
    order = np.argsort(-np.abs(center.forces).max(axis=1))
    chosen = sorted({int(order[0]), int(order[len(order) // 2]), int(order[-1])})
    return [(i, int(np.argmax(np.abs(center.forces[i])))) for i in chosen]


def _labels(
    structures: Sequence[Atoms],
    reference: ReferenceSettings,
    executor: Executor,
    on_progress: Callable[[int, int], None] | None,
) -> list[Label]:
    found: dict[int, Label] = {}

    def keep(index: int, outcome: Entry | Lost) -> None:
        if isinstance(outcome, Failure | WorkerDied | TimedOut):
            said = str(outcome) if isinstance(outcome, Failure) else f"its worker was lost ({outcome})"
            raise InputError(f"the structure that {reference.engine} should be verified on has no label: {said}")
        found[index] = outcome
        if on_progress is not None:
            on_progress(len(found), len(structures))

    executor.run(partial(compute, reference=reference), structures, keep)
    return [found[index] for index in range(len(structures))]


def _moved(atoms: Atoms, i: int, axis: int, step: float) -> Atoms:
    moved = atoms.copy()
    moved.positions[i, axis] += step
    return moved


def _strained(atoms: Atoms, strain: Float[np.ndarray, "3 3"]) -> Atoms:
    strained = atoms.copy()
    strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return strained
