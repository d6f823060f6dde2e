"""Planted truth: exactly what was planted is found, at exactly its frame, and nothing else."""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from ase import Atoms
from planted_events import CO, EDGE, FREE_CL, FREE_O, LIGAND, complex_box, frames, put, still

from jaxft.analysis.bond_limits import BondSettings
from jaxft.analysis.event import (
    BOND_BROKEN,
    BOND_FORMED,
    CLOSE_CONTACT,
    COORDINATION_CHANGE,
    LIGAND_EXCHANGE,
    PROTON_TRANSFER,
    RUNAWAY_TEMPERATURE,
)
from jaxft.analysis.events import EventSettings, find_events, find_trajectory_events, snapshots
from jaxft.errors import InputError
from jaxft.md.h5md import Layout, create, write_frames
from jaxft.md.trajectory import read_trajectory

N = 300
H_OF_LIGAND = LIGAND + 1


@pytest.fixture
def atoms():
    return complex_box()


def events_of(atoms, positions, temperatures=None, **settings):
    report = find_events(frames(atoms, positions), EventSettings(**settings), temperatures)
    assert report.why is None
    return report


def only(report):
    assert len(report.events) == 1, report.words
    assert report.unfinished == ()
    return report.events[0]


def test_nothing_planted_nothing_found(atoms):
    report = events_of(atoms, still(atoms, N, noise=0.03))
    assert report.events == report.unfinished == ()
    assert report.shells_start == report.shells_end == {"Co0": "CoCl3O"}
    assert report.words == "no event in 2.99 ps, a rate below 1 per ps (95 %)"


def test_a_hydrogen_that_is_pulled_off_and_kept_away(atoms):
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, 1.7, 123)
    event = only(events_of(atoms, positions))
    assert (event.kind, event.frame, event.time_fs) == (BOND_BROKEN, 123, 1230.0)
    assert (event.frame_before, event.frame_after) == (122, 128)
    assert (event.atoms, event.elements) == ((H_OF_LIGAND, LIGAND), ("H", "O"))
    assert event.change == ("OH2", "OH")
    assert event.distance == pytest.approx(1.7)
    assert event.words == "H6-O5 broke (1.70 Å): OH2 -> OH"


def test_a_hydrogen_that_leaves_slowly_has_left_when_it_crosses_the_upper_limit(atoms):
    away = 0.97 + 0.01 * np.arange(100)
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, away, 100, 200)
    put(positions, H_OF_LIGAND, LIGAND, 1.96, 200)
    assert only(events_of(atoms, positions)).frame == 100 + int(np.ceil((1.5 * 0.97 - 0.97) / 0.01))


def test_a_vibration_that_crosses_the_limit_for_20_fs_is_no_event(atoms):
    positions = still(atoms, N)
    for since in (30, 90, 200):
        put(positions, H_OF_LIGAND, LIGAND, 1.6, since, since + 3)
    assert events_of(atoms, positions).events == ()


def test_a_bond_that_broke_and_formed_again(atoms):
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, 1.7, 100, 200)
    broken, formed = events_of(atoms, positions).events
    assert (broken.kind, broken.frame, formed.kind, formed.frame) == (BOND_BROKEN, 100, BOND_FORMED, 200)
    assert formed.change == ("OH", "OH2")


def test_a_proton_or_a_ligand_that_comes_back_at_once_is_no_transfer_and_no_exchange(atoms):
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, 1.7, 100, 110)
    assert events_of(atoms, positions).counts == {BOND_BROKEN: 1, BOND_FORMED: 1}
    positions = put(still(atoms, N), FREE_CL, CO, 2.4, 100, 110)
    assert [e.change for e in events_of(atoms, positions).events] == [("CoCl3O", "CoCl4O"), ("CoCl4O", "CoCl3O")]


def test_what_has_not_lasted_at_the_end_is_unfinished(atoms):
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, 1.7, N - 5)
    report = events_of(atoms, positions)
    assert report.events == ()
    assert [(event.kind, event.frame, event.frame_after) for event in report.unfinished] == [
        (BOND_BROKEN, N - 5, N - 1)
    ]


def test_a_chloride_that_joins_the_complex(atoms):
    positions = put(still(atoms, N), FREE_CL, CO, 2.4, 150)
    report = events_of(atoms, positions)
    event = only(report)
    assert (event.kind, event.frame, event.atoms) == (COORDINATION_CHANGE, 150, (CO, FREE_CL))
    assert event.change == ("CoCl3O", "CoCl4O")
    assert report.shells_end == {"Co0": "CoCl4O"}


WATER = list(range(LIGAND, LIGAND + 3))
FREE_WATER = list(range(FREE_O, FREE_O + 3))


