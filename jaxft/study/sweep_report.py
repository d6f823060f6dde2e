"""What a sweep leaves: trials.csv, figures/importance.png, and best.yaml, the winning configuration."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from jaxft.errors import InputError
from jaxft.records import write_text
from jaxft.report.importance_figure import importance_figure
from jaxft.report.style import png
from jaxft.study.sweep_settings import Make
from jaxft.study.sweep_trials import finished


@dataclass(frozen=True)
class SweepOutcome:
    """The trials that are done, and the best one."""

    trials: Sequence[FrozenTrial]
    best: FrozenTrial
    best_yaml: Path


def objective_of(trial: FrozenTrial) -> float | None:
    """What the trial came to; None where it did not end: Optuna keeps the last loss of a pruned trial as its value."""
    return trial.value if trial.state == TrialState.COMPLETE else None


def ranked(trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
    """The best first; those that did not end behind them, in the order in which they were begun."""
    return sorted(trials, key=lambda t: (objective_of(t) is None, objective_of(t) or 0.0, t.number))


def best_note(study: optuna.Study) -> str:
    """For a progress bar: the smallest number so far."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return f"best {min(t.value for t in done):.4g}" if done else ""  # type: ignore[type-var]


def report_sweep(study: optuna.Study, make: Make, root: Path) -> SweepOutcome:
    """Table, importance of each setting, and the winning configuration."""
    trials = finished(study)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if not complete:
        reasons = {t.user_attrs.get("failure", "pruned") for t in trials}
        raise InputError(
            f"none of {len(trials)} trials ended with a number ({'; '.join(sorted(reasons))}); choose other ranges"
        )
    names = list(complete[0].params)
    write_text(root / "trials.csv", _table(trials, names))
    best = ranked(complete)[0]
    write_text(root / "best.yaml", yaml.safe_dump(dict(make(best.params).configuration), sort_keys=False))
    importance = optuna.importance.get_param_importances(study) if len(complete) > 1 and len(names) > 1 else {}
    points = {name: [(t.params[name], float(t.value)) for t in complete] for name in names}  # type: ignore[arg-type]
    figure = root / "figures" / "importance.png"
    figure.parent.mkdir(exist_ok=True)
    figure.write_bytes(png(importance_figure(points, importance)))
    return SweepOutcome(trials, best, root / "best.yaml")


def _table(trials: Sequence[FrozenTrial], names: Sequence[str]) -> str:
    """Comma-separated values, one trial a line."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trial", "state", "objective", *names])
    for trial in ranked(trials):
        settings = (trial.params.get(name) for name in names)
        writer.writerow([trial.number, trial.state.name.lower(), objective_of(trial), *settings])
    return table.getvalue()
