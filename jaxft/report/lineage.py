"""Where each model comes from: its parent, its labels, hashes and settings, as its own file remembers them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxft.errors import InputError
from jaxft.records import read_json

FORMAT, VERSION = "jaxft-potential", 1
"""Of ``config.json`` in a model's folder; read here without building a network."""


@dataclass(frozen=True)
class Descent:
    """A fine-tuned model.

    parent         name of the model whose weights it started from
    labels, n_effective   in its training set, and independent ones among them
    labels_hash, weights_hash, parent_hash, base_hash   SHA-256
    updates, best  updates done, and the one that was kept
    failure        why training ended early; None where it did not
    """

    name: str
    strategy: str
    parent: str
    labels: int
    n_effective: float | None
    labels_hash: str
    weights_hash: str
    parent_hash: str
    base_hash: str
    updates: int | None
    best: int | None
    failure: str | None


def read_lineage(root: Path) -> tuple[list[Descent], list[str]]:
    """All models in a run folder, in the order of their labels, and what could not be read."""
    found, unreadable = [], []
    for path in sorted(root.glob("*/models/*/config.json")):
        strategy = path.parts[-4]
        try:
            found.append(_descent(strategy, path.parent.name, read_json(path, FORMAT, VERSION)))
        except (InputError, KeyError) as error:
            unreadable.append(f"provenance of {path.parent.name}: {error}")
    return sorted(found, key=lambda one: (one.strategy, one.labels, one.name)), unreadable


def _descent(strategy: str, name: str, record: dict[str, Any]) -> Descent:
    about = record["provenance"]
    return Descent(
        name=str(about.get("name", name)),
        strategy=strategy,
        parent=str(about["parent"]),
        labels=int(about["n_labels"]),
        n_effective=about.get("n_effective"),
        labels_hash=str(about["labels_sha256"]),
        weights_hash=str(record["params_sha256"]),
        parent_hash=str(about["parent_sha256"]),
        base_hash=str(about["base_sha256"]),
        updates=about.get("updates_done"),
        best=about.get("best_update"),
        failure=about.get("failure"),
    )
