"""What a test of one model is: the facts that every score is computed from, and nothing that was computed.

A model is tested in molecular dynamics of its own, from several seeds; frames at even spacing are labelled by the
reference. A failed label and a run that a guard stopped are facts of the test like any other: neither drops a frame
before it, nor a seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxft.errors import InputError
from jaxft.labels.label import Entry, Failure


@dataclass(frozen=True)
class Stop:
    """A guard ended the run: when (fs from its start) and why."""

    time_fs: float
    reason: str


@dataclass(frozen=True, eq=False)
class SeedTest:
    """One test run of one model.

    seed                number of the test, the same start and velocities for every model
    times_fs            (frames,) ascending: when the labelled frames were, in fs from the start of the run
    model_energies      (frames,) eV, total
    reference_energies  (frames,) eV, total; NaN where the label failed, and only there
    model_forces        (frames, atoms, 3) eV/Å
    reference_forces    (frames, atoms, 3) eV/Å; NaN where the label failed
    failures            index of a frame whose label failed -> reason, in words without machine or path
    dense_times_fs      (samples,) even spacing: the model energy along the run, up to the last good state
    dense_energies      (samples,) eV
    stopped             None where the run reached its length
    length_fs           how long the run was meant to be
    """

    seed: int
    times_fs: Float[np.ndarray, "frames"]
    model_energies: Float[np.ndarray, "frames"]
    reference_energies: Float[np.ndarray, "frames"]
    model_forces: Float[np.ndarray, "frames atoms 3"]
    reference_forces: Float[np.ndarray, "frames atoms 3"]
    failures: Mapping[int, str]
    dense_times_fs: Float[np.ndarray, "samples"]
    dense_energies: Float[np.ndarray, "samples"]
    stopped: Stop | None
    length_fs: float

    @property
    def labelled(self) -> Int[np.ndarray, "labelled"]:
        """Indices of the frames whose label did not fail."""
        return np.array([k for k in range(len(self.times_fs)) if k not in self.failures], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ModelTest:
    """All test runs of one model, and what is known of it from its training.

    name                   "base", "N-10pts", "FT1", ...
    strategy               "base", "naive", "periodic", or any other arm by name
    budget                 labels accepted; for the base those that its offset was fitted to
    numbers                (atoms,) atomic numbers of the box
    temperature            K, of the thermostat
    offset_standard_error  eV/atom, of the composition offset; None where the labels can't tell it
    training_residuals     (labels,) eV/atom, (E_model - E_ref)/N on the model's own training set
    training_n_effective   how many of those count as independent; None: all
    """

    name: str
    strategy: str
    budget: int
    numbers: Int[np.ndarray, "atoms"]
    temperature: float
    offset_standard_error: float | None
    training_residuals: Float[np.ndarray, "labels"]
    seeds: tuple[SeedTest, ...]
    training_n_effective: float | None = None

    @property
    def n_atoms(self) -> int:
        """Atoms in the box."""
        return len(self.numbers)


def label_arrays(
    entries: Sequence[Entry], n_atoms: int
) -> tuple[Float[np.ndarray, "frames"], Float[np.ndarray, "frames atoms 3"], dict[int, str]]:
    """Energies, forces and failures of a run's labels, as ``SeedTest`` wants them.

    Of a failure only its reason is taken: its details, which may name a machine, stay in the label store.
    """
    energies = np.full(len(entries), np.nan)
    forces = np.full((len(entries), n_atoms, 3), np.nan)
    failures: dict[int, str] = {}
    for k, entry in enumerate(entries):
        if isinstance(entry, Failure):
            failures[k] = entry.reason
        else:
            energies[k], forces[k] = entry.energy, entry.forces
    return energies, forces, failures


def check_test(test: ModelTest) -> None:
    """Raise InputError unless shapes, order and finiteness are as the classes above say."""
    if not test.seeds:
        raise InputError(f"the test of {test.name} has no seed; expected one run or more")
    if not np.isfinite(test.training_residuals).all():
        raise InputError(f"a training residual of {test.name} is not finite; leave failed labels out of training sets")
    for run in test.seeds:
        where = f"test of {test.name}, seed {run.seed}"
        _check_shapes(run, test.n_atoms, where)
        _check_values(run, where)


def _check_shapes(run: SeedTest, n_atoms: int, where: str) -> None:
    frames, samples = len(run.times_fs), len(run.dense_times_fs)
    expected = {
        "model_energies": (frames,),
        "reference_energies": (frames,),
        "model_forces": (frames, n_atoms, 3),
        "reference_forces": (frames, n_atoms, 3),
        "dense_energies": (samples,),
    }
    for name, shape in expected.items():
        found = np.shape(getattr(run, name))
        if found != shape:
            raise InputError(f"{where}: {name} has shape {found}, expected {shape}")
    outside = sorted(k for k in run.failures if not 0 <= k < frames)
    if outside:
        raise InputError(f"{where}: failure of frame {outside[0]}, but there are {frames} labelled frames")


def _check_values(run: SeedTest, where: str) -> None:
    good = run.labelled
    finite = {
        "times_fs": run.times_fs,
        "model_energies": run.model_energies,
        "model_forces": run.model_forces,
        "reference_energies": run.reference_energies[good],
        "reference_forces": run.reference_forces[good],
        "dense_times_fs": run.dense_times_fs,
        "dense_energies": run.dense_energies,
    }
    for name, values in finite.items():
        if not np.isfinite(values).all():
            raise InputError(f"{where}: {name} is not finite in a frame that has a label; end the run before it")
    for name in ("times_fs", "dense_times_fs"):
        if (np.diff(finite[name]) <= 0).any():
            raise InputError(f"{where}: {name} must ascend")
    latest = max([0.0, *run.times_fs[-1:], *run.dense_times_fs[-1:]])
    if latest > run.length_fs * (1 + 1e-9):
        raise InputError(f"{where}: a frame at {latest:g} fs, but the run was to be {run.length_fs:g} fs long")
