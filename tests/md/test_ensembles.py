"""Each ensemble's equations of motion: against ASE, by what they conserve, and by the distribution of what they draw."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.md.verlet import VelocityVerlet
from lennard_jones import ample, argon, crystal, liquid
from scipy import stats

from jaxft import pytree, units
from jaxft.errors import InputError
from jaxft.md.ensembles import ENSEMBLES, degrees_of_freedom
from jaxft.md.guards import GuardSettings, Status
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, in_ensemble, start

CONSERVING = ["nve", "nvt-nose-hoover", "nvt-csvr", "npt-nose-hoover"]
FRAMES = 40
"""Of every block here, ten steps each: one program per ensemble."""


def simulation(ensemble, n_replicas=1, **settings):
    """Warm argon in an ensemble; Langevin's friction of the fixture is left out."""
    begun = liquid(n_replicas, ensemble=ensemble, friction_per_ps=None, **settings)
    return ample(begun)


@pytest.fixture(scope="module")
def trajectories():
    """Function: an ensemble -> its frames with timesteps of 10 and 5 fs, 2 ps each, from one start."""
    found = {}

    def of(ensemble):
        if ensemble not in found:
            slow = {"thermostat_time_fs": 200.0} if "thermostat_time_fs" in ENSEMBLES[ensemble].uses else {}
            coarse = advance(simulation(ensemble, timestep_fs=10.0, **slow), 20, longest=FRAMES)[1]
            found[ensemble] = coarse, advance(simulation(ensemble, timestep_fs=5.0, **slow), FRAMES)[1]
        return found[ensemble]

    return of


