"""The host loop: files, stops, resuming, and that no interruption shows in what is left."""

import gc
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ase.io
import jax
import numpy as np
import pytest
from killed_run import argon_run
from lennard_jones import argon, liquid

from jaxft import pytree, units
from jaxft.errors import InputError
from jaxft.md.checkpoint import restore
from jaxft.md.guards import GuardSettings, Status
from jaxft.md.h5md import open_file
from jaxft.md.identity import identity_of
from jaxft.md.run import run
from jaxft.md.trajectory import read_trajectory

ROOT = Path(__file__).resolve().parents[2]


class InterruptedRunError(Exception):
    """Raised by a test in the middle of a run."""


def interrupt_at(frames):
    """A callback that raises once so many frames are done."""

    def interrupt(progress):
        if progress.frames == frames:
            raise InterruptedRunError

    return interrupt


def files(folder):
    """What a run of two replicas left."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def start_run(folder, n_frames=10, simulation=None, **options):
    """A run of two replicas in blocks of 4 frames."""
    return run(
        simulation or liquid(2),
        n_frames,
        checkpoint=folder / "state.safetensors",
        trajectories=[folder / "0.h5md", folder / "1.h5md"],
        **{"block_frames": 4, **options},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 10 frames that nothing disturbed: its folder, its outcome, what it said of its progress."""
    folder, said = tmp_path_factory.mktemp("finished"), []
    return folder, start_run(folder, on_progress=said.append), said


@pytest.fixture(scope="module")
def heating():
    """Two replicas of which the second heats up until a guard stops it."""
    return uneven([120.0, 600.0])


def uneven(temperatures):
    """Two replicas with baths of their own, and a guard at 300 K."""
    simulation = liquid(2, guards=GuardSettings(max_temperature=300.0))
    kT = simulation.bath.kT.at[:].set(units.KELVIN * np.array(temperatures))
    return replace(simulation, bath=pytree.replace(simulation.bath, kT=kT))


def test_a_run_records_every_frame_of_every_replica(finished):
    folder, outcome, _ = finished
    assert outcome.stops == (None, None)
    assert outcome.valid_frames == (10, 10)
    assert outcome.n_frames == 10
    assert outcome.wall_s > 0
    for replica in range(2):
        trajectory = read_trajectory(folder / f"{replica}.h5md")
        assert trajectory.steps.tolist() == list(range(10, 101, 10))
        assert trajectory.time_fs.tolist() == [50.0 * k for k in range(1, 11)]
        assert (trajectory.status == 0).all()
        end = outcome.simulation.atoms(replica)
        last = trajectory.to_atoms(-1)
        np.testing.assert_allclose(last.positions, end.positions, atol=1e-5)
        np.testing.assert_allclose(last.get_velocities(), end.get_velocities(), atol=1e-6)
        end.calc = argon().calculator(dtype="float64")
        assert trajectory.energies[-1] == pytest.approx(end.get_potential_energy(), abs=1e-8)
        assert trajectory.kinetic[-1] == pytest.approx(end.get_kinetic_energy(), abs=1e-9)


def test_progress_tells_steps_speed_temperature_and_energy(finished):
    folder, _, said = finished
    assert [p.frames for p in said] == [4, 8, 10]
    assert [p.steps for p in said] == [40, 80, 100]
    assert all(p.n_frames == 10 and p.running == 2 and p.ns_per_day > 0 for p in said)
    both = [read_trajectory(folder / f"{r}.h5md") for r in range(2)]
    assert said[-1].temperature == pytest.approx(np.mean([t.temperatures[8:] for t in both]))
    assert said[-1].energy_per_atom == pytest.approx(np.mean([t.energies[8:] for t in both]) / 32)


def test_a_finished_run_returns_from_its_files_without_touching_them(finished):
    folder, outcome, _ = finished
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}
    said = []
    again = start_run(folder, on_progress=said.append)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()} == before
    assert said == []
    assert again.compilations == 0
    assert (again.stops, again.valid_frames, again.n_frames) == (outcome.stops, outcome.valid_frames, outcome.n_frames)
    np.testing.assert_array_equal(
        again.simulation.replicas.dynamics.position, outcome.simulation.replicas.dynamics.position
    )


@pytest.mark.parametrize("after", [4, 8])
def test_an_interrupted_run_goes_on_to_the_same_bytes(finished, tmp_path, after):
    with pytest.raises(InterruptedRunError):
        start_run(tmp_path, on_progress=interrupt_at(after))
    assert restore_frames(tmp_path) == after
    assert len(read_trajectory(tmp_path / "0.h5md")) == after
    start_run(tmp_path)
    assert files(tmp_path) == files(finished[0])


def restore_frames(folder, n_frames=10):
    """How many frames the checkpoint counts."""
    simulation = liquid(2)
    identity = {**identity_of(simulation), "n_frames": n_frames, "block_frames": 4}
    return restore(simulation, folder / "state.safetensors", identity).frames


