"""One fine-tune from a labelled file to a potential on disk, with its errors before and after (``jaxft finetune``).

OUT/ config.yaml  record.json  model/ (or model-0/, model-1/ ... of a committee)  training.csv  evaluation.json
     figures/parity.png  figures/training.png  checkpoints/
Run again it goes on where it stopped.
"""

import csv
import hashlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols

from jaxft.errors import InputError, nearest
from jaxft.finetune.check_labels import check_labels
from jaxft.finetune.check_units import Suspicion, suspect_units
from jaxft.finetune.fingerprint import hash_labels, hash_potential
from jaxft.finetune.fit import Extras, check_fit, fit_members
from jaxft.finetune.metrics import Metrics, errors_of
from jaxft.finetune.predict_set import SetPrediction, predict_set
from jaxft.finetune.result import FitResult
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.step import COMPILATIONS
from jaxft.finetune.validation import ValidationSettings, split_validation
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.records import read_json, write_json, write_text
from jaxft.report.parity_figure import parity_figure
from jaxft.report.style import png
from jaxft.report.training_figure import training_figure
from jaxft.structures.dataset import LabelledStructure, find_duplicates, read_dataset, split_isolated_atoms
from jaxft.structures.label_keys import NONE_GIVEN, GivenKeys, describe_keys, detect_keys
from jaxft.structures.labelled import LabelKeys
from jaxft.study.evaluation import mean_of, predictions_of
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.record import FORMAT as RUN_FORMAT
from jaxft.study.record import VERSION as RUN_VERSION
from jaxft.study.record import alone, close_record, is_finished, open_record
from jaxft.study.replay import ReplaySettings, replay_structures

FORMAT = "jaxft-finetune-evaluation"
VERSION = 1

PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class DataSettings:
    """Where labels are.

    path, test  extended XYZ files; test: never trained on
    keys        names of labels that were given; the others are found out (``label_keys.py``)
    weight_key  entry of a structure that is its weight; None: all weigh the same
    """

    path: Path
    test: Path | None = None
    keys: GivenKeys = NONE_GIVEN
    weight_key: str | None = None


@dataclass(frozen=True)
class FinetuningSettings:
    """One fine-tune. members: how many are trained side by side, a committee where there are several; trust_units: labels that look
    like another unit are an error unless this says that they are right."""

    data: DataSettings
    base: str
    head: str | None
    finetune: FinetuneSettings
    validation: ValidationSettings
    replay: ReplaySettings
    members: int
    bootstrap: bool
    trust_units: bool
    precision: str
    configuration: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            near = nearest(self.precision, PRECISIONS)
            raise InputError(f"precision is {self.precision!r}, expected {' or '.join(PRECISIONS)}{near}")
        if self.members < 1:
            raise InputError(f"committee.members is {self.members}, expected at least 1")
        if self.bootstrap and self.members == 1:
            raise InputError("committee.bootstrap needs committee.members of 2 or more")


@dataclass(frozen=True)
class Labelled:
    """What the files hold, sorted out. Sets by name: train, validation, test; entries: which are the labels, for each file."""

    sets: Mapping[str, Sequence[LabelledStructure]]
    isolated: Mapping[int, float]
    weights: Sequence[float] | None
    entries: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """What a fine-tune gave: for each set the errors of the base (with its refitted offset) and of the result.

    unused_isolated  elements whose isolated atoms the file has, but that the settings did not ask for
    """

    before: Mapping[str, Metrics]
    after: Mapping[str, Metrics]
    results: Sequence[FitResult]
    models: Sequence[Path]
    suspicions: Sequence[Suspicion]
    unused_isolated: Sequence[str]


@dataclass(frozen=True)
class Finished:
    """A fine-tune that is complete: its potentials, those of them that are not there (any more), and why members stopped early."""

    models: Sequence[Path]
    missing: Sequence[Path]
    failures: Sequence[str]


def finished_run(settings: FinetuningSettings, root: Path) -> Finished | None:
    """The fine-tune in ``root`` if it is this one and complete; None where there is something left to do.

    Raises InputError where the folder belongs to something else, and where its labels or its base have changed since.
    """
    layout = Layout(root)
    if not is_finished(layout, settings.configuration) or not (root / "evaluation.json").exists():
        return None
    _refuse_changed(
        settings, layout, _content(settings, load(settings.base, head=settings.head), read_labels(settings))
    )
    failures = read_json(root / "evaluation.json", FORMAT, VERSION)["failures"]
    # of members that stopped nothing is saved, unless all did
    models = [
        folder
        for folder, failure in zip(model_folders(root, settings.members), failures, strict=True)
        if failure is None or None not in failures
    ]
    missing = [folder for folder in models if not (folder / "config.json").exists()]
    return Finished(models, missing, [failure for failure in failures if failure is not None])


