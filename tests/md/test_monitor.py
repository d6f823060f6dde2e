"""The monitor: the same numbers as on the host, an alarm that stops whom it must, and no trace where there is none."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from lennard_jones import ample, argon, crystal, liquid

from jaxft.errors import InputError
from jaxft.md.block import COMPILATIONS
from jaxft.md.guards import GuardSettings, Status
from jaxft.md.h5md import open_file, trim
from jaxft.md.identity import identity_of
from jaxft.md.monitor import Monitor, extrapolation, watch_over
from jaxft.md.run import run
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, select, start, to_atoms, under, watched
from jaxft.md.trajectory import read_trajectory
from jaxft.stats.moments import moments
from jaxft.stats.principal_components import principal_components
from jaxft.structures.batch import build_graph
from jaxft.structures.pack import pack


def train(potential, structures, *, layers="last", retain=0, **options):
    """A monitor whose limits are the largest Q among its own training structures."""
    described = [potential.descriptors(atoms, layers=layers, dtype="float64") for atoms in structures]
    models, limits = {}, {}
    for z in sorted(set(structures[0].numbers.tolist())):
        rows = np.concatenate([d[a.numbers == z] for d, a in zip(described, structures, strict=True)])
        models[z] = principal_components(moments(rows), at_most=retain)
        limits[z] = max(_q(models[z], row) for row in rows)
    return Monitor(potential, models, limits, **{"frame_limit": 1.0, "layers": layers, **options})


def _q(model, row):
    """‖(I - PPᵀ) z‖², from the axes that are retained."""
    z = (row - model.mean)[model.kept] / model.scale[model.kept]
    p = model.axes[:, : model.retained]
    rest = (np.eye(len(z)) - p @ p.T) @ z
    return rest @ rest


def ratios_of(monitor, atoms):
    """Q/limit of each atom, by the host."""
    described = monitor.potential.descriptors(atoms, layers=monitor.layers, dtype="float64")
    return np.array(
        [_q(monitor.models[z], d) / monitor.limits[z] for z, d in zip(atoms.numbers.tolist(), described, strict=True)]
    )


def check_readings(simulation, frames, monitor, tolerance=1e-9):
    """Every reading is the host's number at the recorded positions."""
    n_frames, n_replicas = frames.energy.shape
    for k in range(n_frames):
        for replica in range(n_replicas):
            expected = ratios_of(monitor, to_atoms(simulation.template, frames.positions[k, replica]))
            np.testing.assert_allclose(frames.reading.ratio[k, replica], expected.max(), rtol=tolerance)
            assert frames.reading.atom[k, replica] == expected.argmax()


def watched_argon(cutoff=6.0, **options):
    """A monitor for argon whose one descriptor is the energy of an atom, and two replicas under it."""
    monitor = train(argon(cutoff=cutoff), [crystal(k) for k in range(4)], **options)
    return monitor, watched_liquid(monitor)


def watched_liquid(monitor, potentials=None):
    """Two replicas of ``liquid`` under a monitor; candidates are searched for often."""
    structures, settings = [crystal(0), crystal(1)], liquid(1, skin=0.2).settings
    return ample(
        start(potentials or argon(), structures, settings, jax.random.key(0), dtype="float64", monitor=monitor)
    )


def go(simulation, frames):
    """The next frames, all with the program of a block of 12."""
    return advance(simulation, frames, longest=12)


GENTLE = MDSettings(
    timestep_fs=0.05, frame_every=2, guards=GuardSettings(max_temperature=1e9, min_distance=0.0), temperature=50.0
)


@pytest.fixture(scope="module")
def torn(make_tiny):
    """Three boxes of water of which the second has a hydrogen pulled off, watched by another network than the one that runs."""
    base = replace(make_tiny(7, "6x0e+2x1o", cutoff=3.0, lmax=1), atomic_numbers=(17, 8, 1))
    small_spheres = {"params": {"epsilon": np.float32(0.01), "sigma": np.float32(0.3)}}
    running = replace(argon(cutoff=3.5), params=small_spheres, atomic_numbers=(1, 8), reference_energies=np.zeros(2))
    box = pack({"H2O": 4}, 0.9, seed=0)
    training = []
    for seed in range(6):
        training.append(box.copy())
        training[-1].rattle(0.05, seed=seed)
    monitor = train(base, training, layers="all", retain=4, frame_limit=2.0, action="stop")
    boxes = [training[0].copy() for _ in range(3)]
    oxygen, hydrogen = 3, 4
    bond = boxes[1].get_distance(oxygen, hydrogen, mic=True)
    boxes[1].set_distance(oxygen, hydrogen, bond + 0.7, fix=0, mic=True)
    simulation = start(running, boxes, GENTLE, jax.random.key(0), dtype="float64", monitor=monitor)
    return monitor, hydrogen, simulation, *advance(simulation, 6)


