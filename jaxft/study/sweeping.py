"""A sweep: many fine-tunes of one labelled file with other settings, judged on validation structures (``jaxft sweep``).

OUT/ config.yaml  record.json  journal.log (Optuna's)  trials.csv  best.yaml  figures/importance.png

Several processes may work on one folder, and a sweep goes on where it was stopped: the journal is shared and appended to. With
``vectorized`` a whole population of settings trains as one compiled program; then only what is traced may vary.
Source of the sampler: J. Bergstra et al., Algorithms for hyper-parameter optimization (NeurIPS 2011), as Optuna has it.
"""

import csv
import io
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from jaxft.errors import InputError, nearest
from jaxft.finetune.fingerprint import hash_labels, hash_potential
from jaxft.finetune.fit import TRACED, Extras, fit_members
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.result import FitResult
from jaxft.finetune.training import Advance
from jaxft.jobs.settings import ExecutorSettings, open_executor
from jaxft.potential.load import load
from jaxft.records import write_text
from jaxft.report.importance_figure import importance_figure
from jaxft.report.style import png
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.finetuning import FinetuningSettings, Labelled, read_labels
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.record import open_record
from jaxft.study.replay import replay_structures

OBJECTIVES = ("forces", "energy", "loss")
SCALE_OF_LOSS = ("finetune.weights", "finetune.loss", "finetune.huber_delta")
"""Settings that change what a loss means, so that losses under different ones can't be compared."""

GIVEN_BACK = "given back "

SIGNED_AFTER_S = 2.0
NOBODY = -1

DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Dimension:
    """What one setting may be: a range (low, high, on a log scale or not; whole numbers where both ends are) or choices."""

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        ranged = self.low is not None and self.high is not None
        if ranged == bool(self.choices):
            raise InputError(f"sweep.settings.{self.name}: expected low and high, or choices")
        if ranged and not (self.low < self.high and (self.low > 0 or not self.log)):  # type: ignore[operator]
            raise InputError(
                f"sweep.settings.{self.name}: low is {self.low} and high {self.high}; expected low < high, and low > 0 where "
                "log is set"
            )

    def distribution(self) -> BaseDistribution:
        """As Optuna wants it."""
        if self.choices:
            return CategoricalDistribution(self.choices)
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class SweepSettings:
    """One sweep.

    dimensions  what varies
    trials      how many settings are tried in all, by all processes together
    objective   what is made small on the validation structures: RMSE of ``forces`` (meV/Å), of ``energy`` after its mean error
                was taken off (meV/atom), or the validation ``loss``
    prune       end trials whose validation loss lags behind (median of the others at the same update)
    vectorized  train ``population`` settings at once in one program
    seed        of the sampler
    configuration  as it is recorded
    """

    dimensions: tuple[Dimension, ...]
    trials: int
    objective: str
    prune: bool
    vectorized: bool
    population: int
    seed: int
    configuration: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise InputError("sweep.settings is empty; expected at least one setting, such as finetune.learning_rate")
        if self.objective not in OBJECTIVES:
            near = nearest(self.objective, OBJECTIVES)
            raise InputError(f"sweep.objective is {self.objective!r}, expected one of {', '.join(OBJECTIVES)}{near}")
        for dimension in self.dimensions:
            if dimension.name.startswith(("replay.", "sweep.", "committee.")):
                raise InputError(f"sweep.settings has {dimension.name}, which is the same for all trials; leave it out")
        if self.trials < 1 or self.population < 1:
            raise InputError(
                f"sweep.trials and sweep.population are {self.trials} and {self.population}, expected at least 1"
            )
        scale = [d.name for d in self.dimensions if d.name.startswith(SCALE_OF_LOSS)]
        for name, uses in (("objective: loss", self.objective == "loss"), ("prune: true", self.prune)):
            if uses and scale:
                raise InputError(
                    f"sweep.{name} compares validation losses, but {scale[0]} changes what they mean; leave one out"
                )
        if self.vectorized:
            if self.prune:
                raise InputError(
                    "sweep.prune ends single trials, but with vectorized: true they train together; leave one out"
                )
            traced = (*(f"finetune.{name}" for name in (*TRACED, "replay_weight")), "seed")
            for dimension in self.dimensions:
                if not dimension.name.startswith(traced):
                    raise InputError(
                        f"sweep.vectorized: {dimension.name} is compiled in, so it can't vary in one program; only "
                        f"{', '.join(traced)} can"
                    )


Make = Callable[[Mapping[str, Any]], FinetuningSettings]
"""From settings by dotted name to a whole fine-tune; InputError for names that there are not."""


