"""Every model on every other model's frames, and on frames of the reference's own dynamics (figure 5; scores 4 and 6).

With Δ = E_model - E_ref of the whole box and β = 1/kT,

    D = β (⟨Δ⟩_ref - ⟨Δ⟩_model) ≥ 0

is the sum of both Kullback-Leibler divergences between the ensembles of model and reference; a constant in Δ cancels. Averages
over frames of the reference's dynamics and of the model's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from jaxft import units
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-cross", 1


@dataclass(frozen=True)
class CrossCell:
    """One model on the labelled frames of one set.

    residual      mean of (E_model - E_ref)/N, eV/atom, with the model's own offset
    spread        SD of the same about its mean
    force_rmse    eV/Å
    by_element    the same by symbol
    energies      (E_model - E_ref)/N of each frame, in the order of the set
    """

    model: str
    frames_of: str
    frames: int
    residual: float
    spread: float | None
    force_rmse: float
    by_element: Mapping[str, float]
    energies: tuple[float, ...]


@dataclass(frozen=True)
class EnsembleDistance:
    """Score 6 of one model: D in units of kT of the whole box, with its standard error over runs."""

    model: str
    distance: float
    error: float | None
    frames_reference: int
    frames_model: int


@dataclass(frozen=True)
class CrossRecord:
    """All pairs; ``times_fs`` and ``seeds`` of each set's frames; distances where there is a common set."""

    cells: tuple[CrossCell, ...]
    seeds: Mapping[str, tuple[int, ...]]
    times: Mapping[str, tuple[float, ...]]
    distances: tuple[EnsembleDistance, ...]
    missing: tuple[str, ...]


def cross_cell(
    model: str,
    frames_of: str,
    numbers: Int[np.ndarray, "atoms"],
    energies: Float[np.ndarray, "frames"],
    forces: Float[np.ndarray, "frames atoms 3"],
    reference_energies: Float[np.ndarray, "frames"],
    reference_forces: Float[np.ndarray, "frames atoms 3"],
) -> CrossCell:
    """From total energies (eV) and forces (eV/Å) of both on the same labelled frames, at least one."""
    per_atom = (energies - reference_energies) / len(numbers)
    squares = ((forces - reference_forces) ** 2).mean(axis=(0, 2))
    return CrossCell(
        model=model,
        frames_of=frames_of,
        frames=len(per_atom),
        residual=float(per_atom.mean()),
        spread=float(per_atom.std(ddof=1)) if len(per_atom) > 1 else None,
        force_rmse=float(np.sqrt(squares.mean())),
        by_element={
            chemical_symbols[z]: float(np.sqrt(squares[numbers == z].mean())) for z in sorted(set(numbers.tolist()))
        },
        energies=tuple(per_atom.tolist()),
    )


def ensemble_distance(
    model: str,
    on_reference: Sequence[Float[np.ndarray, "frames"]],
    on_model: Sequence[Float[np.ndarray, "frames"]],
    temperature: float,
) -> EnsembleDistance:
    """Score 6 from Δ in eV of the whole box, run by run, on frames of the reference's dynamics and of the model's own.

    The error joins both means' spreads between runs, SD/√K; None where either has fewer than two runs.
    """
    beta = 1.0 / (units.KELVIN * temperature)
    sides = [np.concatenate(list(runs)) for runs in (on_reference, on_model)]
    errors = [
        float(np.std([run.mean() for run in runs], ddof=1) / np.sqrt(len(runs))) if len(runs) > 1 else None
        for runs in (on_reference, on_model)
    ]
    return EnsembleDistance(
        model=model,
        distance=float(beta * (sides[0].mean() - sides[1].mean())),
        error=None if errors[0] is None or errors[1] is None else float(beta * np.hypot(errors[0], errors[1])),
        frames_reference=len(sides[0]),
        frames_model=len(sides[1]),
    )


def write_cross(path: str | Path, record: CrossRecord) -> None:
    """Write ``cross.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_cross(path: str | Path) -> CrossRecord:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, CrossRecord)
