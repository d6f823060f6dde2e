"""Frames in a stream: from arrays and from trajectory files, in pieces of any size, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from jaxft.analysis.frames import Frames, frames_of
from jaxft.errors import InputError
from jaxft.md.h5md import Layout, create, write_frames
from jaxft.md.trajectory import read_trajectory

WATER = Atoms("OH2", cell=[6.0, 7.0, 8.0], pbc=True)
PBC = np.ones(3, dtype=bool)


def frames(n=10, **changes):
    values = {"positions": np.random.default_rng(0).normal(size=(n, 3, 3)), "cells": np.asarray(WATER.cell)}
    values |= {"pbc": PBC, "numbers": WATER.numbers, "frame_fs": 10.0} | changes
    return Frames(**values)


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_pieces_of_any_size_are_the_whole(size):
    stream = frames()
    chunks = list(stream.chunks(size))
    np.testing.assert_array_equal(np.concatenate([chunk.positions for chunk in chunks]), stream.positions)
    assert [chunk.start for chunk in chunks] == list(range(0, 10, size))


def test_a_part_keeps_the_numbers_and_times_of_its_frames():
    part = frames(first_fs=500.0, start=4, stop=9)
    assert len(part) == 5
    assert [chunk.start for chunk in part.chunks(2)] == [4, 6, 8]
    assert part.time_fs(4) == 540.0


def test_the_shortest_height_is_that_of_all_frames_of_a_moving_cell():
    cells = np.asarray(WATER.cell) * np.linspace(1.1, 0.9, 600)[:, None, None]
    assert frames(600, cells=cells).shortest_height() == pytest.approx(5.4)
    assert frames().shortest_height() == pytest.approx(6.0)


@pytest.fixture
def stopped(tmp_path):
    """A trajectory of 20 frames from 60 fs on, of which the replica stopped after 13, and its positions."""
    path = tmp_path / "run.h5md"
    create(path, Layout(WATER, 20, 100, 20, 0.5, "this run", 9))
    positions = np.random.default_rng(1).normal(size=(20, 3, 3))
    numbers = np.zeros(20)
    columns = dict.fromkeys(("energies", "kinetic", "conserved", "pressure"), numbers)
    steps = 100 + 20 * np.minimum(np.arange(20), 12)
    write_frames(
        path,
        0,
        columns | {"positions": positions, "velocities": positions, "steps": steps, "status": (np.arange(20) > 12) * 4},
    )
    return read_trajectory(path), positions


def test_a_trajectory_ends_where_its_replica_stopped(stopped):
    trajectory, positions = stopped
    stream = frames_of(trajectory, start=3)
    assert (stream.start, stream.stop, len(stream)) == (3, 13, 10)
    assert (stream.frame_fs, stream.time_fs(3)) == (10.0, 80.0)
    np.testing.assert_array_equal(
        np.concatenate([chunk.positions for chunk in stream.chunks(4)]), positions[3:13].astype(np.float32)
    )
    np.testing.assert_array_equal(next(stream.chunks()).cells[0], WATER.cell.array)


def test_uneven_frames_are_refused(stopped):
    uneven = replace(stopped[0], time_fs=np.cumsum(np.arange(20.0)))
    with pytest.raises(InputError, match="between 1 and 12 fs apart"):
        frames_of(uneven)


def test_a_start_beyond_the_stop_leaves_no_frame(stopped):
    assert len(frames_of(stopped[0], start=15)) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": np.zeros((10, 4, 3))}, r"expected \(frames, 3, 3\)"),
        ({"cells": np.zeros((4, 3, 3))}, r"\(10, 3, 3\), as many as frames"),
        ({"frame_fs": 0.0}, "more than 0"),
        ({"stop": 11}, "there are 10"),
        ({"cells": np.zeros((10, 3, 3)), "pbc": np.array([True, True, False])}, "periodic in all directions"),
    ],
)
def test_what_does_not_fit_is_named(changes, words):
    with pytest.raises(InputError, match=words):
        frames(**changes)


def test_a_frame_that_is_not_finite_is_named():
    stream = frames(start=2)
    stream.positions[7, 1, 1] = np.nan
    with pytest.raises(InputError, match="frame 7 has positions that are not finite"):
        list(stream.chunks(3))


def test_a_cell_that_is_flat_is_refused():
    with pytest.raises(InputError, match="zero lattice vector"):
        list(frames(cells=np.diag([6.0, 7.0, 0.0])).chunks())


def test_a_box_that_is_not_periodic_has_no_half():
    with pytest.raises(InputError, match="not periodic in all three directions"):
        frames(pbc=np.array([True, True, False])).shortest_height()