def test_readings_of_a_network_other_than_the_one_that_runs_are_those_of_the_host(torn):
    monitor, _, simulation, _, frames = torn
    assert monitor.potential.network != simulation.network
    check_readings(simulation, jax.tree.map(lambda x: x[:3], frames), monitor)


def test_a_hydrogen_pulled_off_stops_its_replica_only_and_after_three_checks(torn):
    monitor, hydrogen, _, end, frames = torn
    ratio = frames.reading.ratio
    assert (ratio[:3, 1] > monitor.frame_limit).all()
    assert (ratio[:, [0, 2]] < monitor.frame_limit).all()
    # either end of what was a bond
    assert set(frames.reading.atom[:3, 1].tolist()) <= {hydrogen - 1, hydrogen}
    assert end.status.tolist() == [0, Status.EXTRAPOLATING, 0]
    assert end.replicas.steps.tolist() == [12, 6, 12]
    assert frames.reading.above[:, 1].tolist() == [1, 2, 3, 3, 3, 3]
    assert (frames.reading.above[:, [0, 2]] == 0).all()


def test_the_frame_of_the_alarm_is_kept_and_the_next_ones_repeat_it(torn):
    _, _, _, end, frames = torn
    assert frames.status[:, 1].tolist() == [0, 0, 0] + 3 * [Status.EXTRAPOLATING]
    assert frames.steps[:, 1].tolist() == [2, 4, 6, 6, 6, 6]
    assert not np.array_equal(frames.positions[1, 1], frames.positions[2, 1])
    np.testing.assert_array_equal(frames.positions[3:, 1], frames.positions[2:3, 1].repeat(3, axis=0))
    np.testing.assert_array_equal(end.replicas.dynamics.position[1], frames.positions[2, 1])
    assert np.isnan(frames.reading.ratio[3:, 1]).all()
    assert (frames.reading.atom[3:, 1] == -1).all()


def test_a_flag_records_the_same_and_stops_nobody_with_the_same_program(torn):
    monitor, _, simulation, _, frames = torn
    before = COMPILATIONS.total()
    end, flagged = advance(watched(simulation, replace(monitor, action="flag")), 6)
    assert COMPILATIONS.total() == before
    assert end.status.tolist() == [0, 0, 0]
    assert flagged.reading.above[:, 1].tolist() == [1, 2, 3, 4, 5, 6]
    for stopped, flag in zip(jax.tree.leaves(frames), jax.tree.leaves(flagged), strict=True):
        np.testing.assert_array_equal(stopped[:, [0, 2]], flag[:, [0, 2]])
        np.testing.assert_array_equal(stopped[:3], flag[:3])


def test_a_stopped_replica_goes_on_under_a_new_monitor_as_if_it_had_never_stopped(torn):
    monitor, _, simulation, _, _ = torn
    patient = replace(monitor, frame_limit=1e9)
    at_alarm, _ = advance(simulation, 3, longest=6)
    assert at_alarm.status[1] == Status.EXTRAPOLATING
    _, went_on = advance(watched(at_alarm, patient), 3, longest=6)
    _, undisturbed = advance(watched(simulation, patient), 6)
    np.testing.assert_allclose(went_on.positions, undisturbed.positions[3:], rtol=0, atol=1e-12)
    assert (went_on.reading.above == 0).all()


def test_what_another_guard_stopped_stays_stopped_under_a_new_monitor():
    monitor, simulation = watched_argon()
    status = simulation.replicas.status.at[1].set(Status.TOO_HOT)
    stopped = replace(simulation, replicas=replace(simulation.replicas, status=status))
    assert watched(stopped, monitor).status.tolist() == [0, Status.TOO_HOT]


@pytest.mark.parametrize("cutoff", [5.0, 6.5])
def test_a_monitor_may_look_less_far_or_farther_than_the_potential(cutoff):
    monitor, simulation = watched_argon(cutoff=cutoff)
    _, frames = go(simulation, 12)
    moved = frames.positions[-1, 0] - np.asarray(simulation.replicas.dynamics.position[0])
    # far enough that the list of candidates was built anew
    assert np.linalg.norm(moved, axis=-1).max() > 0.7
    check_readings(simulation, frames, monitor)
    _, alone = go(watched_liquid(None), 12)
    np.testing.assert_allclose(frames.positions, alone.positions, rtol=0, atol=1e-9)


