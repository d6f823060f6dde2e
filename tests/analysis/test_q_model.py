"""Q models per element: what is planted is found, what is not there is said."""

import numpy as np
import pytest

from jaxft.analysis.environments import Environments
from jaxft.analysis.q_model import calibrate, fit_q_model, frame_maximum, left_out_alarms, q_and_t2, ratio_to_limit
from jaxft.errors import InputError

NUMBERS = np.array([8, 1, 1, 8, 1, 1])


def environments(frames, seed=0, features=20):
    """Two elements, each in its own subspace of three dimensions plus a little noise."""
    random = np.random.default_rng(seed)
    axes = {z: np.random.default_rng(z).normal(size=(3, features)) for z in (1, 8)}
    numbers = np.tile(NUMBERS, frames)
    values = np.stack([random.normal(size=3) @ axes[z] + 0.05 * random.normal(size=features) + z for z in numbers])
    return Environments(numbers, np.repeat(np.arange(frames), len(NUMBERS)), values, frames)


@pytest.fixture(scope="module")
def calibrated():
    model = fit_q_model(environments(30))
    return model, calibrate(model, environments(300, seed=1), n_effective=300.0)


def test_each_element_is_seen_in_its_own_subspace(calibrated):
    model, _ = calibrated
    assert {z: pca.retained for z, pca in model.elements.items()} == {1: 3, 8: 3}
    exchanged = environments(10, seed=2)
    swapped = Environments(9 - exchanged.numbers, exchanged.frame, exchanged.values, 10)
    assert q_and_t2(model, swapped)[0].min() > 100 * np.median(q_and_t2(model, exchanged)[0])


def test_fewer_components_than_a_third_of_the_frames():
    for frames, most in ((1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (10, 3)):
        model = fit_q_model(environments(frames))
        assert {pca.retained for pca in model.elements.values()} == {most}
        assert most < frames / 3


def test_limits_alarm_at_their_rate_on_new_frames(calibrated):
    model, calibration = calibrated
    fresh = environments(1000, seed=3)
    ratio = ratio_to_limit(q_and_t2(model, fresh)[0], fresh.numbers, calibration.q)
    for z in (1, 8):
        assert (ratio[fresh.numbers == z] > 1.0).mean() == pytest.approx(0.01, abs=0.008)
        assert calibration.false_alarms[z]["held out"] < 0.03
    largest, _ = frame_maximum(ratio, fresh.frame, fresh.frames)
    assert (largest > calibration.frame.value).mean() < 0.03
    assert calibration.enough


def test_one_strange_atom_rules_its_frame(calibrated):
    model, calibration = calibrated
    strange = environments(5, seed=4)
    strange.values[2 * len(NUMBERS) + 4] += 3.0 * np.random.default_rng(9).normal(size=20)
    ratio = ratio_to_limit(q_and_t2(model, strange)[0], strange.numbers, calibration.q)
    largest, atom = frame_maximum(ratio, strange.frame, strange.frames)
    assert (int(np.argmax(largest)), int(atom[2])) == (2, 4)
    assert largest[2] > calibration.frame.value
    assert (np.delete(largest, 2) < calibration.frame.value).all()


def test_t2_sees_what_lies_far_out_inside_the_subspace(calibrated):
    model, calibration = calibrated
    far = environments(1, seed=5)
    centre = model.elements[1].mean
    stretched = Environments(
        far.numbers, far.frame, np.where(far.numbers[:, None] == 1, centre + 15 * (far.values - centre), far.values), 1
    )
    _, t2 = q_and_t2(model, stretched)
    assert (t2[far.numbers == 1] > calibration.t2[1]).all()


def test_an_element_without_a_model_has_no_number(calibrated):
    model, calibration = calibrated
    other = environments(2, seed=6)
    numbers = np.where(np.arange(len(other.numbers)) == 0, 17, other.numbers)
    q, _ = q_and_t2(model, Environments(numbers, other.frame, other.values, 2))
    assert np.isnan(q[0])
    assert np.isfinite(q[1:]).all()
    ratio = ratio_to_limit(q, numbers, calibration.q)
    largest, atom = frame_maximum(ratio, other.frame, 2)
    assert np.isfinite(largest).all()
    assert atom[0] != 0
    nothing, nobody = frame_maximum(np.array([np.nan]), np.array([0]), 1)
    assert (np.isnan(nothing[0]), nobody[0]) == (True, -1)


def test_too_little_is_refused_in_words():
    one = environments(1)
    alone = one.where(np.arange(6) == 0)
    with pytest.raises(InputError, match="no element has two different environments"):
        fit_q_model(alone)
    model = fit_q_model(environments(9))
    with pytest.raises(InputError, match="at least 2 production frames"):
        calibrate(model, environments(1), 1.0)
    with pytest.raises(InputError, match="no O"):
        calibrate(model, environments(9).of_element(1), 9.0)


def test_constant_columns_do_not_count():
    training = environments(30)
    training.values[:, 5] = 1.0
    model = fit_q_model(training)
    assert not model.elements[1].kept[5]


def test_a_segment_that_was_left_out_alarms_where_it_is_elsewhere():
    # three segments; the third lies apart in every environment
    training, frames = environments(30, seed=7), environments(90, seed=8)
    groups, of_frames = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 2], 30)
    alike = left_out_alarms(training, groups, frames, of_frames)
    assert len(alike) == 3
    assert max(alike) < 0.2
    for of, which in ((training, groups), (frames, of_frames)):
        of.values[which[of.frame] == 2] += 3.0
    apart = left_out_alarms(training, groups, frames, of_frames)
    assert apart[2] == 1.0
    assert max(apart[:2]) < 0.2
    assert left_out_alarms(training, np.zeros(30, int), frames, np.zeros(90, int)) == ()


def test_correlated_frames_claim_no_smaller_rate_than_independent_ones_would():
    model = fit_q_model(environments(30))
    few = calibrate(model, environments(300, seed=1), n_effective=19.0)
    assert few.frame.rate == pytest.approx(1 / 20)
    assert few.q[1].rate == pytest.approx(1 / 20)
    assert not few.enough