@dataclass(frozen=True)
class SweepOutcome:
    """The trials that are done, and the best one."""

    trials: Sequence[FrozenTrial]
    best: FrozenTrial
    best_yaml: Path


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
        task.update(_count(prepared.study), _best_note(prepared.study))

        def show(*_: Any) -> None:
            task.update(_count(prepared.study), _best_note(prepared.study))

        if elsewhere is not None:
            size = settings.population if settings.vectorized else 1
            left = settings.trials - _count(prepared.study, running=True)
            with open_executor(elsewhere.executor) as executor:
                executor.run(elsewhere.function, [elsewhere.task] * -(-left // size), show)
            _bury(prepared.study)
        while _next(settings, make, prepared):
            show()
    return _report(prepared.study, make, root)


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
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(root / "journal.log"))),
        study_name="sweep",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4) if settings.prune else optuna.pruners.NopPruner(),
    )
    # processes that share a study must not draw the same settings
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + len(study.trials), constant_liar=True)
    _bury(study)
    structures = [d.atoms for d in labelled.sets["train"]]
    replay = replay_structures(first.replay, base, structures, first.finetune.seed, first.precision, progress)
    return _Prepared(study, replay)


def _next(settings: SweepSettings, make: Make, prepared: _Prepared) -> int:
    """Run the next trial or population; 0 where all are done or begun."""
    study = prepared.study
    left = settings.trials - _count(study, running=True)
    if left <= 0:
        return 0
    wanted = min(left, settings.population) if settings.vectorized else 1
    trials = [_ask(study, settings) for _ in range(wanted)]
    try:
        _run(settings, make, trials, study, prepared.replay)
    except BaseException:
        # ctrl-C as well: what was begun is begun again by the next call
        for trial in trials:
            _give_back(study, trial.number, dict(trial.params))
        raise
    return wanted


def _ask(study: optuna.Study, settings: SweepSettings) -> Trial:
    trial = study.ask({d.name: d.distribution() for d in settings.dimensions})
    trial.set_user_attr("process", [platform.node(), os.getpid()])
    return trial


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


def _count(study: optuna.Study, running: bool = False) -> int:
    states = (*DONE, TrialState.RUNNING) if running else DONE
    returned = _returned(study)
    return sum(t.state in states and t.number not in returned for t in study.get_trials(deepcopy=False))


def _returned(study: optuna.Study) -> set[int]:
    """Numbers of trials that were begun and not finished; a key each, so that processes don't overwrite each other's."""
    return {int(name.removeprefix(GIVEN_BACK)) for name in study.user_attrs if name.startswith(GIVEN_BACK)}


def _bury(study: optuna.Study) -> None:
    """Trials of processes of this machine that are no more are given back.

    A process signs a trial just after it has asked for it; one that is not signed after a while belongs to nobody.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if any("process" not in trial.user_attrs for trial in running):
        time.sleep(SIGNED_AFTER_S)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        host, process = trial.user_attrs.get("process", [platform.node(), NOBODY])
        if host == platform.node() and not _alive(int(process)):
            _give_back(study, trial.number, dict(trial.params))


def _give_back(study: optuna.Study, number: int, params: dict[str, Any]) -> None:
    """A trial that was not finished: it does not count, and its settings are tried again."""
    trial = study.get_trials(deepcopy=False)[number]
    if trial.state != TrialState.RUNNING:
        return
    study.set_user_attr(f"{GIVEN_BACK}{number}", True)
    study.tell(number, state=TrialState.FAIL)
    study.enqueue_trial(params)


def _alive(process: int) -> bool:
    if process == NOBODY:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _best_note(study: optuna.Study) -> str:
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return f"best {min(t.value for t in done):.4g}" if done else ""  # type: ignore[type-var]


def _report(study: optuna.Study, make: Make, root: Path) -> SweepOutcome:
    """Table, importance of each setting, and the winning configuration."""
    returned = _returned(study)
    trials = [t for t in study.get_trials(deepcopy=False) if t.state in DONE and t.number not in returned]
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if not complete:
        reasons = {t.user_attrs.get("failure", "pruned") for t in trials}
        raise InputError(
            f"none of {len(trials)} trials ended with a number ({'; '.join(sorted(reasons))}); choose other ranges"
        )
    names = list(complete[0].params)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trial", "state", "value", *names])
    for trial in sorted(trials, key=lambda t: (t.value is None, t.value, t.number)):
        writer.writerow(
            [trial.number, trial.state.name.lower(), trial.value, *(trial.params.get(name) for name in names)]
        )
    write_text(root / "trials.csv", table.getvalue())
    best = min(complete, key=lambda t: (t.value, t.number))
    write_text(root / "best.yaml", yaml.safe_dump(dict(make(best.params).configuration), sort_keys=False))
    importance = optuna.importance.get_param_importances(study) if len(complete) > 1 and len(names) > 1 else {}
    points = {name: [(t.params[name], float(t.value)) for t in complete] for name in names}  # type: ignore[arg-type]
    figure = root / "figures" / "importance.png"
    figure.parent.mkdir(exist_ok=True)
    figure.write_bytes(png(importance_figure(points, importance)))
    return SweepOutcome(trials, best, root / "best.yaml")
