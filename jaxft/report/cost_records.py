"""What is needed to say what a run cost: its labels by purpose, the store that remembers their times, and the log's wall times.

The store is only asked; where it can't be, the reason is handed on.
"""

import re
from pathlib import Path

from jaxft.analysis.costs import LabelCost, label_costs, seconds_by_kind
from jaxft.errors import InputError
from jaxft.labels.store import read_store
from jaxft.report.records import Records
from jaxft.structures.extxyz import read_frames
from jaxft.structures.labelled import REF_KEYS

TRAINING, EVALUATION, PRODUCTION = "training", "evaluation", "production"

STEP = re.compile(r"^\S+ \S+  (?P<what>.+?): \d+ \w+ in (?P<seconds>[0-9.]+) s(,|$)")
"""A finished step in log.txt: when, what, how much, how long."""

KINDS = (
    (re.compile(r"\d+ boxes for"), "equilibration of starting boxes"),
    (re.compile(r"dynamics test-"), "dynamics of tests"),
    (re.compile(r"dynamics production-"), "dynamics of production"),
    (re.compile(r"dynamics "), "dynamics for sampling"),
    (re.compile(r"labels test-"), "labels for evaluation"),
    (re.compile(r"labels production-"), "labels for production"),
    (re.compile(r"labels"), "labels for training"),
    (re.compile(r"fine-tune "), "fine-tuning"),
    (re.compile(r"analysis"), "analysis"),
)


def read_label_costs(records: Records) -> tuple[list[LabelCost], str | None]:
    """Costs by purpose, or why they are not known."""
    path = store_path(records)
    if path is None or not path.is_file():
        return [], "the label store is not where the run says"
    try:
        energies = {
            TRAINING: _energies(sorted(records.root.glob("*/datasets/*.extxyz"))),
            EVALUATION: _energies(sorted(records.root.glob("evaluation/frames/*.extxyz"))),
            PRODUCTION: _energies(sorted(records.root.glob("production/frames/*.extxyz"))),
        }
        with read_store(path) as store:
            return label_costs(store, {purpose: values for purpose, values in energies.items() if values}), None
    except InputError as error:
        return [], str(error).replace(f"{records.root}/", "")


def store_path(records: Records) -> Path | None:
    """A relative path is inside the run folder."""
    named = (records.configuration.get("labels") or {}).get("store")
    return None if named is None else records.root / str(named)


def read_wall_times(root: Path) -> dict[str, float]:
    """Seconds by kind of work, of the steps that the log has as finished."""
    log = root / "log.txt"
    if not log.is_file():
        return {}
    steps = [STEP.match(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return seconds_by_kind([(_kind(step["what"]), float(step["seconds"])) for step in steps if step is not None])


def _kind(what: str) -> str:
    return next((kind for pattern, kind in KINDS if pattern.match(what)), "other")


def _energies(paths: list[Path]) -> list[float]:
    frames = [atoms for path in paths for atoms in read_frames(path)]
    return [float(atoms.info[REF_KEYS.energy]) for atoms in frames if REF_KEYS.energy in atoms.info]