def test_a_check_is_due_every_so_many_frames_whatever_the_blocks():
    _, simulation = watched_argon(every=3, frame_limit=1e-9)
    _, whole = go(simulation, 12)
    found = []
    for count in (4, 1, 5, 2):
        simulation, frames = go(simulation, count)
        found.append(frames.reading)
    joined = jax.tree.map(lambda *parts: np.concatenate(parts), *found)
    checked = ~np.isnan(joined.ratio[:, 0])
    assert np.flatnonzero(checked).tolist() == [2, 5, 8, 11]
    assert (joined.atom[:, 0] >= 0).tolist() == checked.tolist()
    assert joined.above[:, 0].tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    np.testing.assert_allclose(joined.ratio, whole.reading.ratio, rtol=1e-9)


def test_one_check_within_the_limit_begins_the_count_anew():
    monitor, simulation = watched_argon()
    _, frames = go(simulation, 12)
    ratio = frames.reading.ratio[:, 0]
    within = np.sort(ratio)[6]
    _, frames = go(watched(simulation, replace(monitor, frame_limit=float(within))), 12)
    expected, count = [], 0
    for value in ratio:
        count = count + 1 if value > within else 0
        expected.append(count)
    assert frames.reading.above[:, 0].tolist() == expected
    assert 0 in expected[expected.index(1) :]


def test_a_ratio_that_is_no_number_counts_as_above():
    monitor, simulation = watched_argon()
    broken = replace(monitor, potential=argon(epsilon=np.nan))
    end, frames = go(watched(simulation, replace(broken, action="stop")), 5)
    assert frames.reading.above[:, 0].tolist() == [1, 2, 3, 3, 3]
    assert end.status.tolist() == 2 * [Status.EXTRAPOLATING]


def test_replicas_under_potentials_of_their_own_are_watched_by_one():
    monitor = train(argon(), [crystal(k) for k in range(4)])
    simulation = watched_liquid(monitor, [argon(epsilon=0.02), argon(epsilon=0.005)])
    _, frames = go(simulation, 5)
    check_readings(simulation, frames, monitor)
    _, swapped = go(select(simulation, [1, 0]), 5)
    np.testing.assert_allclose(swapped.reading.ratio, frames.reading.ratio[:, ::-1], rtol=1e-9)


def test_new_weights_and_another_training_set_compile_nothing():
    _, simulation = watched_argon()
    simulation, _ = go(simulation, 4)
    before = COMPILATIONS.total()
    for k in range(1, 4):
        other = train(argon(), [crystal(9 * k), crystal(9 * k + 1)], every=k, checks=k, action="stop", frame_limit=1e9)
        simulation, _ = go(watched(under(simulation, argon(epsilon=0.0104 + 1e-4 * k)), other), 4)
    assert COMPILATIONS.total() == before


def test_without_a_monitor_a_run_leaves_no_trace_of_one(tmp_path):
    simulation = watched_liquid(None)
    end, frames = go(simulation, 4)
    assert frames.reading is None
    assert end.replicas.above is None
    assert "monitor" not in identity_of(simulation)
    run(simulation, 12, trajectories=[tmp_path / "0.h5md", tmp_path / "1.h5md"], block_frames=12)
    with open_file(tmp_path / "0.h5md") as file:
        assert not [name for name in file["observables"] if "extrapolation" in name]
        assert not {"frame_limit", "checks"} & set(file["parameters/jaxft"].attrs)
    assert read_trajectory(tmp_path / "0.h5md").extrapolation is None


class InterruptedRunError(Exception):
    """Raised by a test in the middle of a run."""


def start_run(folder, simulation, interrupt_at=None, n_frames=10):
    """A run in blocks of 4 frames, which have a program of their own."""

    def interrupt(progress):
        if progress.frames == interrupt_at:
            raise InterruptedRunError

    return run(
        simulation,
        n_frames,
        checkpoint=folder / "state.safetensors",
        trajectories=[folder / f"{r}.h5md" for r in range(simulation.n_replicas)],
        block_frames=4,
        on_progress=interrupt,
    )


def always_above(**options):
    """Replicas that are above the limit at each check."""
    return watched_argon(frame_limit=1e-9, checks=6, **options)


