"""Do the ensembles sample what they claim to sample? physical_validation's answers (P. Merz & M. Shirts, PLoS ONE 13 (2018)
e0202764), block averages, and long conservation of energy. Minutes each: ``make test-slow``."""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from ase.md.verlet import VelocityVerlet
from lennard_jones import argon, crystal

import jaxft
from jaxft import units
from jaxft.md.ensembles import degrees_of_freedom
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start
from jaxft.structures.pack import pack

pv = pytest.importorskip(
    "physical_validation", reason="physical_validation is not installed (make test-slow installs it)"
)
pytestmark = pytest.mark.slow

THERMOSTATS = ("nvt-langevin", "nvt-nose-hoover", "nvt-csvr")
OPTIONS = {
    "nvt-langevin": {"friction_per_ps": 2.0},
    "nvt-nose-hoover": {"thermostat_time_fs": 200.0},
    "nvt-csvr": {"thermostat_time_fs": 200.0},
    "npt-nose-hoover": {"thermostat_time_fs": 200.0, "barostat_time_fs": 1000.0},
}
FIGURES = Path(os.environ.get("JAXFT_SAMPLING_FIGURES", "")) if os.environ.get("JAXFT_SAMPLING_FIGURES") else None
"""A file that measured figures are added to, for the documentation."""


def record(name, **figures):
    print(name, figures)
    if FIGURES is not None:
        known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        known[name] = {key: float(value) for key, value in figures.items()}
        FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def sample(ensemble, temperature, picoseconds, *, pressure_gpa=None, n_replicas=8, settle_ps=20.0, seed=0):
    """Potential, kinetic energy (eV), volume (Å³) of argon, every 0.5 ps, replicas one after another."""
    settings = MDSettings(ensemble, temperature, 4.0, **OPTIONS[ensemble], pressure_gpa=pressure_gpa, frame_every=125)
    boxes = [crystal(seed + k) for k in range(n_replicas)]
    simulation = start(argon(), boxes, settings, jax.random.key(seed), dtype="float64")
    simulation, _ = advance(simulation, round(settle_ps / 0.5))
    simulation, frames = advance(simulation, round(picoseconds / 0.5))
    assert not simulation.status.any(), simulation.status
    volumes = np.abs(np.linalg.det(frames.cells))
    return tuple(np.asarray(a, dtype=np.float64).T.ravel() for a in (frames.energy, frames.kinetic, volumes))


def data(ensemble, temperature, potential, kinetic, volume, pressure_gpa=0.0, n_atoms=32):
    """The same for physical_validation, in its units (kJ/mol, nm, bar, ps)."""
    kj, bar = 96.4853329, 10000.0 * pressure_gpa
    name = "NPT" if ensemble.startswith("npt") else "NVT"
    return pv.data.SimulationData(
        units=pv.data.UnitData(
            kb=8.314462618e-3,
            energy_str="kJ/mol",
            energy_conversion=1.0,
            length_str="nm",
            length_conversion=1.0,
            volume_str="nm^3",
            volume_conversion=1.0,
            temperature_str="K",
            temperature_conversion=1.0,
            pressure_str="bar",
            pressure_conversion=1.0,
            time_str="ps",
            time_conversion=1.0,
        ),
        ensemble=pv.data.EnsembleData(
            name,
            natoms=n_atoms,
            temperature=temperature,
            volume=volume[0] * 1e-3 if name == "NVT" else None,
            pressure=bar if name == "NPT" else None,
        ),
        system=pv.data.SystemData(
            natoms=n_atoms,
            nconstraints=0,
            ndof_reduction_tra=3 * n_atoms - degrees_of_freedom(ensemble, n_atoms),
            ndof_reduction_rot=0,
        ),
        observables=pv.data.ObservableData(
            potential_energy=potential * kj,
            kinetic_energy=kinetic * kj,
            total_energy=(potential + kinetic) * kj,
            volume=volume * 1e-3,
        ),
    )


@pytest.mark.parametrize("ensemble", THERMOSTATS)
def test_kinetic_energies_and_temperatures_of_argon_are_canonical(ensemble):
    cold, warm = (
        data(ensemble, T, *sample(ensemble, T, 400.0, seed=int(T))) for T in (160.0, 180.0)
    )  # a fluid, far from melting
    mean, width = pv.kinetic_energy.distribution(cold, strict=False, verbosity=0)
    (slope,) = pv.ensemble.check(cold, warm, verbosity=0)
    record(f"argon {ensemble}", kinetic_mean_sigmas=mean, kinetic_width_sigmas=width, temperature_slope_sigmas=slope)
    assert mean < 3.0
    assert width < 3.0
    assert slope < 3.0


