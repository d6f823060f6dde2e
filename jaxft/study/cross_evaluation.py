"""``cross.json`` of a run: every model on every model's labelled frames, and on the common set where there is one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from jaxft.analysis.cross import CrossRecord, cross_cell, ensemble_distance, write_cross
from jaxft.finetune.predict_set import predict_set
from jaxft.strategies.bench import Model
from jaxft.study.run_view import RunView
from jaxft.study.testing import base_with_offset

COMMON = "common set"


@dataclass(frozen=True, eq=False)
class _Set:
    """Labelled frames of one box, and the run that each of them comes from."""

    name: str
    atoms: Sequence[Atoms]
    energies: Float[np.ndarray, "frames"]
    forces: Float[np.ndarray, "frames atoms 3"]
    runs: Int[np.ndarray, "frames"]


def analyse_cross(view: RunView) -> None:
    """Write ``cross.json``; the base counts as a model, with its offset."""
    models = [base_with_offset(view.base, view.models[0], view.settings.precision), *view.models]
    tests = {model.name: found for model in models if (found := view.labelled(model.name)) is not None}
    missing = [f"test {model.name}" for model in models if model.name not in tests]
    if view.settings.evaluation.common_set is None:
        missing.append(f"{COMMON} (evaluation.common_set names none)")
    sets = _sets(view, models)
    cells, distances = [], []
    for model in models:
        deltas: dict[str, list[np.ndarray]] = {}
        for one in sets:
            said = predict_set(model.potential, one.atoms, dtype=view.settings.precision)
            numbers = np.asarray(one.atoms[0].numbers)
            cells.append(
                cross_cell(
                    model.name, one.name, numbers, said.energies, np.array(said.forces), one.energies, one.forces
                )
            )
            delta = said.energies - one.energies
            deltas[one.name] = [delta[one.runs == run] for run in np.unique(one.runs)]
        if COMMON in deltas and model.name in deltas:
            temperature = view.settings.md.temperature
            distances.append(ensemble_distance(model.name, deltas[COMMON], deltas[model.name], temperature))
    write_cross(
        view.layout.evaluation("cross"),
        CrossRecord(
            cells=tuple(cells),
            seeds={name: tuple(frames.seeds[frames.labelled].tolist()) for name, frames in tests.items()},
            times={name: tuple(frames.times_fs[frames.labelled].tolist()) for name, frames in tests.items()},
            distances=tuple(distances),
            missing=tuple(missing),
        ),
    )


def _sets(view: RunView, models: Sequence[Model]) -> list[_Set]:
    """Labelled frames of each model's own dynamics, then the common set; those without a frame are left out."""
    found = []
    for model in models:
        frames = view.labelled(model.name)
        if frames is not None and len(good := frames.labelled):
            forces = np.array([frames.forces[k] for k in good])
            found.append(
                _Set(model.name, [frames.atoms[k] for k in good], frames.energies[good], forces, frames.seeds[good])
            )
    if view.settings.evaluation.common_set is not None and (common := view.common_set()):
        energies, forces = np.array([item.energy for item in common]), np.array([item.forces for item in common])
        found.append(_Set(COMMON, [item.atoms for item in common], energies, forces, view.common_runs()))
    return found
