"""Signals of which it is known how good they are."""

import numpy as np
import pytest

from jaxft.analysis.proxy import LabelledAtoms, judge_signals
from jaxft.errors import InputError


def planted(seed=0, runs=12, frames=10, atoms=8):
    """Errors follow the hidden trouble of each atom; good signals follow it too, bad ones do not."""
    random = np.random.default_rng(seed)
    n_frames = runs * frames
    frame = np.repeat(np.arange(n_frames), atoms)
    numbers = np.tile(np.repeat([1, 8], atoms // 2), n_frames)
    trouble = random.normal(size=len(frame))
    error = np.exp(0.8 * trouble + 0.3 * random.normal(size=len(frame)) + np.log(np.where(numbers == 8, 0.3, 0.05)))
    largest = trouble.reshape(n_frames, atoms).max(axis=1)
    return LabelledAtoms(
        numbers=numbers,
        frame=frame,
        force_error=error,
        signals={
            "Q": np.exp(2.0 * trouble + 0.5 * random.normal(size=len(frame))),
            "weak": np.exp(0.3 * trouble + random.normal(size=len(frame))),
            "element": np.where(numbers == 8, 2.0, 1.0),
            "gaps": np.where(random.random(len(frame)) < 0.5, np.nan, np.exp(trouble)),
        },
        run=np.repeat(np.arange(runs), frames),
        seed=np.repeat(np.arange(runs) % 4, frames),
        model=np.repeat(np.arange(runs) // 4, frames),
        energy_error=np.abs(largest + 0.3 * random.normal(size=n_frames)),
    )


@pytest.fixture(scope="module")
def judged():
    return {one.signal: one for one in judge_signals(planted(), resamples=200)}


def test_a_good_signal_is_seen_to_be_good_with_an_interval(judged):
    q = judged["Q"]
    assert q.auroc.value > 0.9
    assert q.auroc.low < q.auroc.value < q.auroc.high
    assert q.spearman.low > 0.7
    assert q.frame_spearman.low > 0.2
    assert q.regression.r2_test > 0.6
    assert q.regression.slope == pytest.approx(0.4, abs=0.1)


def test_it_beats_a_weak_one_and_not_itself_in_disguise(judged):
    assert judged["weak"].beaten
    assert judged["gaps"].atoms < judged["Q"].atoms
    assert not judged["gaps"].beaten
    assert judged["Q"].beaten is None


def test_knowing_the_element_is_no_prediction(judged):
    assert judged["element"].auroc.value == pytest.approx(0.5)
    assert judged["element"].spearman.value is None


def test_with_few_runs_there_are_values_and_no_verdict():
    found = judge_signals(planted(runs=2), resamples=50)
    assert found[0].auroc.value > 0.8
    assert found[0].auroc.low is None
    assert found[1].beaten is None


def test_the_roc_curve_is_above_the_diagonal(judged):
    false, hits = judged["Q"].roc
    assert np.mean(np.array(hits) - np.array(false)) > 0.3


def test_no_labelled_frame_is_said():
    empty = np.zeros(0)
    none = LabelledAtoms(empty, empty, empty, {"Q": empty}, empty, empty, empty, empty)
    with pytest.raises(InputError, match="no labelled frame"):
        judge_signals(none)
