"""The folder of a fine-tune: whose it is, whether its labels are still the same, whether it is finished and whole."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxft.errors import InputError
from jaxft.finetune.fingerprint import hash_labels, hash_potential
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.records import read_json
from jaxft.study.finetune_data import Labelled, read_labels
from jaxft.study.finetune_settings import FinetuningSettings
from jaxft.study.layout import Layout
from jaxft.study.record import changed_content, is_finished

FORMAT = "jaxft-finetune-evaluation"
VERSION = 1


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
    refuse_changed(
        settings, layout, content_of(settings, load(settings.base, head=settings.head), read_labels(settings))
    )
    failures = read_json(root / "evaluation.json", FORMAT, VERSION)["failures"]
    # of members that stopped nothing is saved, unless all did
    models = [
        folder
        for folder, failure in zip(model_folders(root, settings.members), failures, strict=True)
        if failure is None or None not in failures
    ]
    missing = [
        folder
        for folder in models
        if not all((folder / name).exists() for name in ("config.json", "params.safetensors"))
    ]
    return Finished(models, missing, [failure for failure in failures if failure is not None])


def model_folders(root: Path, members: int) -> list[Path]:
    """Where the potentials are saved."""
    return [root / "model"] if members == 1 else [root / f"model-{k}" for k in range(members)]


def content_of(settings: FinetuningSettings, base: Potential, labelled: Labelled) -> dict[str, str]:
    """Hashes of what the configuration only names; of isolated atoms and weights only where they are used."""
    content = {"base": hash_potential(base), **{name: hash_labels(data) for name, data in labelled.sets.items()}}
    if settings.finetune.reference_energies == "isolated":
        content["isolated"] = _hash_plain(sorted(labelled.isolated.items()))
    if labelled.weights is not None:
        content["weights"] = _hash_plain(list(labelled.weights))
    return content


def refuse_changed(settings: FinetuningSettings, layout: Layout, content: Mapping[str, str]) -> None:
    """Raise InputError where the run in the folder began with other labels, or another base, of the same names."""
    changed = changed_content(layout, content)
    if not changed:
        return
    names = {"base": f"the base {settings.base}", "test": f"the labels of {settings.data.test}"}
    # of whatever file of labels: train and validation change together
    whose = dict.fromkeys(names.get(name, f"the labels of {settings.data.path}") for name in changed)
    raise InputError(
        f"{' and '.join(whose)} changed, or are read otherwise by this jaxft, since {layout.root} was begun; choose another "
        "folder with -o, or remove that one to train again"
    )


def _hash_plain(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
