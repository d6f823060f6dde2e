"""One fine-tune from a labelled file to a potential on disk, with its errors before and after (``jaxft finetune``).

OUT/ config.yaml  record.json  model/ (or model-0/, model-1/ ... of a committee)  training.csv  evaluation.json  replay.extxyz
     figures/parity.png  figures/training.png  checkpoints/
Run again it goes on where it stopped.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ase.data import chemical_symbols

from jaxft.finetune.check_labels import check_labels
from jaxft.finetune.check_units import Suspicion
from jaxft.finetune.fit import check_fit, fit_members
from jaxft.finetune.metrics import Metrics, errors_of
from jaxft.finetune.predict_set import SetPrediction
from jaxft.finetune.result import FitResult
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.step import COMPILATIONS
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.records import write_json, write_text
from jaxft.report.parity_figure import parity_figure
from jaxft.report.style import png
from jaxft.report.training_figure import training_figure
from jaxft.structures.dataset import LabelledStructure, read_dataset, write_dataset
from jaxft.study.evaluation import mean_of, predictions_of
from jaxft.study.finetune_data import Labelled, check_units, read_labels, told
from jaxft.study.finetune_folder import FORMAT, VERSION, content_of, model_folders, refuse_changed
from jaxft.study.finetune_notes import notes_of
from jaxft.study.finetune_settings import FinetuningSettings
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.record import alone, close_record, open_record
from jaxft.study.replay import replay_structures


@dataclass(frozen=True)
class Outcome:
    """What a fine-tune gave: for each set the errors of the base (with its refitted offset) and of the result.

    notes  what to know beside the errors, a sentence each
    """

    before: Mapping[str, Metrics]
    after: Mapping[str, Metrics]
    results: Sequence[FitResult]
    models: Sequence[Path]
    suspicions: Sequence[Suspicion]
    notes: Sequence[str]


def run_finetuning(settings: FinetuningSettings, root: Path, progress: Progress) -> Outcome:
    """Fine-tune, or go on, in ``root``. Raises InputError for what can be known beforehand, before anything is written."""
    base = load(settings.base, head=settings.head)
    labelled = read_labels(settings)
    settings = settings.for_labels(len(labelled.sets["train"]))
    layout, content = Layout(root), content_of(settings, base, labelled)
    refuse_changed(settings, layout, content)
    for which, entries in labelled.entries.items():
        progress.say(f"{which}: {entries}")
    members = _members(settings)
    check_fit(base, labelled.sets["train"], members, base=base, extras=labelled.extras())
    if "test" in labelled.sets:
        check_labels(labelled.sets["test"], base.atomic_numbers)
    suspicions = check_units(settings, base, labelled, progress, "--trust-units")
    # before the folder is begun: what is wrong with replay leaves nothing behind either
    replay = _replay(settings, base, labelled, root / "replay.extxyz", progress)
    if replay:
        check_fit(base, labelled.sets["train"], members, base=base, extras=labelled.extras(replay))
    with alone(layout):
        open_record(layout, settings.configuration, settings.finetune.seed, content)
        if replay and not (root / "replay.extxyz").exists():
            write_dataset(root / "replay.extxyz", replay)
        results = _train(settings, members, base, labelled, replay, layout, progress)
        outcome = _evaluate(settings, base, labelled, replay, results, root, suspicions)
        close_record(layout, {"chunks of training": COMPILATIONS.total()})
    return outcome


def _replay(
    settings: FinetuningSettings, base: Potential, labelled: Labelled, path: Path, progress: Progress
) -> Sequence[LabelledStructure]:
    """Replay structures, made once and kept in ``path``: on an accelerator the base would not say the same bits again."""
    if path.exists():
        return read_dataset(path)
    structures = [d.atoms for d in labelled.sets["train"]]
    return replay_structures(settings.replay, base, structures, settings.finetune.seed, settings.precision, progress)


def _train(
    settings: FinetuningSettings,
    members: Sequence[FinetuneSettings],
    base: Potential,
    labelled: Labelled,
    replay: Sequence[LabelledStructure],
    layout: Layout,
    progress: Progress,
) -> list[FitResult]:
    with progress.task("fine-tune", settings.finetune.updates, "updates") as task:
        results = fit_members(
            base,
            labelled.sets["train"],
            members,
            bootstrap=settings.bootstrap,
            extras=labelled.extras(replay),
            dtype=settings.precision,
            checkpoint=layout.checkpoint("fit"),
            on_progress=lambda now: task.update(now.update, f"loss {now.loss:.4g}"),
        )
    for result in results:
        if result.failure is not None:
            progress.say(failure_note(told(result.failure, labelled)))
    return results


def failure_note(reason: str) -> str:
    """What is said of a fine-tune that stopped early."""
    return (
        f"the fine-tune stopped, the best parameters until then are kept: {reason}; lower finetune.learning_rate, or look at the "
        "structures named"
    )


def _members(settings: FinetuningSettings) -> list[FinetuneSettings]:
    seeds = range(settings.finetune.seed, settings.finetune.seed + settings.members)
    return [replace(settings.finetune, seed=seed) for seed in seeds]


def _evaluate(
    settings: FinetuningSettings,
    base: Potential,
    labelled: Labelled,
    replay: Sequence[LabelledStructure],
    results: Sequence[FitResult],
    root: Path,
    suspicions: Sequence[Suspicion],
) -> Outcome:
    """Save potentials, errors and figures. A committee's prediction is the mean of its members that did not stop, if there are."""
    folders = model_folders(root, settings.members)
    kept = [result for result in results if result.failure is None] or list(results)
    for folder, result in zip(folders, results, strict=True):
        if any(result is one for one in kept):
            result.potential.save(folder)
    # before: the base with the new offset, since the offset alone is most of what separates the energies of two methods
    shifted = replace(base, reference_energies=kept[0].potential.reference_energies)
    before, after, pairs = {}, {}, {}
    for name, data in labelled.sets.items():
        before[name] = errors_of(_said([shifted], data, settings.precision), data)
        said = _said([r.potential for r in kept], data, settings.precision)
        after[name] = errors_of(said, data)
        pairs[name] = (said, data, after[name])
    if replay:
        # what the base says is right here by definition, at its own reference energies
        own = [replace(r.potential, reference_energies=base.reference_energies) for r in kept]
        before["replay"] = errors_of(_said([base], replay, settings.precision), replay)
        after["replay"] = errors_of(_said(own, replay, settings.precision), replay)
    notes = notes_of(settings.finetune, labelled, before, after, results)
    write_json(
        root / "evaluation.json",
        FORMAT,
        VERSION,
        {
            "entries": dict(labelled.entries),
            "offset": kept[0].offset.describe(),
            "isolated_atoms_ev": {chemical_symbols[z]: e for z, e in sorted(labelled.isolated.items())},
            "suspicions": [str(s) for s in suspicions],
            "notes": notes,
            "best_update": [r.best_update for r in results],
            "failures": [None if r.failure is None else told(r.failure, labelled) for r in results],
            "sets": {name: {"before": before[name].to_json(), "after": after[name].to_json()} for name in before},
        },
    )
    write_text(root / "training.csv", _history(results))
    for name, figure in (("parity", parity_figure(pairs)), ("training", training_figure(results))):
        path = root / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(figure))
    models = [folder for folder in folders if folder.exists()]
    return Outcome(before, after, results, models, suspicions, notes)


def _said(potentials: Sequence[Potential], data: Sequence[LabelledStructure], dtype: str) -> SetPrediction:
    return mean_of(predictions_of(potentials, data, dtype))


def _history(results: Sequence[FitResult]) -> str:
    """One row for each update of each member."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["member", "update", *results[0].history])
    for member, result in enumerate(results):
        for update, row in enumerate(zip(*result.history.values(), strict=True)):
            writer.writerow([member, update + 1, *(f"{value:.6g}" for value in row)])
    return text.getvalue()
