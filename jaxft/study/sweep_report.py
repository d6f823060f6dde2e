"""What a sweep leaves: trials.csv, figures/importance.png, and best.yaml, the winning configuration."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from jaxft.errors import InputError
from jaxft.potential.zoo import ZOO
from jaxft.records import write_text
from jaxft.report.importance_figure import importance_figure
from jaxft.report.style import png
from jaxft.study.finetune_settings import FinetuningSettings
from jaxft.study.sweep_settings import OBJECTIVES, Make, SweepSettings
from jaxft.study.sweep_trials import count_running, finished


@dataclass(frozen=True)
class SweepOutcome:
    """The trials that are done, and the best one. running: how many other processes are still at."""

    trials: Sequence[FrozenTrial]
    running: int
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


def report_sweep(study: optuna.Study, settings: SweepSettings, make: Make, root: Path) -> SweepOutcome:
    """Table, importance of each setting, and the winning configuration."""
    # counted first: one that ends meanwhile is then in the table too
    elsewhere = count_running(study)
    trials = finished(study)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if not complete:
        if elsewhere:
            raise InputError(
                f"no trial has ended with a number yet, {elsewhere} are still running elsewhere; run this again when they are done"
            )
        reasons = {t.user_attrs.get("failure", "pruned") for t in trials}
        raise InputError(
            f"none of {len(trials)} trials ended with a number ({'; '.join(sorted(reasons))}); choose other ranges"
        )
    names = list(complete[0].params)
    write_text(root / "trials.csv", _table(trials, names))
    best = ranked(complete)[0]
    write_text(root / "best.yaml", yaml.safe_dump(usable_anywhere(make(best.params)), sort_keys=False))
    points = {name: [(t.params[name], float(t.value)) for t in complete] for name in names}  # type: ignore[arg-type]
    log = [d.name for d in settings.dimensions if d.log]
    choices = {d.name: d.choices for d in settings.dimensions if d.choices}
    path = root / "figures" / "importance.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(
        png(importance_figure(points, _importance(study, names), OBJECTIVES[settings.objective], log, choices))
    )
    return SweepOutcome(trials, elsewhere, best, root / "best.yaml")


def usable_anywhere(one: FinetuningSettings) -> dict[str, Any]:
    """The configuration with absolute paths: best.yaml lies in another folder than the YAML that named them."""
    data = {**one.configuration["data"], "path": str(one.data.path.resolve())}
    if one.data.test is not None:
        data["test"] = str(one.data.test.resolve())
    replay = dict(one.configuration["replay"])
    if one.replay.file is not None:
        replay["file"] = str(one.replay.file.resolve())
    # a name of the zoo stays one, as for load()
    named = one.base in ZOO or not Path(one.base).exists()
    base = one.base if named else str(Path(one.base).resolve())
    return {**one.configuration, "data": data, "replay": replay, "base": base}


def _importance(study: optuna.Study, names: Sequence[str]) -> Mapping[str, float]:
    """Share of the variance of the objective that each setting explains; empty where nothing can be told apart."""
    values = {t.value for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    if len(values) < 2 or len(names) < 2:
        return {}
    # named, since Optuna's default is another measure from version 5 on; seeded, so that the figure repeats
    return optuna.importance.get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))


def _table(trials: Sequence[FrozenTrial], names: Sequence[str]) -> str:
    """Comma-separated values, one trial a line."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trial", "state", "objective", *names, "failure"])
    for trial in ranked(trials):
        settings = (trial.params.get(name) for name in names)
        writer.writerow(
            [trial.number, trial.state.name.lower(), objective_of(trial), *settings, trial.user_attrs.get("failure")]
        )
    return table.getvalue()