@pytest.mark.parametrize(("left", "came"), [(120, 150), (150, 120), (140, 140)])
def test_a_chloride_in_place_of_a_water_is_one_change_of_coordination(atoms, left, came):
    positions = put(put(still(atoms, N), FREE_CL, CO, 2.4, came), WATER, CO, 3.6, left)
    event = only(events_of(atoms, positions))
    assert (event.kind, event.change) == (COORDINATION_CHANGE, ("CoCl3O", "CoCl4"))
    assert (event.frame, event.frame_before) == (max(left, came), min(left, came) - 1)
    assert event.atoms == (CO, LIGAND, FREE_CL)
    assert event.words == "Co0: CoCl3O -> CoCl4 (O5 left, Cl4 came)"


def test_the_same_further_apart_in_time_is_two_changes(atoms):
    positions = put(put(still(atoms, N), FREE_CL, CO, 2.4, 100), WATER, CO, 3.6, 160)
    first, second = events_of(atoms, positions, window_fs=500.0).events
    assert (first.change, second.change) == (("CoCl3O", "CoCl4O"), ("CoCl4O", "CoCl4"))
    assert len(events_of(atoms, positions, window_fs=600.0).events) == 1


def test_a_water_in_place_of_a_water_is_a_ligand_exchange(atoms):
    positions = still(atoms, N)
    place = -2.1 * np.ones(3) / np.sqrt(3)
    move = positions[100:, CO] + place - positions[100:, FREE_O]
    positions[100:, FREE_WATER] += move[:, None]
    put(positions, WATER, CO, 3.8, 130)
    event = only(events_of(atoms, positions))
    assert (event.kind, event.frame) == (LIGAND_EXCHANGE, 130)
    assert event.change == ("CoCl3O", "CoCl3O")
    assert event.atoms == (CO, LIGAND, FREE_O)


def test_a_ligand_that_only_vibrates_far_is_none(atoms):
    positions = put(still(atoms, N), WATER, CO, 2.1 + 0.6 * np.sin(np.arange(N)) ** 2, 0)
    put(positions, WATER, CO, 3.2, 70, 74)
    assert events_of(atoms, positions).events == ()


def shared_proton(near_second):
    """Two oxygens 2.5 Å apart, and a hydrogen between them that sits near the first or near the second."""
    positions = np.zeros((len(near_second), 3, 3))
    positions[:, 1, 0] = 2.5
    positions[:, 2, 0] = np.where(near_second, 1.51, 0.99)
    return frames(Atoms("OOH", cell=[9.0] * 3, pbc=True), positions)


def test_a_proton_that_hops_is_one_transfer():
    event = only(find_events(shared_proton(np.arange(100) >= 40), EventSettings()))
    assert (event.kind, event.frame, event.frame_before) == (PROTON_TRANSFER, 40, 39)
    assert event.atoms == (2, 0, 1)
    assert event.words == "H2 went from O0 to O1"


