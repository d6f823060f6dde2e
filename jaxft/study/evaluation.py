"""A potential against labelled structures (``jaxft evaluate``): errors, and parity plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxft.finetune.check_labels import check_labels
from jaxft.finetune.check_units import Suspicion, suspect_units
from jaxft.finetune.metrics import Metrics, errors_of
from jaxft.finetune.predict_set import SetPrediction, predict_set
from jaxft.potential.potential import Potential
from jaxft.records import write_json
from jaxft.report.parity_figure import parity_figure
from jaxft.report.style import png
from jaxft.structures.dataset import LabelledStructure

FORMAT = "jaxft-evaluation"
VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """Predictions and labels of a set, their errors, and what looks like another unit in the labels."""

    prediction: SetPrediction
    data: Sequence[LabelledStructure]
    metrics: Metrics
    suspicions: Sequence[Suspicion]


def evaluate_potential(potential: Potential, data: Sequence[LabelledStructure], precision: str) -> Evaluation:
    """Errors on ``data``. Raises InputError for elements that the potential lacks."""
    check_labels(data, potential.atomic_numbers)
    prediction = predict_set(potential, [d.atoms for d in data], dtype=precision)
    return Evaluation(prediction, data, errors_of(prediction, data), suspect_units(prediction, data))


def write_evaluation(evaluation: Evaluation, folder: Path, entries: str) -> None:
    """evaluation.json and parity.png. entries: which entries of the file the labels are."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / "evaluation.json",
        FORMAT,
        VERSION,
        {
            "entries": {"labels": entries},
            "suspicions": [str(s) for s in evaluation.suspicions],
            **evaluation.metrics.to_json(),
        },
    )
    figure = parity_figure({"test": (evaluation.prediction, evaluation.data, evaluation.metrics)})
    (folder / "parity.png").write_bytes(png(figure))