def run_finetuning(settings: FinetuningSettings, root: Path, progress: Progress) -> Outcome:
    """Fine-tune, or go on, in ``root``. Raises InputError for what can be known beforehand, before anything is written."""
    base = load(settings.base, head=settings.head)
    labelled = read_labels(settings)
    layout, content = Layout(root), _content(settings, base, labelled)
    _refuse_changed(settings, layout, content)
    for which, entries in labelled.entries.items():
        progress.say(f"{which}: {entries}")
    check_fit(base, labelled.sets["train"], _members(settings), base=base, extras=_extras(labelled))
    if "test" in labelled.sets:
        check_labels(labelled.sets["test"], base.atomic_numbers)
    suspicions = check_units(settings, base, labelled, progress, "--trust-units")
    # before the folder is begun: what is wrong with replay leaves nothing behind either
    structures = [d.atoms for d in labelled.sets["train"]]
    replay = replay_structures(settings.replay, base, structures, settings.finetune.seed, settings.precision, progress)
    with alone(layout):
        open_record(layout, settings.configuration, settings.finetune.seed, content)
        results = _train(settings, base, labelled, replay, layout, progress)
        outcome = _evaluate(settings, base, labelled, replay, results, root, suspicions)
        close_record(layout, {"chunks of training": COMPILATIONS.total()})
    return outcome


def _content(settings: FinetuningSettings, base: Potential, labelled: Labelled) -> dict[str, str]:
    """Hashes of what the configuration only names; of isolated atoms and weights only where they are used."""
    content = {"base": hash_potential(base), **{name: hash_labels(data) for name, data in labelled.sets.items()}}
    if settings.finetune.reference_energies == "isolated":
        content["isolated"] = _hash_plain(sorted(labelled.isolated.items()))
    if labelled.weights is not None:
        content["weights"] = _hash_plain(list(labelled.weights))
    return content