def test_an_interrupted_run_counts_on_and_ends_with_the_same_bytes(tmp_path):
    _, simulation = always_above(action="stop")
    outcome = start_run(tmp_path / "whole", simulation)
    # six checks, the fifth and sixth of them in the second block
    assert [stop.step for stop in outcome.stops] == [60, 60]
    assert "unlike any in the training set" in outcome.stops[0].reason
    assert outcome.valid_frames == (6, 6)
    with pytest.raises(InterruptedRunError):
        start_run(tmp_path / "cut", simulation, interrupt_at=4)
    start_run(tmp_path / "cut", simulation)
    for name in ("state.safetensors", "0.h5md", "1.h5md", "1-stopped.extxyz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_what_a_monitor_said_is_read_from_the_trajectory(tmp_path):
    monitor, simulation = always_above(every=1)
    outcome = start_run(tmp_path, simulation)
    assert outcome.stops == (None, None)
    trajectory = read_trajectory(tmp_path / "1.h5md")
    said = trajectory.extrapolation
    for k in range(10):
        expected = ratios_of(monitor, trajectory.to_atoms(k))
        # positions are written in float32
        np.testing.assert_allclose(said.ratio[k], expected.max(), rtol=1e-3)
        assert said.atom[k] == expected.argmax()
    assert said.above.tolist() == list(range(1, 11))
    assert said.alarms.tolist() == 5 * [False] + 5 * [True]
    assert (said.frame_limit, said.checks) == (1e-9, 6)
    trim(tmp_path / "1.h5md", 7)
    shorter = read_trajectory(tmp_path / "1.h5md").extrapolation
    np.testing.assert_array_equal(shorter.ratio, said.ratio[:7])
    np.testing.assert_array_equal(shorter.above, said.above[:7])


def test_a_run_under_another_monitor_or_none_is_another_run(tmp_path):
    monitor, simulation = always_above()
    start_run(tmp_path / "watched", simulation)
    with pytest.raises(InputError, match=r"another run: monitor was .* is now None"):
        start_run(tmp_path / "watched", watched(simulation, None))
    with pytest.raises(InputError, match="another run: monitor was"):
        start_run(tmp_path / "watched", watched(simulation, replace(monitor, frame_limit=2e-9)))
    start_run(tmp_path / "alone", watched(simulation, None))
    with pytest.raises(InputError, match="another run: monitor was None"):
        start_run(tmp_path / "alone", simulation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": "warn"}, "action is one of flag, stop"),
        ({"layers": "first"}, "layers one of last, all"),
        ({"every": 0}, "every 1 or more frames"),
        ({"checks": 0}, "after 1 or more checks"),
        ({"frame_limit": np.nan}, "limit of a frame is nan"),
        ({"limits": {18: 0.0}}, "limit of Ar is 0"),
        ({"limits": {}}, "models of Ar, limits of nothing"),
    ],
)
def test_monitors_that_can_not_work_are_refused(changes, message):
    monitor, _ = watched_argon()
    with pytest.raises(InputError, match=message):
        replace(monitor, **changes)


def test_a_model_that_retains_everything_or_is_of_other_descriptors_is_refused():
    monitor, _ = watched_argon()
    with pytest.raises(InputError, match="retains all its components, so Q is 0"):
        replace(monitor, models={18: replace(monitor.models[18], retained=1)})
    wide = principal_components(moments(np.random.default_rng(0).normal(size=(9, 3))), at_most=1)
    with pytest.raises(InputError, match="has 3 columns, but its potential has 1 descriptors"):
        replace(monitor, models={18: wide})


def test_elements_that_the_training_set_lacks_are_named(torn):
    monitor = torn[0]
    running = replace(argon(), atomic_numbers=(8, 17), reference_energies=np.zeros(2))
    chlorine = crystal()
    chlorine.numbers[:] = 17
    chlorine.numbers[0] = 8
    with pytest.raises(InputError, match=r"has no Cl.*it has H, O"):
        start(running, [chlorine], GENTLE, jax.random.key(0), monitor=monitor)


def test_columns_that_do_not_count_leave_the_ratios_of_the_others(make_tiny):
    base = make_tiny(7, "6x0e+2x1o", cutoff=3.0, lmax=1)
    boxes = [pack({"H2O": 4}, 0.9, seed=k) for k in range(3)]
    monitor = train(base, boxes, retain=2)
    models = {}
    for z, model in monitor.models.items():
        kept = np.arange(len(model.mean)) != 1
        axes = np.linalg.qr(np.random.default_rng(z).normal(size=(kept.sum(), kept.sum())))[0]
        # what does not vary has no SD to divide by
        models[z] = replace(model, kept=kept, axes=axes, scale=np.where(kept, model.scale, 0.0))
    monitor = replace(monitor, models=models)
    watch = watch_over(monitor, boxes[0].numbers, "float64")
    graph = build_graph([boxes[0]], base.atomic_numbers, base.cutoff, dtype=np.float64)
    np.testing.assert_allclose(jax.jit(extrapolation)(watch, graph), ratios_of(monitor, boxes[0]), rtol=1e-9)
