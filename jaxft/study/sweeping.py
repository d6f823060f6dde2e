"""A sweep: many fine-tunes of one labelled file with other settings, judged on validation structures (``jaxft sweep``).

OUT/ config.yaml  record.json  journal.log (Optuna's)  trials.csv  best.yaml  figures/importance.png

Several processes may work on one folder, and a sweep goes on where it was stopped: the journal is shared and appended to. With
``vectorized`` a whole population of settings trains as one compiled program; then only what is traced may vary.
Source of the sampler: J. Bergstra et al., Algorithms for hyper-parameter optimization (NeurIPS 2011), as Optuna has it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from jaxft.errors import InputError
from jaxft.finetune.fingerprint import hash_labels, hash_potential
from jaxft.finetune.fit import Extras, fit_members
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.result import FitResult
from jaxft.finetune.training import Advance
from jaxft.jobs.settings import ExecutorSettings, open_executor
from jaxft.potential.load import load
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.finetuning import Labelled, read_labels
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.record import open_record
from jaxft.study.replay import replay_structures
from jaxft.study.sweep_report import SweepOutcome, best_note, report_sweep
from jaxft.study.sweep_settings import Make, SweepSettings
from jaxft.study.sweep_trials import ask, bury, count, give_back, open_study


@dataclass(frozen=True)
class Elsewhere:
    """Trials that run in workers: ``function(task)`` is ``help_sweep`` with this very sweep, importable by its name."""

    executor: ExecutorSettings
    function: Callable[[Any], int]
    task: Any


def run_sweep(
    settings: SweepSettings, make: Make, root: Path, progress: Progress, elsewhere: Elsewhere | None = None
) -> SweepOutcome:
    """Run, go on with, or help with the sweep in ``root``; by default in this process.

    What workers leave undone (because they died) is done here. Raises InputError for what can be known to be wrong beforehand.
    """
    prepared = _prepare(settings, make, root, progress)
    with progress.task("sweep", settings.trials, "trials") as task:
        task.update(count(prepared.study), best_note(prepared.study))

        def show(*_: Any) -> None:
            task.update(count(prepared.study), best_note(prepared.study))

        if elsewhere is not None:
            size = settings.population if settings.vectorized else 1
            left = settings.trials - count(prepared.study, running=True)
            with open_executor(elsewhere.executor) as executor:
                executor.run(elsewhere.function, [elsewhere.task] * -(-left // size), show)
            bury(prepared.study)
        while _next(settings, make, prepared):
            show()
    return report_sweep(prepared.study, make, root)


def help_sweep(settings: SweepSettings, make: Make, root: Path, progress: Progress) -> int:
    """One trial (or one population) of a sweep that another process has begun; returns how many were run."""
    return _next(settings, make, _prepare(settings, make, root, progress))


@dataclass(frozen=True)
class _Prepared:
    study: optuna.Study
    replay: Sequence[LabelledStructure]


def _prepare(settings: SweepSettings, make: Make, root: Path, progress: Progress) -> _Prepared:
    """The study of the folder, after what can be known to be wrong was looked at."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = make({d.name: (d.choices or (d.low,))[0] for d in settings.dimensions})
    labelled = read_labels(first)
    if "validation" not in labelled.sets:
        raise InputError("a sweep compares on structures that are set aside; set validation.share above 0")
    layout = Layout(root)
    root.mkdir(parents=True, exist_ok=True)
    base = load(first.base, head=first.head)
    content = {"base": hash_potential(base), "labels": hash_labels(labelled.sets["train"])}
    open_record(layout, settings.configuration, settings.seed, content)
    study = open_study(settings, root / "journal.log")
    structures = [d.atoms for d in labelled.sets["train"]]
    replay = replay_structures(first.replay, base, structures, first.finetune.seed, first.precision, progress)
    return _Prepared(study, replay)


def _next(settings: SweepSettings, make: Make, prepared: _Prepared) -> int:
    """Run the next trial or population; 0 where all are done or begun."""
    study = prepared.study
    left = settings.trials - count(study, running=True)
    if left <= 0:
        return 0
    wanted = min(left, settings.population) if settings.vectorized else 1
    trials = [ask(study, settings) for _ in range(wanted)]
    try:
        _run(settings, make, trials, study, prepared.replay)
    except BaseException:
        # ctrl-C as well: what was begun is begun again by the next call
        for trial in trials:
            give_back(study, trial.number, dict(trial.params))
        raise
    return wanted


def _run(
    settings: SweepSettings,
    make: Make,
    trials: Sequence[Trial],
    study: optuna.Study,
    replay: Sequence[LabelledStructure],
) -> None:
    """Train the trials side by side, or the one, and tell what came out."""
    made = [make(trial.params) for trial in trials]
    labelled = read_labels(made[0])
    base = load(made[0].base, head=made[0].head)

    def watch(now: Advance) -> None:
        if settings.prune and now.validation is not None:
            trials[0].report(float(now.validation[0]), now.update)
            if trials[0].should_prune():
                raise optuna.TrialPruned

    try:
        results = fit_members(
            base,
            labelled.sets["train"],
            [one.finetune for one in made],
            extras=Extras(
                weights=labelled.weights,
                validation=labelled.sets["validation"],
                replay=replay,
                isolated=labelled.isolated,
            ),
            dtype=made[0].precision,
            on_progress=watch,
        )
    except optuna.TrialPruned:
        study.tell(trials[0], state=TrialState.PRUNED)
        return
    for trial, result in zip(trials, results, strict=True):
        if result.failure is not None:
            trial.set_user_attr("failure", result.failure.reason)
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, _objective(settings.objective, result, labelled, made[0].precision))


def _objective(objective: str, result: FitResult, labelled: Labelled, precision: str) -> float:
    if objective == "loss":
        return float(result.validation.min())
    metrics = evaluate_set(result.potential, labelled.sets["validation"], dtype=precision)
    return metrics.forces_mev.rmse if objective == "forces" else metrics.energy_centered_mev.rmse