def test_checkpoints_by_wall_time_leave_the_same_files(finished, tmp_path):
    with pytest.raises(InterruptedRunError):
        start_run(tmp_path, checkpoint_every_s=1e6, on_progress=interrupt_at(8))
    assert not (tmp_path / "state.safetensors").exists()
    start_run(tmp_path, checkpoint_every_s=1e6)
    assert files(tmp_path) == files(finished[0])


def test_frames_beyond_the_checkpoint_do_not_count_once_a_run_goes_on(finished, tmp_path):
    state = tmp_path / "state.safetensors"
    with pytest.raises(InterruptedRunError):
        start_run(tmp_path, on_progress=interrupt_at(4))
    early = state.read_bytes()
    start_run(tmp_path)
    state.write_bytes(early)
    with pytest.raises(InterruptedRunError):
        start_run(tmp_path, on_progress=interrupt_at(8))
    assert len(read_trajectory(tmp_path / "1.h5md")) == 8
    state.unlink()
    with pytest.raises(InterruptedRunError):
        start_run(tmp_path, on_progress=interrupt_at(4))
    assert len(read_trajectory(tmp_path / "1.h5md")) == 4
    start_run(tmp_path)
    assert files(tmp_path) == files(finished[0])


def test_a_replica_that_stops_is_marked_and_the_other_runs_on(heating, tmp_path):
    outcome = start_run(tmp_path, 20, heating)
    stop = outcome.stops[1]
    assert outcome.stops[0] is None
    assert stop.reason == "runaway temperature"
    assert 0 < stop.step < 200
    assert stop.time_fs == 5.0 * stop.step
    assert outcome.valid_frames == (20, stop.step // 10)
    trajectory = read_trajectory(tmp_path / "1.h5md")
    assert len(trajectory) == 20
    assert ((trajectory.status == 0).sum(), (trajectory.status == Status.TOO_HOT).sum()) == (
        outcome.valid_frames[1],
        20 - outcome.valid_frames[1],
    )
    assert trajectory.steps[-1] == stop.step
    assert trajectory.time_fs[-1] == stop.time_fs
    assert not (tmp_path / "0-stopped.extxyz").exists()
    snapshot = ase.io.read(tmp_path / "1-stopped.extxyz")
    assert (snapshot.info["stopped"], snapshot.info["step"]) == (stop.reason, stop.step)
    np.testing.assert_array_equal(snapshot.positions, outcome.simulation.atoms(1).positions)
    np.testing.assert_array_equal(snapshot.get_momenta(), outcome.simulation.atoms(1).get_momenta())
    cool = start_run(tmp_path / "cool", 20, uneven([120.0, 120.0]))
    assert cool.stops == (None, None)
    np.testing.assert_array_equal(
        read_trajectory(tmp_path / "0.h5md").positions[:], read_trajectory(tmp_path / "cool" / "0.h5md").positions[:]
    )


def test_a_run_ends_when_all_replicas_have_stopped_and_its_files_with_it(tmp_path):
    simulation, said = uneven([600.0, 600.0]), []
    outcome = start_run(tmp_path, 400, simulation, on_progress=said.append)
    assert all(stop is not None for stop in outcome.stops)
    last = max(stop.step for stop in outcome.stops)
    # the block in which the last one stopped is the last block
    assert outcome.n_frames == 4 * (1 + last // 40)
    assert len(read_trajectory(tmp_path / "0.h5md")) == outcome.n_frames
    with open_file(tmp_path / "1.h5md") as file:
        assert len(file["particles/all/position/value"]) == outcome.n_frames
    assert said[-1].running == 0
    assert np.isnan(said[-1].temperature)
    before = files(tmp_path)
    again = start_run(tmp_path, 400, simulation)
    assert (again.stops, again.n_frames, again.compilations) == (outcome.stops, outcome.n_frames, 0)
    assert files(tmp_path) == before


def test_stopped_replicas_stay_stopped_in_the_next_run(heating, tmp_path):
    stopped = start_run(tmp_path / "first", 8, uneven([600.0, 600.0]))
    assert all(stopped.stops)
    outcome = start_run(tmp_path / "second", 8, stopped.simulation)
    assert outcome.stops == stopped.stops
    assert outcome.valid_frames == (0, 0)
    assert (read_trajectory(tmp_path / "second" / "0.h5md").status != 0).all()


def test_a_run_without_files_gives_the_same_state(finished):
    _, outcome, _ = finished
    bare = run(liquid(2), 10, block_frames=4)
    np.testing.assert_array_equal(
        bare.simulation.replicas.dynamics.momentum, outcome.simulation.replicas.dynamics.momentum
    )


def test_the_next_run_counts_its_steps_on(finished, tmp_path):
    _, outcome, _ = finished
    more = start_run(tmp_path, 4, outcome.simulation)
    assert more.valid_frames == (4, 4)
    assert read_trajectory(tmp_path / "1.h5md").steps.tolist() == [110, 120, 130, 140]


def test_files_of_another_run_are_neither_continued_nor_replaced(finished, tmp_path):
    folder, _, _ = finished
    before = files(folder)
    for change in ({"n_frames": 12}, {"block_frames": 5}, {"simulation": liquid(2, seed=9)}):
        with pytest.raises(InputError, match="another run"):
            start_run(folder, **change)
    # the same where the checkpoint is gone
    for name in ("0.h5md", "1.h5md"):
        (tmp_path / name).write_bytes(before[name])
    with pytest.raises(InputError, match=r"0\.h5md belongs to another run"):
        start_run(tmp_path, simulation=liquid(2, seed=9))
    assert files(folder) == before
    assert not (tmp_path / "state.safetensors").exists()


def test_a_trajectory_that_vanished_is_missed(finished, tmp_path):
    (tmp_path / "state.safetensors").write_bytes((finished[0] / "state.safetensors").read_bytes())
    with pytest.raises(InputError, match="is missing, but its checkpoint counts 10 frames"):
        start_run(tmp_path)


def test_what_is_held_in_memory_does_not_grow_with_the_length_of_a_run(tmp_path):
    held = []

    def count(_):
        gc.collect()
        held.append(len(jax.live_arrays()))

    start_run(tmp_path, 48, on_progress=count)
    assert len(held) == 12
    assert len(set(held[1:])) == 1


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(finished, tmp_path):
    with pytest.raises(InterruptedRunError):
        start_run(tmp_path, on_progress=interrupt_at(8))
    (tmp_path / "state.safetensors").write_bytes(b"spoiled")
    with pytest.warns(UserWarning, match="damaged.*going on from the checkpoint before it"):
        start_run(tmp_path)
    assert files(tmp_path) == files(finished[0])


def test_senseless_requests_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least one frame"):
        run(liquid(2), 0)
    with pytest.raises(InputError, match="2 replicas need as many trajectory files, got 1"):
        run(liquid(2), 4, trajectories=[tmp_path / "0.h5md", tmp_path / "0.h5md"])


def test_three_kills_at_any_moment_of_5_ps_leave_the_files_and_state_of_an_undisturbed_run(tmp_path):
    kill_and_compare(tmp_path, kills=3, n_frames=100)


@pytest.mark.slow
def test_twenty_kills_at_any_moment_of_20_ps_leave_the_files_and_state_of_an_undisturbed_run(tmp_path):
    kill_and_compare(tmp_path, kills=20, n_frames=400)


def kill_and_compare(folder, kills, n_frames):
    """Run in processes that are killed, each going on from the one before; then to the end, beside an undisturbed run."""
    killed, undisturbed = folder / "killed", folder / "undisturbed"
    killed.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(Path(__file__).parent / "killed_run.py"), str(killed), str(n_frames)]

    def begin():
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    # imports take seconds, so the next processes begin while one runs, and wait for their turn
    waiting = [begin() for _ in range(min(3, kills))]
    try:
        expected = argon_run(undisturbed, n_frames)
        rng = np.random.default_rng(0)
        for k in range(kills):
            process = waiting[k]
            if len(waiting) < kills:
                waiting.append(begin())
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            process.stdin.write("go\n")
            process.stdin.flush()
            _wait_for_checkpoints(killed / "state.safetensors", 2, process)
            time.sleep(rng.uniform(0.0, 0.04))
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    finally:
        for process in waiting:
            process.kill()
            process.communicate()
    written = len(read_trajectory(killed / "0.h5md"))
    assert 0 < written < n_frames
    found = argon_run(killed, n_frames)
    left = {path.name for path in killed.iterdir() if not path.name.startswith(".")}
    assert left == {"state.safetensors", "0.h5md", "1.h5md"}
    for name in left:
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes(), name
    for a, b in zip(_numbers(found.simulation), _numbers(expected.simulation), strict=True):
        np.testing.assert_array_equal(a, b)


def _wait_for_checkpoints(path, count, process):
    """Return when ``path`` has been replaced ``count`` times."""
    seen, last, deadline = 0, path.stat().st_ino if path.exists() else None, time.monotonic() + 120.0
    while seen < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        now = path.stat().st_ino if path.exists() else None
        seen, last = seen + (now != last), now
        time.sleep(0.001)


def _numbers(simulation):
    dynamics = simulation.replicas.dynamics
    return [
        np.asarray(x)
        for x in (
            dynamics.position,
            dynamics.momentum,
            dynamics.force,
            jax.random.key_data(dynamics.rng),
            simulation.status,
        )
    ]
