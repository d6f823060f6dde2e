"""Committees of a run: members trained like the last model of each strategy, each on a bootstrap of its labels.

Their spread is a rival of the Q residual (protocol 6). They cost no label, but as many fine-tunes as they have members; so only
the last model of each strategy gets one, where the configuration asks for it (``evaluation.committee``).
"""

from dataclasses import replace
from pathlib import Path

from jaxft.errors import InputError
from jaxft.finetune.fit import Extras, fit_members
from jaxft.potential.checkpoint import load_folder
from jaxft.potential.committee import Committee
from jaxft.potential.potential import Potential
from jaxft.strategies.bench import Model
from jaxft.study.progress import Progress
from jaxft.study.replay import replay_structures
from jaxft.study.run_view import RunView

FIRST_SEED = 1000
"""Of the members, so that none repeats the order of batches of the model itself."""


def train_committees(view: RunView, progress: Progress) -> None:
    """Train those that are asked for and not there yet; side by side in one program, going on after a kill."""
    size = view.settings.evaluation.committee
    if not size:
        return
    for model in view.largest:
        if not _there(view, model, size):
            _train(view, model, size, progress)


def committee_of(view: RunView, model: Model) -> Committee | None:
    """The committee of a model; None where there is none."""
    size = view.settings.evaluation.committee
    if not size or not _there(view, model, size):
        return None
    members = [load_folder(view.layout.member(model.strategy, model.name, k)) for k in range(size)]
    return Committee(members, dtype=view.settings.precision)


def _there(view: RunView, model: Model, size: int) -> bool:
    return all((view.layout.member(model.strategy, model.name, k) / "config.json").exists() for k in range(size))


def _train(view: RunView, model: Model, size: int, progress: Progress) -> None:
    settings = view.settings.finetune
    members = [replace(settings, seed=settings.seed + FIRST_SEED + k) for k in range(size)]
    boxes = view.start_boxes()
    replay = replay_structures(
        view.settings.replay, view.base, boxes, view.settings.seed, view.settings.precision, progress
    )
    with progress.task(f"committee of {model.name}", settings.updates, "updates") as task:
        results = fit_members(
            _parent(view, model),
            model.data,
            members,
            bootstrap=True,
            base=view.base,
            extras=Extras(replay=replay, n_effective=model.n_effective),
            dtype=view.settings.precision,
            checkpoint=view.layout.checkpoint(f"committee-{model.name}"),
            on_progress=lambda now: task.update(now.update),
        )
    for k, result in enumerate(results):
        if result.failure is not None:
            raise InputError(
                f"member {k} of the committee of {model.name} stopped at update {result.failure.update}: {result.failure.reason}"
            )
        _save(result.potential, view.layout.member(model.strategy, model.name, k), model)


def _save(potential: Potential, folder: Path, model: Model) -> None:
    replace(potential, provenance={**potential.provenance, "committee of": model.name}).save(folder)


def _parent(view: RunView, model: Model) -> Potential:
    if model.parent == "base":
        return view.base
    return next(other.potential for other in view.models if other.name == model.parent)
