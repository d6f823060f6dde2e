"""Blocks, replicas and guards: what must not change what, and what stops whom."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from lennard_jones import REFERENCE_ENERGY, ample, argon, crystal, liquid

from jaxft import pytree, units
from jaxft.errors import InputError
from jaxft.md.block import COMPILATIONS
from jaxft.md.guards import GuardSettings, Status
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, select, start, under
from jaxft.structures.neighbors import find_edges


def with_replica(simulation, replica, **changes):
    """Some arrays of one replica changed."""
    dynamics = simulation.replicas.dynamics
    for name, value in changes.items():
        dynamics = dynamics.set(**{name: getattr(dynamics, name).at[replica].set(value)})
    return replace(simulation, replicas=pytree.replace(simulation.replicas, dynamics=dynamics))


def with_temperatures(simulation, temperatures):
    """One bath for each replica."""
    kT = simulation.bath.kT.at[:].set(units.KELVIN * np.array(temperatures))
    return replace(simulation, bath=pytree.replace(simulation.bath, kT=kT))


@pytest.fixture(scope="module")
def three():
    """Three replicas with ample arrays, and their first 20 frames: 200 steps."""
    simulation = ample(liquid(3))
    return simulation, *advance(simulation, 20)


def test_equal_runs_give_equal_bits(three):
    _, _, frames = three
    _, again = advance(ample(liquid(3)), 20)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(frames), jax.tree.leaves(again), strict=True))


def test_the_same_replica_alone_and_in_a_batch_follow_one_trajectory(three):
    simulation, _, frames = three
    alone = select(simulation, [1])
    assert alone.n_replicas == 1
    _, found = advance(alone, 20)
    np.testing.assert_allclose(found.positions[:, 0], frames.positions[:, 1], rtol=0, atol=1e-6)
    assert not np.allclose(frames.positions[-1, 0], frames.positions[-1, 1], atol=0.1)


def test_all_replicas_as_one_graph_follow_the_same_trajectories(three):
    simulation, _, frames = three
    _, found = advance(replace(simulation, one_graph=True), 20)
    np.testing.assert_allclose(found.positions, frames.positions, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.pressure, frames.pressure, rtol=0, atol=1e-9)
    broken = with_replica(replace(simulation, one_graph=True), 0, momentum=np.nan)
    after, others = advance(broken, 20)
    assert after.status[1:].tolist() == [0, 0]
    np.testing.assert_array_equal(others.momenta[:, 1:], found.momenta[:, 1:])


def test_a_block_whose_arrays_became_too_small_is_done_again_and_follows_the_ample_trajectory(three):
    simulation, _, frames = three
    need = max(
        len(find_edges(np.asarray(p), simulation.template.cell.array, simulation.template.pbc, 6.0).senders)
        for p in simulation.replicas.dynamics.position
    )
    before = COMPILATIONS.total()
    tight, found = advance(replace(simulation, edges=need), 20)
    assert COMPILATIONS.total() == before + 2
    assert need < tight.edges < 1.15 * need
    np.testing.assert_allclose(found.positions, frames.positions, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.energy, frames.energy, rtol=0, atol=1e-6)
    assert (found.status == 0).all()


def test_recorded_energy_is_that_of_the_recorded_positions(three):
    simulation, end, frames = three
    calculator = argon().calculator(dtype="float64")
    for replica in range(3):
        atoms = end.atoms(replica)
        atoms.calc = calculator
        np.testing.assert_allclose(atoms.positions, frames.positions[-1, replica])
        total = frames.energy[-1, replica] + simulation.reference_energy[replica]
        assert abs(atoms.get_potential_energy() - total) < 1e-8
        assert abs(atoms.get_kinetic_energy() - frames.kinetic[-1, replica]) < 1e-10
    assert (simulation.reference_energy == 32 * REFERENCE_ENERGY).all()


def test_atoms_too_close_stop_their_replica_at_its_start_and_leave_the_others_bit_identical(three):
    simulation, _, frames = three
    positions = simulation.replicas.dynamics.position[1]
    end, found = advance(with_replica(simulation, 1, position=positions.at[0].set(positions[1] + 0.5)), 20)
    assert end.status.tolist() == [0, Status.TOO_CLOSE, 0]
    assert end.replicas.steps.tolist() == [200, 0, 200]
    np.testing.assert_array_equal(found.positions[-1, 1, 1:], positions[1:])
    for replica in (0, 2):
        np.testing.assert_array_equal(found.positions[:, replica], frames.positions[:, replica])
        np.testing.assert_array_equal(found.energy[:, replica], frames.energy[:, replica])


def test_a_momentum_that_is_no_number_stops_its_replica_only(three):
    simulation, _, frames = three
    end, found = advance(with_replica(simulation, 0, momentum=np.nan), 20)
    assert end.status[0] & Status.NOT_FINITE | end.status[0] & Status.TOO_HOT
    assert end.status[1:].tolist() == [0, 0]
    assert np.isfinite(found.positions).all()
    np.testing.assert_array_equal(found.momenta[:, 1:], frames.momenta[:, 1:])


def test_where_a_stopped_replica_was_heading_asks_for_no_room(three):
    simulation, _, frames = three
    dynamics = simulation.replicas.dynamics
    # all atoms would meet at one point within a step
    inwards = (dynamics.position[2].mean(axis=0) - dynamics.position[2]) * dynamics.mass[2] / simulation.bath.timestep
    end, found = advance(with_replica(simulation, 2, momentum=inwards), 20)
    assert end.status.tolist() == [0, 0, Status.TOO_HOT]
    assert (end.edges, end.candidates) == (simulation.edges, simulation.candidates)
    np.testing.assert_array_equal(found.positions[:, :2], frames.positions[:, :2])


def test_a_large_system_with_a_cell_list_moves_as_the_calculator_says():
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True).repeat((7, 7, 6))
    atoms.rattle(0.1, seed=0)
    begun = start(argon(), [atoms], MDSettings("nve", 120.0, 5.0, frame_every=5), jax.random.key(0), dtype="float64")
    assert begun.grid.bins == (5, 5, 4)
    end, frames = advance(begun, 4)
    last = end.atoms(0)
    last.calc = argon().calculator(dtype="float64")
    assert np.abs(last.positions - atoms.positions).max() > 0.1
    np.testing.assert_allclose(
        last.get_potential_energy(), frames.energy[-1, 0] + begun.reference_energy[0], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(end.replicas.dynamics.force[0], last.get_forces(), rtol=0, atol=1e-9)


def test_weights_that_give_no_number_stop_every_replica_where_it_is(three):
    _, end, frames = three
    after, found = advance(under(end, argon(epsilon=np.nan)), 20)
    assert (after.status & Status.NOT_FINITE == Status.NOT_FINITE).all()
    assert (after.replicas.steps == 200).all()
    np.testing.assert_array_equal(found.positions, frames.positions[-1:].repeat(20, axis=0))


@pytest.fixture(scope="module")
def overheating():
    """The third of three replicas has a bath above the limit of temperature."""
    simulation = liquid(3, guards=GuardSettings(max_temperature=300.0))
    return with_temperatures(ample(simulation), [120.0, 120.0, 600.0])


def test_a_replica_that_runs_hot_keeps_its_last_good_state_and_the_others_go_on(overheating):
    end, frames = advance(overheating, 20)
    assert end.status.tolist() == [0, 0, Status.TOO_HOT]
    stopped = int(end.replicas.steps[2])
    assert 0 < stopped < 199
    # every frame after the stop repeats the last good state, which is below the limit
    after = frames.status[:, 2] != 0
    assert after.sum() == 20 - stopped // 10
    assert (frames.steps[after, 2] == stopped).all()
    assert (frames.kinetic[:, 2] / (1.5 * 32 * units.KELVIN) < 300.0).all()
    np.testing.assert_array_equal(frames.positions[after, 2], frames.positions[after, 2][:1].repeat(after.sum(), 0))
    _, cool = advance(with_temperatures(overheating, [120.0, 120.0, 120.0]), 20)
    np.testing.assert_array_equal(frames.positions[:, :2], cool.positions[:, :2])


def test_a_stopped_replica_stays_as_it_was_in_later_blocks_under_other_weights(overheating):
    end, frames = advance(overheating, 20)
    later, more = advance(under(end, argon(epsilon=0.02)), 20)
    assert later.status.tolist() == [0, 0, Status.TOO_HOT]
    np.testing.assert_array_equal(more.energy[:, 2], frames.energy[-1:, 2].repeat(20))
    np.testing.assert_array_equal(more.positions[-1, 2], frames.positions[-1, 2])
    assert int(later.replicas.steps[2]) == int(end.replicas.steps[2])
    assert int(later.replicas.steps[0]) == 400


def test_new_weights_and_shorter_blocks_do_not_compile_for_five_rounds(three):
    simulation, _, frames = three
    before = COMPILATIONS.total()
    for k in range(5):
        simulation = under(simulation, argon(epsilon=0.0104 * (1.0 + 0.1 * k)))
        simulation, found = advance(simulation, 4 + k, longest=20)
        assert len(found.energy) == 4 + k
        if k == 0:
            # a short block is the beginning of a long one
            np.testing.assert_array_equal(found.positions, frames.positions[:4])
    assert COMPILATIONS.total() == before
    assert (simulation.replicas.steps == 10 * (4 + 5 + 6 + 7 + 8)).all()


def test_another_architecture_is_refused_under_a_running_trajectory():
    with pytest.raises(InputError, match="same architecture"):
        under(liquid(1), argon(cutoff=5.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: [], "at least one starting structure"),
        (lambda a: [a, a[:-1]], "differs from the first"),
        (lambda a: [a, _heavier(a)], "masses"),
        (lambda a: [Atoms(a, constraint=FixAtoms([0]))], "FixAtoms"),
    ],
)
def test_unusable_starts_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        start(argon(), change(crystal()), MDSettings(), jax.random.key(0))


def test_labels_of_the_starting_structure_are_not_carried_into_frames():
    atoms = crystal()
    atoms.info = {"charge": 1, "REF_energy": -3.0}
    atoms.arrays["REF_forces"] = np.ones((32, 3))
    simulation = start(argon(), [atoms], MDSettings(), jax.random.key(0))
    assert simulation.atoms(0).info == {"charge": 1}
    assert "REF_forces" not in simulation.atoms(0).arrays


def _heavier(atoms):
    heavier = atoms.copy()
    heavier.set_masses(heavier.get_masses() + 1.0)
    return heavier
