"""The trials of a sweep in Optuna's journal, shared by processes that may die: begun, done, and given back.

Optuna counts a trial whose process was killed as running for ever. Here each trial is signed with its process; where that
process is no more, the trial is given back: it does not count, and its settings wait to be tried again.
"""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from jaxft.study.sweep_settings import SweepSettings

GIVEN_BACK = "given back "

SIGNED_AFTER_S = 2.0
NOBODY = -1

DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def open_study(settings: SweepSettings, journal: Path) -> optuna.Study:
    """The study in the file ``journal``, begun where there is none; what died with its process is given back."""
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name="sweep",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4) if settings.prune else optuna.pruners.NopPruner(),
    )
    bury(study)
    return study


def ask(study: optuna.Study, settings: SweepSettings) -> Trial:
    """One more trial, signed by this process; its settings are those of a trial that was given back, or else drawn."""
    trial = study.ask()
    trial.set_user_attr("process", [platform.node(), os.getpid()])
    # the journal gives each number once: processes that begin together must not draw the same settings
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + trial.number, constant_liar=True)
    for dimension in settings.dimensions:
        dimension.suggest(trial)
    return trial


def count(study: optuna.Study, running: bool = False) -> int:
    """How many trials are done (with ``running``: or begun), without those that were given back."""
    states = (*DONE, TrialState.RUNNING) if running else DONE
    returned = _returned(study)
    return sum(t.state in states and t.number not in returned for t in study.get_trials(deepcopy=False))


def running(study: optuna.Study) -> int:
    """How many trials are begun and not done."""
    return count(study, running=True) - count(study)


def finished(study: optuna.Study) -> Sequence[FrozenTrial]:
    """The trials that are done, without those that were given back."""
    returned = _returned(study)
    return [t for t in study.get_trials(deepcopy=False) if t.state in DONE and t.number not in returned]


def bury(study: optuna.Study) -> None:
    """Trials of processes of this machine that are no more are given back.

    A process signs a trial just after it has asked for it; one that is not signed after a while belongs to nobody.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if any("process" not in trial.user_attrs for trial in running):
        time.sleep(SIGNED_AFTER_S)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        host, process = trial.user_attrs.get("process", [platform.node(), NOBODY])
        if host == platform.node() and not _alive(int(process)):
            give_back(study, trial.number, dict(trial.params))


def give_back(study: optuna.Study, number: int, params: dict[str, Any]) -> None:
    """A trial that was not finished: it does not count, and its settings are tried again."""
    trial = study.get_trials(deepcopy=False)[number]
    if trial.state != TrialState.RUNNING:
        return
    study.set_user_attr(f"{GIVEN_BACK}{number}", True)
    study.tell(number, state=TrialState.FAIL)
    study.enqueue_trial(params)


def _returned(study: optuna.Study) -> set[int]:
    """Numbers of trials that were begun and not finished; a key each, so that processes don't overwrite each other's."""
    return {int(name.removeprefix(GIVEN_BACK)) for name in study.user_attrs if name.startswith(GIVEN_BACK)}


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
