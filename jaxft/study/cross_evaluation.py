"""``cross.json`` of a run: every model on every model's labelled frames, and on the common set where there is one."""

import numpy as np

from jaxft.analysis.cross import CrossRecord, cross_cell, ensemble_distance, write_cross
from jaxft.finetune.predict_set import predict_set
from jaxft.study.run_view import RunView
from jaxft.study.testing import base_with_offset


def analyse_cross(view: RunView) -> None:
    """Write ``cross.json``; the base counts as a model, with its offset."""
    models = [base_with_offset(view.base, view.models[0], view.settings.precision), *view.models]
    sets = {model.name: found for model in models if (found := view.labelled(model.name)) is not None}
    cells, distances, missing = [], [], [f"test {m.name}" for m in models if m.name not in sets]
    common = view.settings.evaluation.common_set
    reference = view.common_set() if common is not None else []
    for model in models:
        own: list[np.ndarray] = []
        for name, frames in sets.items():
            good = frames.labelled
            if not len(good):
                continue
            said = predict_set(model.potential, [frames.atoms[k] for k in good], dtype=view.settings.precision)
            cells.append(
                cross_cell(
                    model.name,
                    name,
                    np.asarray(frames.atoms[0].numbers),
                    said.energies,
                    np.array(said.forces),
                    frames.energies[good],
                    np.array([frames.forces[k] for k in good]),
                )
            )
            if name == model.name:
                delta = said.energies - frames.energies[good]
                own = [delta[frames.seeds[good] == seed] for seed in np.unique(frames.seeds[good])]
        if reference:
            said = predict_set(model.potential, [r.atoms for r in reference], dtype=view.settings.precision)
            labels = np.array([r.energy for r in reference])
            cells.append(
                cross_cell(
                    model.name,
                    "common set",
                    np.asarray(reference[0].atoms.numbers),
                    said.energies,
                    np.array(said.forces),
                    labels,
                    np.array([r.forces for r in reference]),
                )
            )
            runs = view.common_runs()
            if own:
                delta = said.energies - labels
                on_reference = [delta[runs == run] for run in np.unique(runs)]
                distances.append(ensemble_distance(model.name, on_reference, own, view.settings.md.temperature))
    if common is None:
        missing.append("common set (evaluation.common_set names none)")
    write_cross(
        view.layout.evaluation("cross"),
        CrossRecord(
            cells=tuple(cells),
            seeds={name: tuple(frames.seeds[frames.labelled].tolist()) for name, frames in sets.items()},
            times={name: tuple(frames.times_fs[frames.labelled].tolist()) for name, frames in sets.items()},
            distances=tuple(distances),
            missing=tuple(missing),
        ),
    )
