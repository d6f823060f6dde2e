"""Hysteresis and persistence, against a state machine that goes frame by frame."""

import numpy as np
import pytest

from jaxft.analysis.bond_limits import BondSettings
from jaxft.analysis.bonding import Tracking, limits_of, step, unfinished
from jaxft.analysis.frames import Frames
from jaxft.analysis.pair_distances import segments

OH = np.array([8, 1])
FORM, BROKEN = 1.1 * 0.97, 1.5 * 0.97
PERSIST = 5


def follow(stream):
    limits = limits_of(stream.numbers, stream.frame_fs, BondSettings())
    tracking, changes = Tracking(), []
    for segment in segments(stream, limits.broken):
        tracking, new = step(tracking, segment, limits)
        changes += new
    return tracking, changes


def of_distances(distances, frame_fs=10.0):
    """An O-H at these distances in free space."""
    positions = np.zeros((len(distances), 2, 3))
    positions[:, 1, 0] = distances
    return Frames(positions, np.zeros((3, 3)), np.zeros(3, bool), OH, frame_fs)


def by_hand(distances, form, broken, persist):
    """Initial state, changes as (frame, formed), and the one that is unfinished."""
    state = count = bool(distances[0] < 0.5 * (form + broken))
    since, changes = 0, []
    for k, d in enumerate(distances):
        now = True if d < form else False if d > broken else state
        if now != state:
            state, since = now, k
        if state != count and k - since >= persist:
            count = state
            changes.append((since, state))
    return bool(distances[0] < 0.5 * (form + broken)), changes, [(since, state)] if state != count else []


@pytest.mark.parametrize("seed", range(6))
def test_a_random_bond_agrees_with_a_state_machine(seed):
    rng = np.random.default_rng(seed)
    phase = np.cumsum(0.05 + 0.12 * rng.normal(size=900))
    distances = 1.3 + 0.5 * np.sin(phase) + 0.1 * rng.normal(size=900)
    tracking, changes = follow(of_distances(distances))
    initial, expected, going = by_hand(distances, FORM, BROKEN, PERSIST)
    assert len(expected) > 5
    assert [(change.frame, change.formed) for change in changes] == expected
    assert [(change.frame, change.formed) for change in unfinished(tracking)] == going
    assert (len(tracking.initial) == 1) == initial
    np.testing.assert_allclose([change.distance for change in changes], distances[[k for k, _ in expected]])


@pytest.mark.parametrize("last", [43, 44, 45, 60])
@pytest.mark.parametrize("until", [40, 42])
def test_a_state_counts_when_it_has_been_seen_for_50_fs(last, until):
    distances = np.full(80, 0.97)
    distances[until : last + 1] = 1.6
    _, changes = follow(of_distances(distances))
    lasts = last - until >= 5
    assert [(c.frame, c.formed) for c in changes] == ([(until, False), (last + 1, True)] if lasts else [])


@pytest.mark.parametrize("at", [14, 15, 16, 250, 255, 256, 257])
def test_a_change_is_the_same_wherever_frames_are_read_in_pieces(at):
    distances = np.where(np.arange(300) < at, 0.97, 1.7)
    _, changes = follow(of_distances(distances))
    assert [(c.frame, c.formed) for c in changes] == [(at, False)]


def test_between_both_limits_a_pair_stays_what_it_was():
    bonded = np.concatenate([[0.97], np.full(30, 1.30)])
    apart = np.concatenate([[1.80], np.full(30, 1.20)])
    for distances in (bonded, apart):
        tracking, changes = follow(of_distances(distances))
        assert changes == unfinished(tracking) == []


@pytest.mark.parametrize(("start", "bonded"), [(1.25, True), (1.27, False)])
def test_in_the_first_frame_the_middle_decides(start, bonded):
    tracking, changes = follow(of_distances(np.full(20, start)))
    assert len(tracking.initial) == bonded
    assert changes == []


def test_persistence_is_in_time_and_not_in_frames():
    distances = np.full(80, 0.97)
    distances[40:60] = 1.6  # 19 spacings
    assert len(follow(of_distances(distances, frame_fs=2.0))[1]) == 0  # 38 fs
    assert len(follow(of_distances(distances, frame_fs=2.7))[1]) == 2  # 51 fs


def test_a_pair_that_jumps_out_of_reach_in_one_frame_is_seen():
    distances = np.where(np.arange(60) < 33, 0.97, 40.0)
    _, changes = follow(of_distances(distances))
    assert [(c.frame, c.formed, c.distance) for c in changes] == [(33, False, 40.0)]


def test_memory_holds_bonded_pairs_only():
    rng = np.random.default_rng(0)
    gas = rng.uniform(0, 15, (400, 30, 3))
    stream = Frames(gas, np.eye(3) * 15, np.ones(3, bool), np.array([8, 1] * 15), 1.0)
    tracking, _ = follow(stream)
    assert len(tracking.tracks) < 10
    assert tracking.n_frames == 400


def test_random_atoms_in_a_box_smaller_than_the_limits_agree_with_the_state_machine_image_by_image():
    rng = np.random.default_rng(7)
    n, cell = 300, np.diag([3.0, 3.2, 3.4])
    positions = np.array([[0, 0, 0], [1.6, 0.1, 0.2]]) + np.cumsum(0.05 * rng.normal(size=(n, 2, 3)), axis=0)
    stream = Frames(positions, cell, np.ones(3, bool), np.array([3, 8]), 10.0)
    limits = limits_of(stream.numbers, 10.0, BondSettings())
    form, broken = limits.form[0, 1], limits.broken[0, 1]
    tracking, changes = follow(stream)
    expected, initial = [], set()
    images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    for image in images:
        distances = np.linalg.norm(positions[:, 1] - positions[:, 0] + image @ cell, axis=1)
        bonded, found, _ = by_hand(distances, form, broken, PERSIST)
        expected += [(frame, formed, tuple(image.tolist())) for frame, formed in found]
        if bonded:
            initial.add(tuple(image.tolist()))
    assert len({image for _, _, image in expected}) > 3
    assert {pair.n for pair in tracking.initial} == initial
    assert sorted((c.frame, c.formed, c.pair.n) for c in changes) == sorted(expected)
