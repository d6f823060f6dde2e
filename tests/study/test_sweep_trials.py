"""Trials in the journal: no two processes draw the same, and what was given back is tried again."""

import pytest

from jaxft.study.sweep_settings import Dimension, SweepSettings
from jaxft.study.sweep_trials import ask, count, give_back, open_study

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
    give_back(killed, lost.number, dict(lost.params))
    assert count(other, running=True) == 0
    again = ask(other, settings())
    assert again.params == lost.params
    assert ask(killed, settings()).params != lost.params
