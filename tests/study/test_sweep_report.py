"""What a sweep leaves: trials in order, what still runs, a configuration that works from any folder."""

from dataclasses import replace

import pytest
import yaml
from optuna.trial import TrialState, create_trial

from jaxft.cli.config import FinetuneConfiguration
from jaxft.cli.settings import finetuning_settings
from jaxft.errors import InputError
from jaxft.study.record import differences
from jaxft.study.sweep_report import objective_of, ranked, report_sweep
from jaxft.study.sweep_settings import Dimension, SweepSettings
from jaxft.study.sweep_trials import ask, open_study

SETTINGS = SweepSettings(
    dimensions=(
        Dimension("finetune.learning_rate", 1e-5, 1e-2, log=True),
        Dimension("base", choices=("own", "cobalt-mini")),
    ),
    trials=6,
    objective="energy",
    prune=False,
    vectorized=False,
    population=4,
    seed=0,
    configuration={},
)


def trial(number, state, value):
    made = create_trial(state=state, value=value)
    made.number = number
    return made


def test_trials_that_did_not_end_come_last_whatever_loss_they_had():
    trials = [
        trial(0, TrialState.FAIL, None),
        trial(1, TrialState.PRUNED, 1e-4),
        trial(2, TrialState.COMPLETE, 60.0),
        trial(3, TrialState.COMPLETE, 50.0),
        trial(4, TrialState.COMPLETE, 50.0),
    ]
    assert [t.number for t in ranked(trials)] == [3, 4, 2, 0, 1]
    assert [objective_of(t) for t in trials] == [None, None, 60.0, 50.0, 50.0]


def test_what_is_left_works_from_any_folder_and_says_what_still_runs(tmp_path, monkeypatch):
    for name in ("waters.xyz", "test.xyz", "replay.xyz"):
        (tmp_path / name).touch()
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path.parent)
    sections = {
        "data": {"path": "waters.xyz", "test": "test.xyz"},
        "replay": {"source": "file", "file": "replay.xyz"},
    }

    def make(given):
        configuration = FinetuneConfiguration.model_validate({**sections, "base": given["base"]})
        return finetuning_settings(configuration, tmp_path.relative_to(tmp_path.parent))

    study = open_study(replace(SETTINGS, trials=5), tmp_path / "journal.log")
    trials = [ask(study, SETTINGS) for _ in range(6)]
    with pytest.raises(InputError, match="6 are still running elsewhere"):
        report_sweep(study, SETTINGS, make, tmp_path)
    for t in trials[:4]:
        study.tell(t, 20.0 + t.number if t.params["base"] == "own" else 80.0)
    outcome = report_sweep(study, SETTINGS, make, tmp_path)
    assert (len(outcome.trials), outcome.running) == (4, 2)
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert best["base"] == str(tmp_path / "own")
    assert best["data"]["path"] == str(tmp_path / "waters.xyz")
    assert best["data"]["test"] == str(tmp_path / "test.xyz")
    assert best["replay"]["file"] == str(tmp_path / "replay.xyz")
    for t in trials[4:]:
        study.tell(t, 1.0 if t.params["base"] == "cobalt-mini" else 99.0)
    outcome = report_sweep(study, SETTINGS, make, tmp_path)
    assert outcome.running == 0
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["base"] == outcome.best.params["base"] == "cobalt-mini"


def test_trials_that_all_reach_the_same_leave_no_importance(tmp_path):
    study = open_study(SETTINGS, tmp_path / "journal.log")
    for _ in range(4):
        study.tell(ask(study, SETTINGS), 1.0)

    def make(given):
        return finetuning_settings(FinetuneConfiguration.model_validate({"base": given["base"]}), tmp_path)

    assert len(report_sweep(study, SETTINGS, make, tmp_path).trials) == 4


def test_a_sweep_may_go_on_with_more_trials_but_not_with_other_settings():
    assert differences({"sweep": {"trials": 2}}, {"sweep": {"trials": 3}}) == []
    assert differences({"sweep": {"objective": "loss"}}, {"sweep": {"objective": "forces"}}) == ["sweep.objective"]
