"""Trials in the journal: no two processes draw the same, and what was given back is tried again."""

import platform

import pytest
from optuna.trial import TrialState

from jaxft.study import sweep_trials
from jaxft.study.sweep_settings import Dimension, SweepSettings
from jaxft.study.sweep_trials import (
    ENDED,
    IDENTITY,
    Signature,
    ask,
    bury,
    count,
    finished,
    give_back,
    keep_wanted,
    open_study,
)

DIMENSIONS = (
    Dimension("finetune.learning_rate", 1e-5, 1e-2, log=True),
    Dimension("finetune.batch_size", 1, 1000),
    Dimension("finetune.ema_decay", choices=(0.0, 0.9, 0.99)),
)


def settings(**changes):
    given = {
        "dimensions": DIMENSIONS,
        "trials": 8,
        "objective": "forces",
        "prune": False,
        "vectorized": False,
        "population": 4,
        "seed": 0,
        "configuration": {},
    }
    return SweepSettings(**{**given, **changes})


def test_processes_that_begin_together_draw_different_settings(tmp_path):
    one, other = (open_study(settings(), tmp_path / "journal.log") for _ in range(2))
    trials = [ask(study, settings()) for study in (one, other, one, other)]
    assert [t.number for t in trials] == [0, 1, 2, 3]
    assert len({t.params["finetune.learning_rate"] for t in trials}) == 4
    assert len({t.params["finetune.batch_size"] for t in trials}) == 4


def test_the_first_draws_of_a_sweep_do_not_depend_on_how_many_processes_make_them(tmp_path):
    alone = open_study(settings(), tmp_path / "alone.log")
    expected = [ask(alone, settings()).params for _ in range(4)]
    one, other = (open_study(settings(), tmp_path / "shared.log") for _ in range(2))
    assert [ask(study, settings()).params for study in (one, other, other, one)] == expected
    reseeded = open_study(settings(seed=7), tmp_path / "reseeded.log")
    assert ask(reseeded, settings(seed=7)).params != expected[0]


@pytest.mark.filterwarnings("error")
def test_settings_that_were_given_back_are_taken_by_the_next_trial_of_any_process(tmp_path):
    killed, other = (open_study(settings(), tmp_path / "journal.log") for _ in range(2))
    lost = ask(killed, settings())
    assert give_back(killed, lost.number)
    assert count(other, begun=True) == 0
    again = ask(other, settings())
    assert again.params == lost.params
    assert ask(killed, settings()).params != lost.params


def test_settings_that_crash_twice_fail_with_their_reason_and_those_that_are_stopped_do_not(tmp_path):
    study = open_study(settings(), tmp_path / "journal.log")
    first = ask(study, settings())
    assert give_back(study, first.number, "out of memory")
    for _ in range(3):
        stopped = ask(study, settings())
        assert stopped.params == first.params
        assert give_back(study, stopped.number)
    assert not give_back(study, ask(study, settings()).number, "out of memory again")
    (failed,) = finished(study)
    assert (failed.state, failed.params) == (TrialState.FAIL, first.params)
    assert failed.user_attrs["failure"] == "tried 2 times: out of memory again"
    assert ask(study, settings()).params != first.params


def test_two_processes_that_bury_the_same_trial_enqueue_it_once(tmp_path, monkeypatch):
    one, other = (open_study(settings(), tmp_path / "journal.log") for _ in range(2))
    lost = ask(one, settings())
    tell = other.tell

    def tell_late(*arguments, **named):
        assert give_back(one, lost.number, ENDED)
        return tell(*arguments, **named)

    monkeypatch.setattr(other, "tell", tell_late)
    assert not give_back(other, lost.number, ENDED)
    assert [t.state for t in one.get_trials()] == [TrialState.FAIL, TrialState.WAITING]
    assert count(other, begun=True) == 0


def test_a_trial_of_an_earlier_process_with_the_same_number_is_given_back_and_one_of_another_host_is_not(
    tmp_path, monkeypatch
):
    study = open_study(settings(), tmp_path / "journal.log")
    mine = ask(study, settings())
    bury(study)
    assert count(study, begun=True) == 1
    monkeypatch.setattr(sweep_trials, "IDENTITY", "of the container that was started again")
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    bury(study)
    assert count(study, begun=True) == 1
    monkeypatch.undo()
    monkeypatch.setattr(sweep_trials, "IDENTITY", "of the container that was started again")
    bury(study)
    assert count(study, begun=True) == 0
    assert ask(study, settings()).params == mine.params


def test_workers_on_other_hosts_leave_their_trials_to_the_run_that_they_worked_for(tmp_path, monkeypatch):
    study = open_study(settings(), tmp_path / "journal.log")
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    mine, another = (ask(study, settings(), run) for run in ("mine", "another"))
    monkeypatch.undo()
    bury(study, lambda signature: signature.run == "mine")
    running = study.get_trials(states=(TrialState.RUNNING,))
    assert [t.number for t in running] == [another.number]
    assert Signature(*running[0].user_attrs["process"]).identity == IDENTITY
    assert ask(study, settings()).params == mine.params


def test_a_trial_that_is_asked_for_while_others_are_looked_at_is_not_buried(tmp_path, monkeypatch):
    study = open_study(settings(), tmp_path / "journal.log")
    orphan = study.ask()
    young = []
    monkeypatch.setattr(sweep_trials.time, "sleep", lambda _: young.append(study.ask()))
    bury(study)
    assert [t.number for t in study.get_trials(states=(TrialState.RUNNING,))] == [young[0].number]
    assert young[0].number != orphan.number


def test_processes_that_begin_the_last_trial_together_run_one(tmp_path):
    one, other = (open_study(settings(), tmp_path / "journal.log") for _ in range(2))
    begun = [(study, ask(study, settings(trials=1))) for study in (one, other)]
    kept = [keep_wanted(study, settings(trials=1), [trial]) for study, trial in reversed(begun)]
    assert [[t.number for t in trials] for trials in kept] == [[], [0]]
    assert count(one, begun=True) == 1


def test_whole_numbers_are_drawn_for_settings_that_are_whole_and_for_no_others(tmp_path):
    ranges = (Dimension("finetune.weight_decay", 0, 1), Dimension("finetune.patience", 1, 50), Dimension("seed", 0, 9))
    given = settings(dimensions=ranges)
    decay, *others = ask(open_study(given, tmp_path / "journal.log"), given).params.values()
    assert 0.0 < decay < 1.0
    assert [type(value) for value in others] == [int, int]
