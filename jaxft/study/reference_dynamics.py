"""Dynamics under the reference itself: velocity Verlet at constant energy, every step's forces a label of the study's store.

Several systems go side by side, one step at a time, so that the label workers have something to share out. Nothing is random:
killed and begun again, the labels are found in the store and the numbers are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.labels.label import Entry, Failure
from jaxft.units import FEMTOSECOND, KELVIN


@dataclass(frozen=True, eq=False)
class Course:
    """What became of one system, its start included.

    start      positions, momenta, masses, cell, charge and multiplicity
    positions  (frames, atoms, 3) Å, not wrapped
    energies   (frames,) potential energy, eV
    kinetic    (frames,) eV
    times_fs   (frames,) from 0
    failure    the label that ended it; it has no frame for it
    """

    start: Atoms
    positions: Float[np.ndarray, "frames atoms 3"]
    energies: Float[np.ndarray, "frames"]
    kinetic: Float[np.ndarray, "frames"]
    times_fs: Float[np.ndarray, "frames"]
    failure: Failure | None

    @property
    def drift(self) -> float:
        """Largest change of the total energy, eV."""
        total = self.energies + self.kinetic
        return float(np.abs(total - total[0]).max())

    def temperatures(self, n_dof: int) -> Float[np.ndarray, "frames"]:
        """Kinetic temperature 2K/(n_dof k) in K."""
        return 2.0 * self.kinetic / (n_dof * KELVIN)


@dataclass(frozen=True, eq=False)
class _State:
    """A system between two labels: positions (Å) and momenta (√(eV·u)), and what it has been through."""

    start: Atoms
    positions: np.ndarray
    momenta: np.ndarray
    path: tuple[tuple[np.ndarray, float, float], ...] = ()
    failure: Failure | None = None


def follow_reference(
    starts: Sequence[Atoms],
    label: Callable[[Sequence[Atoms]], Sequence[Entry]],
    *,
    steps: int,
    timestep_fs: float,
    on_step: Callable[[int], None] | None = None,
) -> list[Course]:
    """Run each start for ``steps``; a system whose label fails ends there, the others go on.

    label: labels of structures, in order; asked once for the starts and once per step. on_step: called after each with the number
    of labels that were asked for.

    v(t + dt/2) = v(t) + F(t) dt / 2m,  r(t + dt) = r(t) + v(t + dt/2) dt,  v(t + dt) = v(t + dt/2) + F(t + dt) dt / 2m
    """
    dt = timestep_fs * FEMTOSECOND
    states = [_State(start, start.positions.copy(), start.get_momenta()) for start in starts]
    for step in range(steps + 1):
        going = [k for k, state in enumerate(states) if state.failure is None]
        if not going:
            break
        entries = label([_structure(states[k]) for k in going])
        for k, entry in zip(going, entries, strict=True):
            states[k] = _received(states[k], entry, dt, first=step == 0, last=step == steps)
        if on_step is not None:
            on_step(len(going))
    return [_course(state, timestep_fs) for state in states]


def _structure(state: _State) -> Atoms:
    atoms = state.start.copy()
    atoms.positions = state.positions
    return atoms


def _received(state: _State, entry: Entry, dt: float, *, first: bool, last: bool) -> _State:
    """The state after the forces at its positions are known: the second half of a kick, the first half of the next, and a drift."""
    if isinstance(entry, Failure):
        return replace(state, failure=entry)
    masses = state.start.get_masses()[:, None]
    kick = 0.5 * dt * entry.forces
    momenta = state.momenta if first else state.momenta + kick
    kinetic = 0.5 * float((momenta**2 / masses).sum())
    path = (*state.path, (state.positions, entry.energy, kinetic))
    if last:
        return replace(state, momenta=momenta, path=path)
    half = momenta + kick
    return replace(state, positions=state.positions + dt * half / masses, momenta=half, path=path)


def _course(state: _State, timestep_fs: float) -> Course:
    frames = len(state.path)
    return Course(
        start=state.start,
        positions=np.array([positions for positions, _, _ in state.path]).reshape(frames, len(state.start), 3),
        energies=np.array([energy for _, energy, _ in state.path]),
        kinetic=np.array([kinetic for _, _, kinetic in state.path]),
        times_fs=timestep_fs * np.arange(frames, dtype=np.float64),
        failure=state.failure,
    )
