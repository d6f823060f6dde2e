"""A sweep: many fine-tunes of one labelled file with other settings, judged on validation structures (``jaxft sweep``).

OUT/ config.yaml  record.json  journal.log (Optuna's)  trials.csv  best.yaml  figures/importance.png

Several processes may work on one folder, and a sweep goes on where it was stopped: the journal is shared and appended to. With
``vectorized`` a whole population of settings trains as one compiled program; then only what is traced may vary.
Source of the sampler: J. Bergstra et al., Algorithms for hyper-parameter optimization (NeurIPS 2011), as Optuna has it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from jaxft.errors import InputError
from jaxft.finetune.fit import check_fit, fit_members
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.result import FitResult
from jaxft.finetune.training import Advance
from jaxft.finetune.validation import DRAWN_BY_SEED
from jaxft.jobs.settings import ExecutorSettings, open_executor
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.finetune_data import Labelled, check_units, read_labels, told
from jaxft.study.finetune_folder import content_of, refuse_changed
from jaxft.study.finetune_settings import FinetuningSettings
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.record import check_same_study, open_record
from jaxft.study.replay import replay_structures
from jaxft.study.sweep_report import SweepOutcome, best_note, report_sweep
from jaxft.study.sweep_settings import Make, SweepSettings
from jaxft.study.sweep_trials import ENDED, IDENTITY, ask, bury, count, give_back, keep_wanted, open_study


@dataclass(frozen=True)
class Elsewhere:
    """Trials that run in workers: ``function((*task, run))`` is ``helper`` with this very sweep, called; importable by its name."""

    executor: ExecutorSettings
    function: Callable[[Any], int]
    task: tuple[Any, ...]


def run_sweep(
    settings: SweepSettings,
    make: Make,
    root: Path,
    progress: Progress,
    elsewhere: Elsewhere | None = None,
    alone: bool = False,
) -> SweepOutcome:
    """Run, go on with, or help with the sweep in ``root``; by default in this process.

    What workers leave undone (because they died) is done here. alone: no other process is at work on the sweep, so what is not
    done is begun again, whoever began it. Raises InputError for what can be known to be wrong beforehand.
    """
    shared = _share(settings, make, progress)
    study = _open(settings, make, root, shared) if Layout(root).record.exists() else None
    if study is not None and alone:
        bury(study, lambda signature: signature.identity != IDENTITY)
    # where nothing is left to begin, all was looked at when it was begun
    if study is None or count(study, begun=True) < settings.trials:
        _check(settings, make, shared, progress)
    if study is None:
        study = _open(settings, make, root, shared)
    with progress.task("sweep", settings.trials, "trials") as task:

        def show(*_: Any) -> None:
            task.update(count(study), best_note(study))

        show()
        if elsewhere is not None:
            size = settings.population if settings.vectorized else 1
            left = settings.trials - count(study, begun=True)
            crash = None
            try:
                with open_executor(elsewhere.executor) as executor:
                    executor.run(elsewhere.function, [(*elsewhere.task, IDENTITY)] * -(-left // size), show)
                crash = ENDED
            finally:
                # the workers of this run are ended, on whatever machines they were
                bury(study, lambda signature: signature.run == IDENTITY, crash)
        while _next(settings, make, study, shared):
            show()
    return report_sweep(study, settings, make, root)


def helper(settings: SweepSettings, make: Make, root: Path, progress: Progress, run: str) -> Callable[[], int]:
    """What runs one trial (or one population) of a sweep that another process has begun, and returns how many were run.

    Made once for many trials: labels, bases and replay structures are kept. run: identity of that process, which gives back what
    this one may leave. Raises InputError where the configuration, which a worker reads again, has changed since.
    """
    check_same_study(Layout(root), settings.configuration)
    shared = _share(settings, make, progress)
    study = _open(settings, make, root, shared)
    return lambda: _next(settings, make, study, shared, run)


@dataclass(frozen=True)
class _Shared:
    """What trials have in common: the labels, read once, and potentials with their own replay structures, each made once."""

    first: FinetuningSettings
    labelled: Labelled
    base: Callable[[FinetuningSettings], Potential]
    replay: Callable[[FinetuningSettings], Sequence[LabelledStructure]]


def _share(settings: SweepSettings, make: Make, progress: Progress) -> _Shared:
    """Read what all trials are trained and compared on. Raises InputError where that would not be the same for all."""
    first = make(settings.variants()[0])
    way = first.validation.by
    if way in DRAWN_BY_SEED and any(d.name == "seed" for d in settings.dimensions):
        raise InputError(
            f"sweep.settings has seed, but with validation.by: {way} the seed draws the validation structures, and trials must be "
            "compared on the same ones; leave it out, or set validation.by: trajectory"
        )
    labelled = read_labels(first)
    if "validation" not in labelled.sets:
        raise InputError("a sweep compares on structures that are set aside; set validation.share above 0")
    if settings.objective == "energy" and len(labelled.sets["validation"]) < 2:
        raise InputError(
            "sweep.objective is energy, whose mean error is taken off, and there is one validation structure, of which nothing is "
            "left; raise validation.share, or choose another objective"
        )

    @cache
    def base(name: str, head: str | None) -> Potential:
        return load(name, head=head)

    @cache
    def replay(name: str, head: str | None) -> Sequence[LabelledStructure]:
        structures = [d.atoms for d in labelled.sets["train"]]
        return replay_structures(
            first.replay, base(name, head), structures, first.finetune.seed, first.precision, progress
        )

    return _Shared(first, labelled, lambda one: base(one.base, one.head), lambda one: replay(one.base, one.head))


def _check(settings: SweepSettings, make: Make, shared: _Shared, progress: Progress) -> None:
    """Raise InputError for labels in other units, and for a choice that no fine-tune can be made with."""
    train, extras = shared.labelled.sets["train"], shared.labelled.extras()
    variants = settings.variants()
    made = []
    for variant in variants:
        try:
            made.append(make(variant))
            base = shared.base(made[-1])
            check_fit(base, train, [made[-1].finetune], base=base, extras=extras)
        except InputError as error:
            varied = "".join(f" ({name}: {v!r})" for name, v in variant.items() if v != variants[0][name])
            raise InputError(f"{error}{varied}") from None
    for suspicion in check_units(
        shared.first, shared.base(shared.first), shared.labelled, progress, "trust_units: true"
    ):
        progress.say(f"note: {suspicion}")
    for one in made:
        shared.replay(one)


def _open(settings: SweepSettings, make: Make, root: Path, shared: _Shared) -> optuna.Study:
    """The study of the folder, begun where there is none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    root.mkdir(parents=True, exist_ok=True)
    content = _content(settings, make, shared)
    # of other bases the record says itself which one changed
    whose = {name: value for name, value in content.items() if not name.startswith("base ")}
    refuse_changed(shared.first, Layout(root), whose)
    open_record(Layout(root), settings.configuration, settings.seed, content)
    return open_study(settings, root / "journal.log")


