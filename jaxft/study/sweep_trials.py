"""The trials of a sweep in Optuna's journal, shared by processes that may die: begun, done, and given back.

Optuna counts a trial whose process was killed as running for ever. Here each trial is signed with its process; where that
process is no more, the trial is given back: it does not count, and its settings wait to be tried again. Settings that crash
or end their process twice fail, so that they are not tried for ever.
"""

import os
import platform
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from jaxft.study.sweep_settings import SweepSettings

GIVEN_BACK = "given back "

SIGNED_AFTER_S = 5.0

CRASHES = "crashes"
"""Of a trial whose settings are tried again: how often they crashed, or their process ended, before."""

TRIES = 2
"""Crashes after which settings fail: the first may have been the machine's."""

ENDED = "its process ended before it did (killed, or out of memory?)"

DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

IDENTITY = uuid.uuid4().hex
"""Of this process: a container that is started again has the same host name and process numbers."""


@dataclass(frozen=True)
class Signature:
    """Whose a trial is. run: identity of the process that this one works for, its own where it works for itself."""

    host: str
    process: int
    identity: str = ""
    run: str = ""

    def is_gone(self) -> bool:
        """Whether the process is known to be no more; of other machines nothing is known."""
        if self.host != platform.node():
            return False
        if self.process == os.getpid():
            return self.identity != IDENTITY
        return not _alive(self.process)


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


def ask(study: optuna.Study, settings: SweepSettings, run: str = IDENTITY) -> Trial:
    """One more trial, signed by this process; its settings are those of a trial that was given back, or else drawn."""
    trial = study.ask()
    trial.set_user_attr("process", astuple(Signature(platform.node(), os.getpid(), IDENTITY, run)))
    # the journal gives each number once: processes that begin together must not draw the same settings
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + trial.number, constant_liar=True)
    for dimension in settings.dimensions:
        dimension.suggest(trial)
    return trial


def keep_wanted(study: optuna.Study, settings: SweepSettings, trials: Sequence[Trial]) -> list[Trial]:
    """Those of the trials that the sweep has room for; what several processes began beyond is given back by who began it."""
    returned = _returned(study)
    begun = study.get_trials(deepcopy=False, states=(*DONE, TrialState.RUNNING))
    wanted = sorted(t.number for t in begun if t.number not in returned)[: settings.trials]
    for trial in trials:
        if trial.number not in wanted:
            give_back(study, trial.number)
    return [trial for trial in trials if trial.number in wanted]


def count(study: optuna.Study, begun: bool = False) -> int:
    """How many trials are done (with ``begun``: or begun), without those that were given back."""
    states = (*DONE, TrialState.RUNNING) if begun else DONE
    returned = _returned(study)
    return sum(t.state in states and t.number not in returned for t in study.get_trials(deepcopy=False))


def count_running(study: optuna.Study) -> int:
    """How many trials are begun and not done."""
    return count(study, begun=True) - count(study)


def finished(study: optuna.Study) -> Sequence[FrozenTrial]:
    """The trials that are done, without those that were given back."""
    returned = _returned(study)
    return [t for t in study.get_trials(deepcopy=False) if t.state in DONE and t.number not in returned]


def bury(
    study: optuna.Study, whose: Callable[[Signature], bool] = Signature.is_gone, crash: str | None = ENDED
) -> None:
    """Trials of processes that are no more are given back; by default those of this machine.

    A process signs a trial just after it has asked for it; one that is not signed after a while belongs to nobody.
    """
    unsigned = {t.number for t in _running(study) if _signature(t) is None}
    if unsigned:
        time.sleep(SIGNED_AFTER_S)
    for trial in _running(study):
        signature = _signature(trial)
        # one that was asked for while this process slept may be signed yet
        if trial.number in unsigned if signature is None else whose(signature):
            give_back(study, trial.number, crash)


def give_back(study: optuna.Study, number: int, crash: str | None = None) -> bool:
    """A trial that was not finished: it does not count, and its settings are tried again. Returns whether they are.

    crash: what ended it, where that may lie in its settings; these fail when that happens again. None: it was stopped.
    """
    trial = study.get_trials(deepcopy=False)[number]
    crashes = trial.user_attrs.get(CRASHES, 0) + (crash is not None)
    fails = crash is not None and crashes >= TRIES
    try:
        if fails:
            Trial(study, trial._trial_id).set_user_attr("failure", f"tried {crashes} times: {crash}")
        study.tell(number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):
        # done meanwhile, or given back by another process, which has seen to its settings
        return False
    if fails:
        return False
    study.set_user_attr(f"{GIVEN_BACK}{number}", True)
    # a process that dies while it asks has not yet taken all settings that waited for it
    waited = trial.system_attrs.get("fixed_params", {})
    study.enqueue_trial({**waited, **trial.params}, user_attrs={CRASHES: crashes})
    return True


def _running(study: optuna.Study) -> Sequence[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _signature(trial: FrozenTrial) -> Signature | None:
    signed = trial.user_attrs.get("process")
    return None if signed is None else Signature(*signed)


def _returned(study: optuna.Study) -> set[int]:
    """Numbers of trials that were begun and not finished; a key each, so that processes don't overwrite each other's."""
    return {int(name.removeprefix(GIVEN_BACK)) for name in study.user_attrs if name.startswith(GIVEN_BACK)}


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
