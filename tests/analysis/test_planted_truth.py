"""What is planted into real dynamics is found where it was planted, and elsewhere there is no more alarm than calibrated.

A unit test of the chain descriptors → Q → limit and of events; no evidence that Q finds errors (that takes labels).
"""

import jax
import numpy as np
import pytest

import jaxft
from jaxft.analysis.environments import environments
from jaxft.analysis.event import COORDINATION_CHANGE, RUNAWAY_TEMPERATURE
from jaxft.analysis.events import EventSettings, find_events
from jaxft.analysis.frames import Frames
from jaxft.analysis.q_model import RATE, calibrate, fit_q_model, frame_maximum, q_and_t2, ratio_to_limit
from jaxft.md.relax import relax
from jaxft.md.run import run
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import in_ensemble, start
from jaxft.md.trajectory import read_trajectory
from jaxft.structures.pack import pack

FRAMES, SECTION, PLANTED = 600, 50, 25
SETTINGS = MDSettings(temperature=350.0, timestep_fs=0.5, friction_per_ps=10.0, frame_every=20)


@pytest.fixture(scope="module")
def base():
    return jaxft.load("cobalt-mini")


@pytest.fixture(scope="module")
def dynamics(base, tmp_path_factory):
    """6 ps of four waters and LiCl, then 0.3 ps with a bath of 1500 K; all frames as structures."""
    folder = tmp_path_factory.mktemp("planted")
    box = relax(base, pack({"LiCl": 1, "H2O": 4}, 1.1, seed=2), max_force=0.2)
    simulation = start(base, [box], SETTINGS, jax.random.key(5), "float32")
    outcome = run(simulation, FRAMES + 50, trajectories=[folder / "calm.h5md"])
    hot = in_ensemble(
        outcome.simulation, MDSettings(temperature=1500.0, timestep_fs=0.5, friction_per_ps=100.0, frame_every=20)
    )
    run(hot, 60, trajectories=[folder / "hot.h5md"])
    calm, heated = read_trajectory(folder / "calm.h5md"), read_trajectory(folder / "hot.h5md")
    return list(calm.structures(range(50, FRAMES + 50))), heated


@pytest.fixture(scope="module")
def judge(base, dynamics):
    """Even frames train and calibrate; function: of structures, the largest Q/limit of each frame, whose it is, all ratios."""
    calm, _ = dynamics
    training = list(range(0, FRAMES, 20))
    others = [k for k in range(0, FRAMES, 2) if k not in training]
    model = fit_q_model(environments(base, [calm[k] for k in training]))
    calibration = calibrate(model, environments(base, [calm[k] for k in others]), float(len(others)))

    def judged(structures):
        of = environments(base, structures)
        ratio = ratio_to_limit(q_and_t2(model, of)[0], of.numbers, calibration.q)
        largest, atom = frame_maximum(ratio, of.frame, of.frames)
        return largest / calibration.frame.value, atom, ratio

    return judged


@pytest.fixture(scope="module")
def section(dynamics, judge):
    """The half picosecond without a gap in which nothing is out of the ordinary by itself."""
    calm, _ = dynamics
    largest, _, _ = judge(calm)
    starts = range(0, FRAMES - SECTION + 1, SECTION)
    start = min(starts, key=lambda k: largest[k : k + SECTION].max())
    return calm[start : start + SECTION]


def frames(structures):
    first = structures[0]
    positions = np.array([atoms.positions for atoms in structures])
    return Frames(positions, first.cell.array, first.pbc, first.numbers, 10.0)


def planted(section, change):
    """Copies, changed from frame ``PLANTED`` on."""
    copies = [atoms.copy() for atoms in section]
    for atoms in copies[PLANTED:]:
        change(atoms)
    return copies


def nearest(atoms, center, symbol):
    others = [k for k, s in enumerate(atoms.get_chemical_symbols()) if s == symbol]
    return others[int(np.argmin(atoms.get_distances(center, others, mic=True)))]


def pulled(atoms, hydrogen, oxygen, distance=1.9):
    """Where a hydrogen is at twice its bond length from its oxygen, in the direction with most room: no one takes it up."""
    directions = np.random.default_rng(0).normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    others = [k for k, z in enumerate(atoms.numbers) if z > 1 and k != oxygen]

    def room(place):
        moved = atoms.copy()
        moved.positions[hydrogen] = place
        return moved.get_distances(hydrogen, others, mic=True).min()

    return max((atoms.positions[oxygen] + distance * directions), key=room)


def test_elsewhere_it_alarms_at_most_twice_as_often_as_calibrated(judge, dynamics):
    calm, _ = dynamics
    unseen = calm[1::2]
    largest, _, ratio = judge(unseen)
    assert (ratio > 1.0).mean() < 2 * RATE
    assert (largest > 1.0).mean() < 2 * RATE + 0.02


def test_a_hydrogen_pulled_off(judge, section):
    hydrogen = next(k for k, z in enumerate(section[0].numbers) if z == 1)
    oxygen = nearest(section[0], hydrogen, "O")

    def pull(atoms):
        atoms.positions[hydrogen] = pulled(atoms, hydrogen, oxygen)

    changed = planted(section, pull)
    found = find_events(frames(changed), EventSettings())
    of_it = [event for event in found.events if hydrogen in event.atoms]
    assert [event.frame for event in of_it][:1] == [PLANTED], [event.words for event in of_it]
    largest, atom, _ = judge(changed)
    assert (largest[PLANTED:] > 1.0).all()
    assert (largest[:PLANTED] > 1.0).mean() <= 0.08  # 2 of 25
    assert set(atom[PLANTED:]) & {hydrogen, oxygen}


def test_a_changed_coordination(judge, section):
    symbols = section[0].get_chemical_symbols()
    lithium = symbols.index("Li")
    oxygen = nearest(section[0], lithium, "O")
    water = [
        oxygen,
        *sorted(
            (k for k, s in enumerate(symbols) if s == "H"), key=lambda k: section[0].get_distance(oxygen, k, mic=True)
        )[:2],
    ]

    def leave(atoms):
        vector = atoms.get_distance(lithium, oxygen, mic=True, vector=True)
        atoms.positions[water] += 1.5 * vector / np.linalg.norm(vector)

    changed = planted(section, leave)
    found = find_events(frames(changed), EventSettings())
    shells = [event for event in found.events if event.kind == COORDINATION_CHANGE and lithium in event.atoms]
    assert PLANTED in [event.frame for event in shells]
    largest, _, ratio = judge(changed)
    of_lithium = ratio.reshape(len(changed), -1)[:, lithium]
    assert (largest[PLANTED:] > 1.0).mean() > 0.9
    assert of_lithium[PLANTED:].mean() > 2 * of_lithium[:PLANTED].mean()


def test_heated_to_1500_kelvin(judge, dynamics):
    _, heated = dynamics
    structures = list(heated.structures(range(len(heated))))
    found = find_events(frames(structures), EventSettings(), heated.temperatures)
    assert RUNAWAY_TEMPERATURE in found.counts
    event = next(event for event in found.events if event.kind == RUNAWAY_TEMPERATURE)
    largest, _, _ = judge(structures)
    assert (largest[event.frame :] > 1.0).mean() > 0.9
