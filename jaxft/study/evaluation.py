"""A potential, or the mean of a committee, against labelled structures (``jaxft evaluate``): errors, and parity plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxft.finetune.check_labels import check_labels
from jaxft.finetune.check_units import Suspicion, suspect_units
from jaxft.finetune.metrics import Metrics, errors_of
from jaxft.finetune.predict_set import SetPrediction, predict_set
from jaxft.potential.committee import mean_and_spread, member_folders
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.potential.zoo import ZOO
from jaxft.records import write_json
from jaxft.report.parity_figure import parity_figure
from jaxft.report.style import png
from jaxft.structures.dataset import LabelledStructure
from jaxft.units import MEV

FORMAT = "jaxft-evaluation"
VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """Predictions and labels of a set, their errors, and what looks like another unit in the labels.

    members            how many potentials the prediction is the mean of
    forces_spread_mev  how far they are apart: standard deviation of the force vector on an atom, RMS over the set, meV/Å; None
                       for one
    """

    prediction: SetPrediction
    data: Sequence[LabelledStructure]
    metrics: Metrics
    suspicions: Sequence[Suspicion]
    members: int
    forces_spread_mev: float | None


def load_members(name: str, head: str | None = None) -> list[Potential]:
    """The potential of a name as ``load`` knows it; of the folder of a fine-tune its ``model``, or all members of its committee."""
    folder = Path(name)
    if name in ZOO or not folder.is_dir() or (folder / "config.json").exists():
        return [load(name, head=head)]
    if (folder / "model").is_dir():
        return [load(folder / "model", head=head)]
    return [load(path, head=head) for path in member_folders(folder) or [folder]]


def evaluate_potentials(
    potentials: Sequence[Potential], data: Sequence[LabelledStructure], precision: str
) -> Evaluation:
    """Errors of their mean prediction on ``data``. Raises InputError for elements that a potential lacks."""
    for potential in potentials:
        check_labels(data, potential.atomic_numbers)
    said = predictions_of(potentials, data, precision)
    mean = mean_of(said)
    spread = None
    if len(said) > 1:
        _, of_atoms = mean_and_spread(np.stack([np.concatenate(one.forces) for one in said]), vectors=True)
        spread = float(np.sqrt(np.mean(of_atoms**2))) / MEV
    return Evaluation(mean, data, errors_of(mean, data), suspect_units(mean, data), len(said), spread)


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
            "members": evaluation.members,
            "force_vector_spread_mev": evaluation.forces_spread_mev,
            **evaluation.metrics.to_json(),
        },
    )
    figure = parity_figure({"test": (evaluation.prediction, evaluation.data, evaluation.metrics)})
    (folder / "parity.png").write_bytes(png(figure))


def predictions_of(
    potentials: Sequence[Potential], data: Sequence[LabelledStructure], dtype: str
) -> list[SetPrediction]:
    """What each of some potentials says."""
    return [predict_set(potential, [d.atoms for d in data], dtype=dtype) for potential in potentials]


def mean_of(said: Sequence[SetPrediction]) -> SetPrediction:
    """The mean of some predictions of one set."""
    return SetPrediction(
        np.mean([s.energies for s in said], axis=0),
        tuple(np.mean(arrays, axis=0) for arrays in zip(*(s.forces for s in said), strict=True)),
        tuple(
            None if arrays[0] is None else np.mean(arrays, axis=0)
            for arrays in zip(*(s.stresses for s in said), strict=True)
        ),
    )