def _content(settings: SweepSettings, make: Make, shared: _Shared) -> dict[str, str]:
    """Hashes of what the configuration only names, for every base that may be chosen; named as in sweep.settings."""
    content: dict[str, str] = {}
    for variant in settings.variants():
        one = make(variant)
        found = content_of(one, shared.base(one), shared.labelled)
        base = found.pop("base")
        if (one.base, one.head) == (shared.first.base, shared.first.head):
            content["base"] = base
        else:
            content[" ".join(["base", *(str(variant[name]) for name in ("base", "head") if name in variant)])] = base
        content |= found
    return content


def _next(settings: SweepSettings, make: Make, study: optuna.Study, shared: _Shared, run: str = IDENTITY) -> int:
    """Run the next trial or population; 0 where all are done or begun."""
    left = settings.trials - count(study, begun=True)
    if left <= 0:
        return 0
    wanted = min(left, settings.population) if settings.vectorized else 1
    trials = keep_wanted(study, settings, [ask(study, settings, run) for _ in range(wanted)])
    try:
        _run(settings, make, trials, study, shared)
    except Exception as error:
        # a first crash ends this process, with its traceback; settings that crash again fail, and the sweep goes on
        crash = " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])
        again = [give_back(study, trial.number, crash) for trial in trials]
        if any(again):
            raise
    except BaseException:
        # ctrl-C: what was begun is begun again by the next call
        for trial in trials:
            give_back(study, trial.number)
        raise
    return len(trials)


def _fail(study: optuna.Study, trial: Trial, reason: str) -> None:
    """The trial came to nothing, and would again."""
    trial.set_user_attr("failure", reason)
    study.tell(trial, state=TrialState.FAIL)


def _makeable(make: Make, trials: Sequence[Trial], study: optuna.Study) -> list[tuple[Trial, FinetuningSettings]]:
    """The trials whose settings go together, each of which is fine by itself; the others fail."""
    made = []
    for trial in trials:
        try:
            made.append((trial, make(trial.params)))
        except InputError as error:
            _fail(study, trial, str(error))
    return made


def _run(settings: SweepSettings, make: Make, trials: Sequence[Trial], study: optuna.Study, shared: _Shared) -> None:
    """Train the trials side by side, or the one, and tell what came out."""
    made = _makeable(make, trials, study)
    if not made:
        return
    alive, members = zip(*made, strict=True)
    one, labelled = members[0], shared.labelled

    def watch(now: Advance) -> None:
        if settings.prune and now.validation is not None:
            # by share of the training: trials of other batch sizes may have other numbers of updates
            trials[0].report(float(now.validation[0]), 1000 * now.update // now.updates)
            if trials[0].should_prune():
                raise optuna.TrialPruned

    try:
        results = fit_members(
            shared.base(one),
            labelled.sets["train"],
            [member.for_labels(len(labelled.sets["train"])).finetune for member in members],
            extras=labelled.extras(shared.replay(one)),
            dtype=one.precision,
            on_progress=watch,
        )
    except optuna.TrialPruned:
        study.tell(trials[0], state=TrialState.PRUNED)
        return
    except InputError as error:
        for trial in alive:
            _fail(study, trial, str(error))
        return
    for trial, result in zip(alive, results, strict=True):
        if result.failure is not None:
            _fail(study, trial, told(result.failure, labelled))
            continue
        try:
            value = _objective(settings.objective, result, labelled, one.precision)
        except InputError as error:
            _fail(study, trial, str(error))
            continue
        if math.isfinite(value):
            study.tell(trial, value)
        else:
            _fail(study, trial, f"the objective is not finite ({value})")


def _objective(objective: str, result: FitResult, labelled: Labelled, precision: str) -> float:
    if objective == "loss":
        # the smallest of those that are numbers; NaN where none is
        return float(np.fmin.reduce(result.validation))
    metrics = evaluate_set(result.potential, labelled.sets["validation"], dtype=precision)
    return metrics.forces_mev.rmse if objective == "forces" else metrics.energy_centered_mev.rmse
