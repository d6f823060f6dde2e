"""The labelled files of a fine-tune: read, split into sets, and looked at for other units before anything is trained."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxft.errors import InputError, nearest
from jaxft.finetune.check_units import Suspicion, suspect_units
from jaxft.finetune.fit import Extras
from jaxft.finetune.predict_set import predict_set
from jaxft.finetune.result import Failure
from jaxft.finetune.validation import split_validation
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure, find_duplicates, read_dataset, split_isolated_atoms
from jaxft.structures.label_keys import describe_keys, detect_keys
from jaxft.study.finetune_settings import FinetuningSettings
from jaxft.study.progress import Progress

MOST_NAMED = 5
"""Structures that a message names."""


@dataclass(frozen=True)
class Labelled:
    """What the files hold, sorted out. Sets by name: train, validation, test; entries: which are the labels, for each file."""

    sets: Mapping[str, Sequence[LabelledStructure]]
    isolated: Mapping[int, float]
    weights: Sequence[float] | None
    entries: Mapping[str, str]

    def extras(self, replay: Sequence[LabelledStructure] = ()) -> Extras:
        """What a fit is given beside the labels."""
        return Extras(self.weights, self.sets.get("validation", ()), replay, self.isolated)


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
        keys = detect_keys(data.test, data.keys, like=keys)
        sets["test"], _ = split_isolated_atoms(read_dataset(data.test, keys))
        entries["labels of the test set"] = describe_keys(keys, sets["test"])
        if not sets["test"]:
            raise InputError(f"{data.test} holds isolated atoms only; expected labelled structures to test on")
        _note_tested_twice(structures, sets["test"], data.test)
    weights = None if data.weight_key is None else [_weight(item, data.weight_key) for item in sets["train"]]
    return Labelled(sets, isolated, weights, entries)


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


def places(data: Sequence[LabelledStructure], numbers: Sequence[int]) -> str:
    """Where structures of these numbers within ``data`` came from: "frames 12 and 40 of DATA.extxyz"; ``MOST_NAMED``, then a count.

    Numbers within ``data`` mean nothing to a user: isolated atoms and validation structures are no longer among them.
    """
    numbers = list(dict.fromkeys(numbers))
    frames: dict[str, list[str]] = {}
    for k in numbers[:MOST_NAMED]:
        file, _, frame = data[k].where.rpartition(" frame ")
        frames.setdefault(file, []).append(frame or str(k))
    named = [
        f"{'frame' if file else 'labelled structure'}{'s' * (len(of) > 1)} {_listed(of)}{f' of {file}' * bool(file)}"
        for file, of in frames.items()
    ]
    more = len(numbers) - MOST_NAMED
    return _listed([*named, f"{more} more"] if more > 0 else named)


def told(failure: Failure, labelled: Labelled) -> str:
    """Why a fit stopped, with the file and the frames of the labels at fault: numbers within the training set are nobody's."""
    train = labelled.sets["train"]
    at_fault = [k for k in failure.structures if k < len(train)]
    return f"{failure.reason}: {places(train, at_fault)}" if at_fault else failure.reason


def _listed(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _note_tested_twice(structures: Sequence[LabelledStructure], test: Sequence[LabelledStructure], path: Path) -> None:
    n = len(structures)
    # repeats within the labels, or within the test set, are somebody else's business
    both = [again for first, again in find_duplicates([*structures, *test]) if first < n <= again]
    if both:
        warnings.warn(
            f"{path}: {len(both)} of {len(test)} structures are among the labels too; errors on them are no test",
            stacklevel=3,
        )


def _weight(item: LabelledStructure, key: str) -> float:
    what = f"{item.where} ({item.atoms.get_chemical_formula()})"
    if key not in item.info:
        known = sorted(item.info)
        raise InputError(
            f"{what} has no entry {key!r}, which data.weight_key names; it has {', '.join(known) or 'none'}{nearest(key, known)}"
        )
    try:
        weight = float(item.info[key])
    except (TypeError, ValueError):
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0.0):
        raise InputError(f"{what}: entry {key!r} is '{item.info[key]}', expected a number of at least 0")
    return weight