def test_one_hundred_steps_at_constant_energy_are_those_of_ase():
    timestep = float(np.float32(0.1) * 20)  # the same float in both
    begun = simulation("nve", timestep_fs=timestep)
    atoms = begun.atoms(0)
    atoms.calc = argon().calculator(dtype="float64")
    _, frames = advance(begun, 10, longest=FRAMES)
    ase = []
    dynamics = VelocityVerlet(atoms, timestep=timestep * units.FEMTOSECOND)
    for _ in range(10):
        dynamics.run(10)
        ase.append(atoms.positions.copy())
    assert np.abs(ase[-1] - ase[0]).max() > 0.1
    np.testing.assert_allclose(frames.positions[:, 0], ase, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        frames.energy[-1, 0] + begun.reference_energy[0], atoms.get_potential_energy(), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("ensemble", CONSERVING)
def test_what_is_conserved_fluctuates_with_the_square_of_the_timestep_and_does_not_drift(trajectories, ensemble):
    coarse, fine = trajectories(ensemble)
    # in meV per atom, every 100 fs
    coarse, fine = coarse.conserved[:, 0] / 32 * 1e3, fine.conserved[1::2, 0] / 32 * 1e3
    assert coarse.std() > 1e-4
    assert 2.5 < coarse.std() / fine.std() < 6.0  # 4, but the trajectories are not the same
    assert abs(fine[10:].mean() - fine[:10].mean()) < 5e-3


@pytest.mark.parametrize("ensemble", ["nve", "nvt-csvr"])
def test_translation_and_permutation_of_the_start_change_nothing_but_the_labels(ensemble):
    begun = simulation(ensemble, timestep_fs=5.0)
    order = np.random.default_rng(0).permutation(len(begun.template))
    # two kinds of argon, so that an atom that lost its mass on the way would be seen
    heavy = np.where(np.arange(len(order)) % 3 == 0, 80.0, 40.0)[:, None]
    shift = np.array([1.7, -12.3, 0.4])

    def state(position, momentum, mass):
        dynamics = begun.replicas.dynamics.set(position=position[None], momentum=momentum[None], mass=mass[None])
        return replace(begun, replicas=pytree.replace(begun.replicas, dynamics=dynamics))

    x, p = (np.asarray(a[0]) for a in (begun.replicas.dynamics.position, begun.replicas.dynamics.momentum))
    _, plain = advance(state(x, p, heavy), FRAMES)
    _, moved = advance(state((x + shift)[order], p[order], heavy[order]), FRAMES)
    assert np.abs(plain.positions[-1] - plain.positions[0]).max() > 0.1
    travelled = [frames.positions[:, 0] - frames.positions[:1, 0] for frames in (plain, moved)]
    np.testing.assert_allclose(travelled[1], travelled[0][:, order], rtol=0, atol=1e-7)
    np.testing.assert_allclose(moved.momenta[:, 0], plain.momenta[:, 0][:, order], rtol=0, atol=1e-7)
    np.testing.assert_allclose(moved.energy, plain.energy, rtol=0, atol=1e-8)


@pytest.mark.parametrize("ensemble", CONSERVING)
def test_total_momentum_stays_zero(trajectories, ensemble):
    _, frames = trajectories(ensemble)
    assert np.abs(frames.momenta).max() > 1.0
    assert np.abs(frames.momenta.sum(axis=2)).max() < 1e-10


def test_velocity_rescaling_gives_the_canonical_distribution_of_kinetic_energies():
    # argon that does not interact: the thermostat alone; 100 systems of 8 atoms, from three times too hot
    through = GuardSettings(min_distance=0.0)
    settings = MDSettings("nvt-csvr", 120.0, 10.0, thermostat_time_fs=100.0, frame_every=10, guards=through)
    hot = MDSettings("nve", 360.0, 10.0)
    begun = start(argon(epsilon=0.0, cutoff=2.0), [crystal()[:8]] * 100, hot, jax.random.key(3), dtype="float64")
    end, frames = advance(in_ensemble(begun, settings), 40)
    assert not end.status.any()
    # 10 relaxation times later, then every 5
    twice_kinetic = 2.0 * frames.kinetic[9::5].ravel() / (120.0 * units.KELVIN)
    assert stats.kstest(twice_kinetic, stats.chi2(21).cdf).pvalue > 0.01
    assert stats.kstest(twice_kinetic, stats.chi2(24).cdf).pvalue < 0.01


def test_a_squeezed_crystal_expands_under_a_barostat_and_the_cell_stays_a_cube():
    begun = simulation("npt-nose-hoover", temperature=40.0, pressure_gpa=0.0, barostat_time_fs=300.0)
    state = begun.replicas.dynamics
    squeezed = with_dynamics(begun, cell=state.cell * 0.97, position=state.position * 0.97)
    end, frames = advance(squeezed, 20, longest=FRAMES)
    edges = np.linalg.norm(frames.cells[:, 0], axis=-1)
    assert edges.max() > 1.01 * 0.97 * 10.8
    assert np.ptp(edges, axis=1).max() < 1e-9
    assert end.status.tolist() == [0]
    # the calculator, with its own neighbor list, agrees in the cell of the last frame
    atoms = end.atoms(0)
    atoms.calc = argon().calculator(dtype="float64")
    energy = frames.energy[-1, 0] + begun.reference_energy[0]
    np.testing.assert_allclose(atoms.get_potential_energy(), energy, rtol=0, atol=1e-8)
    kinetic = 2.0 * frames.kinetic[-1, 0] / (3.0 * atoms.get_volume())
    virial = np.trace(atoms.get_stress(voigt=False)) / 3.0
    np.testing.assert_allclose(frames.pressure[-1, 0], kinetic - virial, rtol=0, atol=1e-9)


def test_a_cell_that_needs_more_images_gets_them_and_follows_the_ample_trajectory(trajectories):
    begun = simulation("npt-nose-hoover", thermostat_time_fs=200.0)
    end, frames = advance(replace(begun, grid=begun.grid._replace(reach=(0, 1, 0))), 20, longest=FRAMES)
    assert end.grid.reach == begun.grid.reach == (1, 1, 1)
    np.testing.assert_array_equal(frames.positions, trajectories("npt-nose-hoover")[1].positions[:20])


def test_a_cell_that_collapses_stops_its_replica_and_asks_for_no_images():
    begun = simulation("npt-nose-hoover", 2, thermostat_time_fs=200.0)
    rate = begun.replicas.dynamics.strain_momentum.at[1].set(-1e9)
    end, frames = advance(with_dynamics(begun, strain_momentum=rate), 20, longest=FRAMES)
    assert end.status[0] == 0
    assert end.status[1] & (Status.CELL_RUNAWAY | Status.NOT_FINITE)
    assert end.grid == begun.grid
    np.testing.assert_array_equal(frames.cells[-1, 1], begun.replicas.dynamics.cell[1])


def test_a_bond_that_stretches_too_far_stops_its_replica_if_asked():
    pair = Atoms("Ar2", [[0, 0, 0], [3.0, 0, 0]], cell=[30] * 3, pbc=True)
    apart = GuardSettings(max_bond_stretch=1.6, min_distance=0.1)
    # covalent radii of argon add up to 2.12 Å, so 3.0 Å is no bond, and 2.6 Å is one that flies apart
    near = pair.copy()
    near.positions[1, 0] = 2.6
    settings = MDSettings("nve", 1.0, 1.0, guards=apart)
    ends = [advance(start(argon(), [p], settings, jax.random.key(0), dtype="float64"), 20)[0] for p in (pair, near)]
    assert [int(e.status[0]) for e in ends] == [0, Status.BOND_STRETCHED]
    assert 3.3 < ends[1].atoms(0).get_distance(0, 1) < 1.6 * 2.12


def test_degrees_of_freedom_are_three_fewer_where_momentum_is_conserved():
    assert {name: degrees_of_freedom(name, 10) for name in ENSEMBLES} == {
        "nve": 27,
        "nvt-langevin": 30,
        "nvt-nose-hoover": 27,
        "nvt-csvr": 27,
        "npt-nose-hoover": 27,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ensemble": "nve", "friction_per_ps": 1.0}, "friction_per_ps is 1.0, but nve does not use it"),
        ({"ensemble": "nvt-langevin", "pressure_gpa": 0.1}, "pressure_gpa is 0.1, but nvt-langevin does not use it"),
        ({"ensemble": "nvt-nose-hover"}, "did you mean 'nvt-nose-hoover'"),
        ({"ensemble": "npt-parrinello-rahman"}, "full-cell NPT is not there yet"),
        ({"ensemble": "nvt-csvr", "thermostat_time_fs": 0.0}, "thermostat_time_fs must be positive"),
    ],
)
def test_settings_that_an_ensemble_does_not_use_or_know_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        MDSettings(**settings)


def test_a_barostat_needs_a_periodic_cell_and_a_still_centre_needs_two_atoms():
    slab = crystal()
    slab.pbc = [True, True, False]
    with pytest.raises(InputError, match="periodic in all directions"):
        start(argon(), [slab], MDSettings("npt-nose-hoover"), jax.random.key(0))
    with pytest.raises(InputError, match="one atom has nothing to do"):
        start(argon(), [crystal()[:1]], MDSettings("nvt-csvr"), jax.random.key(0))


def with_dynamics(begun, **changes):
    """The same simulation with some arrays of its state changed."""
    replicas = pytree.replace(begun.replicas, dynamics=begun.replicas.dynamics.set(**changes))
    return replace(begun, replicas=replicas)