def test_a_proton_that_hops_to_and_fro_is_one_transfer_each_time():
    report = find_events(shared_proton((np.arange(200) // 20) % 2 == 1), EventSettings())
    assert [event.frame for event in report.events] == list(range(20, 200, 20))
    assert report.counts == {PROTON_TRANSFER: 9}
    assert [event.atoms[1:] for event in report.events[:3]] == [(0, 1), (1, 0), (0, 1)]


def test_a_proton_that_rattles_between_both_is_none():
    report = find_events(shared_proton((np.arange(200) // 4) % 2 == 1), EventSettings())
    assert report.events == ()


def test_a_proton_that_a_chloride_takes_is_a_transfer(atoms):
    positions = put(still(atoms, N), WATER, FREE_CL, 2.9, 0)
    # the hydrogen sits on the line between both
    line = positions[:, FREE_CL] - positions[:, LIGAND]
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    share = np.where(np.arange(N) < 77, 0.98, 1.62)
    positions[:, H_OF_LIGAND] = positions[:, LIGAND] + share[:, None] * line
    event = only(events_of(atoms, positions))
    assert (event.kind, event.frame, event.atoms) == (PROTON_TRANSFER, 77, (H_OF_LIGAND, LIGAND, FREE_CL))


@pytest.mark.parametrize("wrap", [False, True])
def test_a_box_that_drifts_through_its_boundaries_is_none(atoms, wrap):
    positions = still(atoms, N, noise=0.02) + np.linspace([0, 0, 0], [30, -25, 20], N)[:, None]
    if wrap:
        positions %= EDGE
        assert (np.abs(np.diff(positions, axis=0)) > EDGE / 2).any()
    assert events_of(atoms, positions).events == ()


def test_what_happens_across_the_boundary_is_found_wrapped_or_not(atoms):
    drift = np.linspace([0, 0, 0], [30, -25, 20], N)[:, None]
    positions = put(still(atoms, N), FREE_CL, CO, 2.4, 150) + drift
    free, wrapped = (only(events_of(atoms, x)) for x in (positions, positions % EDGE))
    assert free == wrapped
    assert free.frame == 150


def test_in_a_box_smaller_than_a_bond_each_image_is_a_bond_of_its_own():
    # a chain -Li-O-Li-O- along x: the oxygen goes from the middle to one side
    chain = Atoms("LiO", positions=[[0, 0, 0], [2.0, 0, 0]], cell=[4.0, 9.0, 9.0], pbc=True)
    positions = still(chain, 100, noise=0.01)
    positions[60:, 1, 0] -= 1.0 - 0.05
    report = find_events(frames(chain, positions), EventSettings(close_contact=0.3))
    event = only(report)
    assert (event.kind, event.frame, event.change) == (COORDINATION_CHANGE, 60, ("LiO2", "LiO"))


def test_a_close_contact_counts_however_short(atoms):
    positions = put(still(atoms, N), FREE_CL, FREE_O, 1.1, 200, 201)
    event = only(events_of(atoms, positions))
    assert (event.kind, event.frame, event.frame_before, event.frame_after) == (CLOSE_CONTACT, 200, 199, 201)
    assert event.atoms == (FREE_CL, FREE_O)
    assert event.distance == pytest.approx(1.1)
    assert event.words == "Cl4 and O8 came as close as 1.10 Å, for 0 fs"


def test_visits_near_in_time_are_one_contact_and_distant_ones_two(atoms):
    positions = still(atoms, N)
    for since, distance in ((250, 1.10), (254, 1.00), (258, 1.15), (270, 1.05)):
        put(positions, FREE_CL, FREE_O, distance, since, since + 2)
    first, second = events_of(atoms, positions).events
    assert (first.frame, first.frame_after, second.frame) == (250, 260, 270)
    assert first.distance == pytest.approx(1.0)


@pytest.mark.parametrize(("gap", "n_events"), [(5, 1), (6, 2)])
def test_contacts_are_apart_when_50_fs_lie_between_them(gap, n_events):
    pair = Atoms("O2", cell=[9.0] * 3, pbc=True)
    distances = np.full(100, 1.0)
    distances[[33, 33 + gap]] = 0.9  # below 0.7 times 1.32
    positions = np.zeros((100, 2, 3))
    positions[:, 1, 0] = distances
    assert len(find_events(frames(pair, positions), EventSettings()).events) == n_events


def temperatures_with(hot):
    temperatures = np.random.default_rng(0).normal(350.0, 40.0, N)
    temperatures[hot] = 1500.0
    return temperatures


def test_a_box_heated_to_1500_k(atoms):
    report = events_of(atoms, still(atoms, N), temperatures_with(slice(180, 280)))
    event = only(report)
    assert (event.kind, event.frame, event.temperature) == (RUNAWAY_TEMPERATURE, 180, 1500.0)
    assert report.temperature is None


def test_a_temperature_that_is_high_for_40_fs_is_none_and_at_the_end_is_unfinished(atoms):
    positions = still(atoms, N)
    assert events_of(atoms, positions, temperatures_with(slice(180, 185))).events == ()
    report = events_of(atoms, positions, temperatures_with(slice(N - 3, N)))
    assert report.events == ()
    assert [event.frame for event in report.unfinished] == [N - 3]
    assert only(events_of(atoms, positions, temperatures_with(np.r_[100:120, 122:140]))).frame == 100


def test_without_temperatures_the_report_says_so(atoms):
    assert "none was given" in events_of(atoms, still(atoms, 20)).temperature
    with pytest.raises(InputError, match="got 5 temperatures for 20 frames"):
        events_of(atoms, still(atoms, 20), np.ones(5))


def test_a_start_later_keeps_the_numbers_of_frames(atoms):
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, 1.7, 123)
    late = find_events(frames(atoms, positions, first_fs=50.0, start=100), EventSettings(), temperatures_with([]))
    assert (only(late).frame, only(late).time_fs) == (123, 1280.0)
    assert find_events(frames(atoms, positions, start=130), EventSettings()).events == ()


def test_events_do_not_depend_on_the_order_of_atoms(atoms):
    positions = put(put(still(atoms, N), FREE_CL, CO, 2.4, 150), H_OF_LIGAND, LIGAND, 1.7, 60)
    order = np.random.default_rng(2).permutation(len(atoms))
    mixed = find_events(frames(atoms[order], positions[:, order]), EventSettings())
    found = {(e.kind, e.frame, e.change, tuple(sorted(order[list(e.atoms)].tolist()))) for e in mixed.events}
    plain = events_of(atoms, positions)
    assert found == {(e.kind, e.frame, e.change, tuple(sorted(e.atoms))) for e in plain.events}
    assert len(found) == 2


def test_a_supercell_has_as_many_times_the_events(atoms):
    positions = put(put(still(atoms, N), FREE_CL, CO, 2.4, 150), H_OF_LIGAND, LIGAND, 1.7, 60)
    corners = [np.array([i, j, 0.0]) * EDGE for i in (0, 1) for j in (0, 1)]
    larger = np.concatenate([positions + corner for corner in corners], axis=1)
    report = find_events(frames(atoms * (2, 2, 1), larger), EventSettings())
    assert report.counts == {BOND_BROKEN: 4, COORDINATION_CHANGE: 4}


def test_frames_too_far_apart_are_said_and_not_searched(atoms):
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, 1.7, 123)
    report = find_events(frames(atoms, positions, frame_fs=20.0), EventSettings())
    assert report.words == report.why == "not looked for: frames are 20 fs apart, expected at most 10"
    assert report.events == ()
    wider = EventSettings(bonds=BondSettings(max_spacing_fs=20.0))
    assert only(find_events(frames(atoms, positions, frame_fs=20.0), wider)).frame == 123


@pytest.mark.parametrize(("n", "words"), [(0, "not looked for: there are no frames"), (1, "no event in 0 ps")])
def test_no_frame_and_one_frame(atoms, n, words):
    report = find_events(frames(atoms, still(atoms, n)), EventSettings())
    assert report.words == words
    assert report.shells_start == ({"Co0": "CoCl3O"} if n else {})


def test_the_report_is_plain_json(atoms):
    positions = put(put(still(atoms, N), FREE_CL, CO, 2.4, 150), H_OF_LIGAND, LIGAND, 1.7, 297)
    report = events_of(atoms, positions, temperatures_with(slice(200, 260)))
    back = json.loads(json.dumps(asdict(report), allow_nan=False))
    assert [event["frame"] for event in back["events"]] == [150, 200]
    assert back["settings"]["bonds"]["persistence_fs"] == 50.0


def test_in_a_trajectory_frames_after_the_stop_do_not_make_a_state_last(atoms, tmp_path):
    positions = put(still(atoms, 60), H_OF_LIGAND, LIGAND, 1.7, 40)
    positions[43:] = positions[42]  # the replica stopped after frame 42, and repeats it
    path = tmp_path / "run.h5md"
    create(path, Layout(atoms, 60, 20, 20, 0.5, "this run", 3 * len(atoms)))
    zeros = np.zeros(60)
    write_frames(
        path,
        0,
        dict.fromkeys(("energies", "conserved", "pressure"), zeros)
        | {"positions": positions, "velocities": 0.0 * positions, "kinetic": zeros + 0.5}
        | {"steps": 20 + 20 * np.minimum(np.arange(60), 42), "status": (np.arange(60) > 42) * 2},
    )
    trajectory = read_trajectory(path)
    report = find_trajectory_events(trajectory, EventSettings())
    assert (report.n_frames, report.events, report.temperature) == (43, (), None)
    (event,) = report.unfinished
    assert (event.frame, event.time_fs) == (40, 410.0)
    before, at, after = snapshots(trajectory, event)
    lengths = [snapshot.get_distance(H_OF_LIGAND, LIGAND, mic=True) for snapshot in (before, at, after)]
    np.testing.assert_allclose(lengths, [0.97, 1.7, 1.7], atol=0.06)


def test_two_hydrogens_that_become_a_molecule_are_bonds_and_no_transfer(atoms):
    positions = put(still(atoms, N), H_OF_LIGAND, LIGAND, 2.2, 100)
    positions[100:, H_OF_LIGAND + 1] = positions[100:, H_OF_LIGAND] + [0.2, 0.6, -0.39]
    report = events_of(atoms, positions)
    assert report.counts == {BOND_BROKEN: 2, BOND_FORMED: 1}
    assert {event.frame for event in report.events} == {100}
    assert {event.change for event in report.events} == {("OH2", "OH"), ("OH", "O"), None}


def test_none_of_it_needs_jax():
    names = ("events", "rdf", "coordination", "displacement", "bond_lengths")
    imports = "; ".join(f"import jaxft.analysis.{name}" for name in names)
    subprocess.run([sys.executable, "-c", f"{imports}; import sys; assert 'jax' not in sys.modules"], check=True)


@pytest.mark.parametrize("changes", [{"close_contact": 1.2}, {"max_temperature": 0.0}, {"window_fs": -1.0}])
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        EventSettings(**changes)
