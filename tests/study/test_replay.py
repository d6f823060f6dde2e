"""Replay structures: what can be wrong with them is said in words. No dynamics run here."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

import jaxft
from jaxft.errors import InputError
from jaxft.finetune.fingerprint import hash_labels
from jaxft.finetune.predict_set import predict_set
from jaxft.md.guards import Status
from jaxft.structures.dataset import read_dataset, write_dataset
from jaxft.study import replay
from jaxft.study.replay import ReplaySettings, replay_structures

WATER = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])


class Told:
    """Progress that keeps what is said."""

    def __init__(self):
        self.lines = []

    def task(self, *_):
        return nullcontext()

    def say(self, text):
        self.lines.append(text)


class Stopping:
    """Dynamics that a guard stops after some frames."""

    def __init__(self, good, done=0):
        self.good, self.done = good, done
        self.status = np.array([0 if done <= good else int(Status.TOO_HOT)])
        self.replicas = SimpleNamespace(steps=np.array([100 * min(done, good) + 7 * (done > good)]))

    def atoms(self, _):
        return WATER


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def stopping_after(monkeypatch):
    def after(good):
        monkeypatch.setattr(replay, "start", lambda *_: Stopping(good))
        monkeypatch.setattr(replay, "advance", lambda now, *_, **__: (Stopping(good, now.done + 1), None))
        monkeypatch.setattr(replay, "label_by", lambda _, structures, __: list(structures))

    return after


def test_what_is_kept_of_replay_is_the_same_to_the_last_bit(tmp_path, told):
    own = replay_structures(
        ReplaySettings("generator", 3), jaxft.load("cobalt-mini"), [], seed=0, precision="float32", progress=told
    )
    write_dataset(tmp_path / "replay.extxyz", own)
    assert hash_labels(read_dataset(tmp_path / "replay.extxyz")) == hash_labels(own)


def test_dynamics_that_end_at_once_say_why(stopping_after, told):
    stopping_after(0)
    with pytest.raises(
        InputError, match=r"no structures: H2O ended after 7 steps by runaway temperature; lower replay"
    ):
        replay_structures(ReplaySettings("dynamics", 5), None, [WATER], 0, "float32", told)


def test_dynamics_that_end_early_give_what_there_is_and_say_so(stopping_after, told):
    stopping_after(3)
    found = replay_structures(ReplaySettings("dynamics", 5), None, [WATER], 0, "float32", told)
    assert len(found) == 3
    assert told.lines == ["replay: 3 of 5 structures; H2O ended after 307 steps by runaway temperature"]


def test_a_file_of_unknown_elements_names_the_frame(tmp_path, told):
    frames = [WATER.copy(), WATER.copy()]
    frames[1].symbols[0] = "He"
    write(tmp_path / "replay.extxyz", frames, format="extxyz")
    settings = ReplaySettings("file", 5, file=tmp_path / "replay.extxyz")
    with pytest.raises(InputError, match=r"replay.extxyz frame 1 \(H2He\): this potential does not know He"):
        replay_structures(settings, jaxft.load("cobalt-mini"), [WATER], 0, "float32", told)


def test_a_file_gives_frames_spread_over_it_with_the_labels_of_the_base(tmp_path, told):
    base = jaxft.load("cobalt-mini")
    frames = [WATER.copy() for _ in range(5)]
    for k, atoms in enumerate(frames):
        atoms.positions[1, 0] += 0.02 * k
        atoms.info["energy"] = 1e6
    write(tmp_path / "replay.extxyz", frames, format="extxyz")
    settings = ReplaySettings("file", 3, file=tmp_path / "replay.extxyz")
    found = replay_structures(settings, base, [], 0, "float32", told)
    said = predict_set(base, [frames[k] for k in (0, 2, 4)])
    np.testing.assert_allclose([item.energy for item in found], said.energies, rtol=1e-6)
    np.testing.assert_allclose([item.forces for item in found], said.forces, atol=1e-4)
    assert told.lines == []


def test_what_the_base_finds_absurd_is_left_out_and_counted(tmp_path, told, monkeypatch):
    monkeypatch.setattr(replay, "MAX_FORCE", 3.0)
    frames = [WATER.copy(), WATER.copy()]
    frames[1].positions[1] *= 1.3
    write(tmp_path / "replay.extxyz", frames, format="extxyz")
    settings = ReplaySettings("file", 2, file=tmp_path / "replay.extxyz")
    found = replay_structures(settings, jaxft.load("cobalt-mini"), [], 0, "float32", told)
    np.testing.assert_array_equal([item.atoms.positions for item in found], [WATER.positions])
    assert told.lines == ["replay: 1 of 2 structures; 1 have forces beyond 3 eV/Å"]