def test_volumes_of_argon_at_two_pressures_are_related_as_they_must():
    ensemble = "npt-nose-hoover"
    low, high = (
        data(ensemble, 150.0, *sample(ensemble, 150.0, 400.0, pressure_gpa=p, seed=int(1e4 * p)), pressure_gpa=p)
        for p in (0.10, 0.14)  # a dense fluid: argon with this short cutoff has no liquid at low pressure
    )
    mean, width = pv.kinetic_energy.distribution(low, strict=False, verbosity=0)
    (slope,) = pv.ensemble.check(low, high, verbosity=0)
    record(f"argon {ensemble}", kinetic_mean_sigmas=mean, kinetic_width_sigmas=width, pressure_slope_sigmas=slope)
    assert mean < 3.0
    assert width < 3.0
    assert slope < 3.0


def study_box():
    from jaxft.md.relax import relax

    potential = jaxft.load("cobalt-mini")
    return potential, relax(potential, pack({"CoCl2": 1, "LiCl": 2, "H2O": 15}, 1.3, seed=4), max_force=0.2)


@pytest.fixture(scope="module")
def settled_box():
    """The study box after 2 ps at 350 K."""
    potential, box = study_box()
    settings = MDSettings("nvt-langevin", 350.0, 0.5, friction_per_ps=10.0, frame_every=100)
    simulation = start(potential, [box], settings, jax.random.key(0))
    return potential, advance(simulation, 40)[0].atoms(0)


@pytest.mark.parametrize(("dtype", "limit"), [("float64", 0.1), ("float32", 1.0)])
def test_energy_of_the_study_box_is_conserved_for_20_ps(settled_box, dtype, limit):
    potential, box = settled_box
    settings = MDSettings("nve", 350.0, 0.5, frame_every=100)
    simulation, frames = advance(start(potential, [box], settings, jax.random.key(1), dtype=dtype), 400)
    conserved = np.asarray(frames.conserved[:, 0], dtype=np.float64) / len(box) * 1e3
    times = 0.05 * np.arange(1, 401)
    drift = np.polyfit(times, conserved, 1)[0]
    record(f"cobalt-mini nve {dtype}", drift_mev_per_atom_per_ps=drift, spread_mev_per_atom=conserved.std())
    assert simulation.status.tolist() == [0]
    assert abs(drift) < limit


def test_one_hundred_steps_of_the_study_box_are_those_of_ase(settled_box):
    potential, box = settled_box
    simulation = start(potential, [box], MDSettings("nve", 350.0, 0.5, frame_every=1), jax.random.key(1), "float64")
    atoms = simulation.atoms(0)
    atoms.calc = potential.calculator(dtype="float64")
    VelocityVerlet(atoms, timestep=0.5 * units.FEMTOSECOND).run(100)
    _, frames = advance(simulation, 100)
    difference = np.abs(frames.positions[-1, 0] - atoms.positions).max()
    record("cobalt-mini nve against ASE", largest_difference_angstrom=difference)
    assert difference < 1e-10


def test_kinetic_energies_of_the_study_box_are_canonical(settled_box):
    potential, box = settled_box
    settings = MDSettings("nvt-csvr", 350.0, 0.5, thermostat_time_fs=50.0, frame_every=200)
    simulation, _ = advance(start(potential, [box] * 2, settings, jax.random.key(2)), 20)
    _, frames = advance(simulation, 200)
    n_dof = degrees_of_freedom("nvt-csvr", len(box))
    twice = 2.0 * frames.kinetic.ravel() / (350.0 * units.KELVIN)
    # χ² of n_dof degrees of freedom: mean n_dof, variance 2 n_dof; samples 0.1 ps apart, two relaxation times
    sigmas = (twice.mean() - n_dof) / np.sqrt(2.0 * n_dof / len(twice))
    record("cobalt-mini nvt-csvr", kinetic_mean_sigmas=sigmas, kinetic_width_ratio=twice.var() / (2.0 * n_dof))
    assert abs(sigmas) < 3.5
    assert 0.75 < twice.var() / (2.0 * n_dof) < 1.3


def test_two_temperatures_of_the_study_box_are_related_as_they_must(settled_box):
    potential, box = settled_box
    found = []
    for temperature in (350.0, 385.0):
        settings = MDSettings("nvt-csvr", temperature, 0.5, thermostat_time_fs=50.0, frame_every=200)
        simulation = start(potential, [box] * 3, settings, jax.random.key(int(temperature)))
        simulation, _ = advance(simulation, 50)
        simulation, frames = advance(simulation, 200)
        assert not simulation.status.any()
        series = (np.asarray(a, dtype=np.float64).T.ravel() for a in (frames.energy, frames.kinetic))
        volumes = np.full(frames.energy.size, box.get_volume())
        found.append(data("nvt-csvr", temperature, *series, volumes, n_atoms=len(box)))
    (slope,) = pv.ensemble.check(*found, verbosity=0)
    record("cobalt-mini nvt-csvr, 350 and 385 K", temperature_slope_sigmas=slope)
    assert slope < 3.0