def _hash_plain(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _refuse_changed(settings: FinetuningSettings, layout: Layout, content: Mapping[str, str]) -> None:
    """Raise InputError where the run in the folder began with other labels, or another base, of the same names."""
    if not layout.record.exists():
        return
    # an older record may lack a name: what it doesn't know it doesn't contradict
    began = read_json(layout.record, RUN_FORMAT, RUN_VERSION).get("content") or {}
    changed = [name for name in content if name in began and began[name] != content[name]]
    if not changed:
        return
    names = {"base": f"the base {settings.base}", "test": f"the labels of {settings.data.test}"}
    # of whatever file of labels: train and validation change together
    whose = dict.fromkeys(names.get(name, f"the labels of {settings.data.path}") for name in changed)
    raise InputError(
        f"{' and '.join(whose)} changed since {layout.root} was begun; choose another folder with -o, or remove that folder to "
        "train again"
    )


def read_labels(settings: FinetuningSettings) -> Labelled:
    """Read, split and check the files of labels."""
    data = settings.data
    keys = detect_keys(data.path, data.keys)
    structures, isolated = split_isolated_atoms(read_dataset(data.path, keys))
    entries = {"labels": describe_keys(keys, structures)}
    if not structures:
        raise InputError(f"{data.path} holds isolated atoms only; expected labelled structures")
    train, aside = split_validation(structures, settings.validation, settings.finetune.seed)
    sets = {"train": [structures[k] for k in train]}
    if aside:
        sets["validation"] = [structures[k] for k in aside]
    if data.test is not None:
        keys = _keys_of_test(data.test, data.keys)
        sets["test"], _ = split_isolated_atoms(read_dataset(data.test, keys))
        entries["labels of the test set"] = describe_keys(keys, sets["test"])
        if not sets["test"]:
            raise InputError(f"{data.test} holds isolated atoms only; expected labelled structures to test on")
        _note_tested_twice(structures, sets["test"], data.test)
    weights = None if data.weight_key is None else [_weight(item, data.weight_key, data.path) for item in sets["train"]]
    return Labelled(sets, isolated, weights, entries)


def _note_tested_twice(structures: Sequence[LabelledStructure], test: Sequence[LabelledStructure], path: Path) -> None:
    n = len(structures)
    # repeats within the labels, or within the test set, are somebody else's business
    both = [again for first, again in find_duplicates([*structures, *test]) if first < n <= again]
    if both:
        warnings.warn(
            f"{path}: {len(both)} of {len(test)} structures are among the labels too; errors on them are no test",
            stacklevel=3,
        )


def _keys_of_test(path: Path, given: GivenKeys) -> LabelKeys:
    """As for the labels, but a test set may lack the stress that was named; no other is taken for it."""
    if given.stress is None:
        return detect_keys(path, given)
    return replace(detect_keys(path, replace(given, stress=None)), stress=given.stress)


def check_units(
    settings: FinetuningSettings, base: Potential, labelled: Labelled, progress: Progress, trust: str
) -> list[Suspicion]:
    """What looks like another unit in the labels and in the test set.

    Raises InputError for energies and forces, unless they are trusted; trust: how to say so.
    """
    found: list[Suspicion] = []
    for name, path, what in (("train", settings.data.path, "labels"), ("test", settings.data.test, "test set")):
        if name not in labelled.sets:
            continue
        data = labelled.sets[name]
        # raised before the step counts as done: only what is done is written to the log, and what is refused leaves nothing
        with progress.task(f"base on the {what}", len(data), "structures"):
            suspicions = suspect_units(predict_set(base, [d.atoms for d in data], dtype=settings.precision), data)
            bad = [s for s in suspicions if s.label != "stress"]
            if bad and not settings.trust_units:
                raise InputError(f"{path}: {bad[0]}, or say with {trust} that they are right")
        found += suspicions
    return list(dict.fromkeys(found))


def _weight(item: LabelledStructure, key: str, path: Path) -> float:
    if key not in item.info:
        raise InputError(
            f"{path}: {item.atoms.get_chemical_formula()} has no entry {key!r}, which data.weight_key names"
        )
    try:
        return float(item.info[key])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: entry {key!r} is {item.info[key]!r}, expected a number") from error


def _train(
    settings: FinetuningSettings,
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
            _members(settings),
            bootstrap=settings.bootstrap,
            extras=replace(_extras(labelled), replay=replay),
            dtype=settings.precision,
            checkpoint=layout.checkpoint("fit"),
            on_progress=lambda now: task.update(now.update, f"loss {now.loss:.4g}"),
        )
    for result in results:
        if result.failure is not None:
            progress.say(failure_note(result.failure.reason))
    return results


def failure_note(reason: str) -> str:
    """What is said of a fine-tune that stopped early."""
    return (
        f"the fine-tune stopped, the last good parameters are kept: {reason}; lower finetune.learning_rate, or look at the "
        "structures named"
    )


def _members(settings: FinetuningSettings) -> list[FinetuneSettings]:
    seeds = range(settings.finetune.seed, settings.finetune.seed + settings.members)
    return [replace(settings.finetune, seed=seed) for seed in seeds]


def _extras(labelled: Labelled) -> Extras:
    return Extras(weights=labelled.weights, validation=labelled.sets.get("validation", ()), isolated=labelled.isolated)


def model_folders(root: Path, members: int) -> list[Path]:
    """Where the potentials are saved."""
    return [root / "model"] if members == 1 else [root / f"model-{k}" for k in range(members)]


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
    write_json(
        root / "evaluation.json",
        FORMAT,
        VERSION,
        {
            "entries": dict(labelled.entries),
            "offset": kept[0].offset.describe(),
            "isolated_atoms_ev": {chemical_symbols[z]: e for z, e in sorted(labelled.isolated.items())},
            "suspicions": [str(s) for s in suspicions],
            "best_update": [r.best_update for r in results],
            "failures": [None if r.failure is None else r.failure.reason for r in results],
            "sets": {name: {"before": before[name].to_json(), "after": after[name].to_json()} for name in before},
        },
    )
    write_text(root / "training.csv", _history(results))
    for name, figure in (("parity", parity_figure(pairs)), ("training", training_figure(results))):
        path = root / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(figure))
    unused = [] if settings.finetune.reference_energies == "isolated" else sorted(labelled.isolated)
    models = [folder for folder in folders if folder.exists()]
    return Outcome(before, after, results, models, suspicions, [chemical_symbols[z] for z in unused])


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
