"""Stages, heating, potentials side by side, and what a trajectory amounts to."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from lennard_jones import ample, argon, crystal

from jaxft import pytree, units
from jaxft.errors import InputError
from jaxft.md.block import COMPILATIONS
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, at_temperature, in_ensemble, select, start
from jaxft.md.stages import Stage, run_stages
from jaxft.md.summary import summarise
from jaxft.md.trajectory import read_trajectory

HOT = MDSettings("nvt-langevin", 120.0, 5.0, friction_per_ps=50.0, frame_every=10)
STAGES = (
    Stage("heat", 2.0, HOT, from_temperature=1.0),
    Stage("hold", 1.0, HOT),
    Stage("produce", 1.0, MDSettings("nve", 120.0, 5.0, frame_every=10)),
)


def begun(n_replicas=2, dtype="float64"):
    return ample(start(argon(), [crystal(k) for k in range(n_replicas)], HOT, jax.random.key(0), dtype=dtype))


def run_all(folder, stages=STAGES, simulation=None, **options):
    return run_stages(
        simulation or at_temperature(begun(), 120.0),
        stages,
        checkpoint=lambda stage: folder / f"{stage.name}.safetensors",
        trajectories=lambda stage: [folder / f"{stage.name}-{k}.h5md" for k in range(2)],
        **options,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stages")
    return folder, run_all(folder)


def test_each_stage_begins_where_the_one_before_it_ended(finished):
    folder, outcomes = finished
    hold, produce = (read_trajectory(folder / f"{name}-1.h5md") for name in ("hold", "produce"))
    step = np.abs(produce.positions[0] - hold.positions[-1]).max()
    assert 0.0 < step < 0.5
    assert produce.time_fs[0] == hold.time_fs[-1] + 50.0
    assert [outcome.n_frames for outcome in outcomes] == [40, 20, 20]


def test_heating_goes_up_in_a_straight_line_with_one_program(finished):
    folder, outcomes = finished
    temperatures = np.mean([read_trajectory(folder / f"heat-{k}.h5md").temperatures for k in range(2)], axis=0)
    # the bath is at 1, 4, 7, ... 120 K; the first momenta, at 120 K, are gone after some tens of fs
    assert temperatures[5:10].mean() < 45.0
    np.testing.assert_allclose(temperatures[15:25].mean(), 60.0, rtol=0.3)
    np.testing.assert_allclose(temperatures[33:40].mean(), 110.0, rtol=0.3)
    assert [outcome.compilations for outcome in outcomes] == [1, 0, 1]


def test_a_new_ensemble_starts_with_a_centre_of_mass_at_rest_and_the_same_temperature(finished):
    folder, _ = finished
    hold, produce = (read_trajectory(folder / f"{name}-0.h5md") for name in ("hold", "produce"))
    masses = hold.template.get_masses()[:, None]
    assert np.abs((masses * hold.velocities[-1]).sum(axis=0)).max() > 1e-3
    assert np.abs((masses * produce.velocities[0]).sum(axis=0)).max() < 1e-4
    assert abs(produce.temperatures[0] / hold.temperatures[-1] - 1.0) < 0.3


def test_a_stage_that_heats_begins_with_the_momenta_of_its_first_temperature():
    cold = start(argon(), [crystal(0)], HOT, jax.random.key(0), "float64", momenta_at=12.0)
    warm = start(argon(), [crystal(0)], HOT, jax.random.key(0), "float64")
    np.testing.assert_allclose(
        cold.replicas.dynamics.momentum, np.sqrt(0.1) * warm.replicas.dynamics.momentum, rtol=1e-12
    )
    assert float(cold.bath.kT[0]) == float(warm.bath.kT[0])


def test_a_stopped_replica_keeps_its_last_good_state_in_another_ensemble():
    simulation = begun()
    status = simulation.replicas.status.at[1].set(4)
    stopped = replace(simulation, replicas=pytree.replace(simulation.replicas, status=status))
    moved = in_ensemble(stopped, STAGES[2].settings).replicas.dynamics.momentum
    np.testing.assert_array_equal(moved[1], simulation.replicas.dynamics.momentum[1])
    assert np.abs(moved[0] - simulation.replicas.dynamics.momentum[0]).max() > 0.0


def test_positions_that_float32_can_not_resolve_are_refused():
    far = crystal(0)
    far.positions += 8e5
    with pytest.raises(InputError, match="too far for float32"):
        start(argon(), [far], HOT, jax.random.key(0))


def test_stages_that_are_finished_are_read_back(finished):
    folder, outcomes = finished
    before = COMPILATIONS.total()
    again = run_all(folder)
    assert COMPILATIONS.total() == before
    for a, b in zip(again, outcomes, strict=True):
        np.testing.assert_array_equal(a.simulation.atoms(1).positions, b.simulation.atoms(1).positions)


def test_a_summary_says_what_a_trajectory_did(finished):
    folder, _ = finished
    trajectory = read_trajectory(folder / "produce-0.h5md")
    summary = summarise(trajectory)
    assert (summary.frames, summary.stopped) == (20, None)
    assert summary.duration_ps == pytest.approx(1.0)
    assert summary.temperature.mean == pytest.approx(trajectory.temperatures.mean())
    assert summary.density.mean == pytest.approx(32 * 39.948 / 10.8**3 / units.GRAM_PER_CM3, rel=1e-6)
    assert summary.density.sd == pytest.approx(0.0, abs=1e-12)
    assert abs(summary.drift) < 0.05


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (lambda: Stage("a", 0.0, HOT), "positive length"),
        (lambda: Stage("a", 1.0, MDSettings("nve", 120.0), from_temperature=10.0), "nve has no bath"),
        (lambda: Stage("a", 1.0, HOT, from_temperature=-1.0), "expected more than 0 K"),
    ],
)
def test_stages_that_can_not_be_are_refused(stage, message):
    with pytest.raises(InputError, match=message):
        stage()


def test_potentials_side_by_side_give_what_each_gives_alone():
    epsilons = (0.0104, 0.012, 0.009)
    structures = [crystal(0)] * 3
    key = jax.random.key(5)
    together = start([argon(e) for e in epsilons], structures, HOT, key, dtype="float64")
    _, frames = advance(together, 20)
    assert not np.allclose(frames.positions[-1, 0], frames.positions[-1, 1], atol=1e-3)
    for k, epsilon in enumerate(epsilons):
        _, alone = advance(select(start(argon(epsilon), structures, HOT, key, dtype="float64"), [k]), 20)
        np.testing.assert_allclose(frames.positions[:, k], alone.positions[:, 0], rtol=0, atol=1e-6)
        _, picked = advance(select(together, [k]), 20)
        np.testing.assert_allclose(frames.positions[:, k], picked.positions[:, 0], rtol=0, atol=1e-6)


def test_potentials_of_another_kind_or_number_are_refused_side_by_side():
    with pytest.raises(InputError, match="3 replicas need one potential, or 3; got 2"):
        start([argon(), argon()], [crystal()] * 3, HOT, jax.random.key(0))
    with pytest.raises(InputError, match="another architecture"):
        start([argon(), argon(cutoff=5.0)], [crystal()] * 2, HOT, jax.random.key(0))


def test_replicas_may_have_cells_of_their_own():
    small, large = crystal(0), crystal(0)
    large.set_cell(large.cell * 1.1, scale_atoms=True)
    end, frames = advance(start(argon(), [small, large], HOT, jax.random.key(0), dtype="float64"), 5)
    np.testing.assert_allclose(end.atoms(1).cell.lengths(), 1.1 * 10.8)
    for k, atoms in enumerate((end.atoms(0), end.atoms(1))):
        atoms.calc = argon().calculator(dtype="float64")
        np.testing.assert_allclose(
            atoms.get_potential_energy(), frames.energy[-1, k] + end.reference_energy[k], rtol=0, atol=1e-8
        )
