"""The order of trials: by objective, and what Optuna keeps of a pruned trial is none."""

from optuna.trial import TrialState, create_trial

from jaxft.study.sweep_report import objective_of, ranked


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
