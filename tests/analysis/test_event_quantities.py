"""What is followed of each kind of event: the pairs that changed, with their images, limits and old sides."""

import numpy as np
import pytest
from ase import Atoms
from planted_events import CO, EDGE, FREE_CL, FREE_O, LIGAND, complex_box, frames, put, still

from jaxft.analysis.event import BOND_BROKEN, BOND_FORMED, COORDINATION_CHANGE, LIGAND_EXCHANGE, PROTON_TRANSFER
from jaxft.analysis.event_quantities import APART, BONDED, IN_CONTACT, quantities_of, values_along
from jaxft.analysis.events import EventSettings, find_events

N = 100
H = LIGAND + 1


@pytest.fixture
def atoms():
    return complex_box()


def asked(atoms, positions, temperatures=None, **settings):
    """The only event, and what is followed of it."""
    report = find_events(frames(atoms, positions), EventSettings(**settings), temperatures)
    (event,) = report.events
    before, at = atoms.copy(), atoms.copy()
    before.positions, at.positions = positions[event.frame_before], positions[event.frame]
    return event, quantities_of(event, report, before, at)


def test_a_bond_that_broke_and_one_that_formed(atoms):
    away = put(still(atoms, N), H, LIGAND, 1.7, 50)
    event, (quantity,) = asked(atoms, away)
    assert (event.kind, quantity.was, quantity.name) == (BOND_BROKEN, BONDED, f"H{H}-O{LIGAND}")
    assert (quantity.low, quantity.high) == pytest.approx((1.1 * 0.97, 1.5 * 0.97))
    event, (quantity,) = asked(atoms, away[::-1].copy())
    assert (event.kind, quantity.was) == (BOND_FORMED, APART)


def test_the_values_are_distances_through_the_boundary(atoms):
    positions = put(still(atoms, N), FREE_CL, CO, 2.4, 50) + np.linspace(0, 30, N)[:, None, None]
    event, (quantity,) = asked(atoms, positions)
    assert (event.kind, quantity.was) == (COORDINATION_CHANGE, APART)
    values = values_along(quantity, positions[50:], atoms.cell.array, np.zeros(N))
    np.testing.assert_allclose(values, 2.4, atol=0.1)


def test_the_image_is_told_where_the_shortest_way_goes_through_the_boundary(atoms):
    # the free chloride lies within the cell and comes to the cobalt through a face
    shifted = atoms.copy()
    shifted.positions[FREE_CL] += [EDGE, 0, -2 * EDGE]
    positions = still(shifted, N)
    positions[50:, FREE_CL] = positions[50:, CO] - 2.4 / np.sqrt(3) + [EDGE, 0, -2 * EDGE]
    _, (quantity,) = asked(shifted, positions)
    assert quantity.pair == (CO, FREE_CL, (-1, 0, 2))


def test_an_exchange_follows_what_left_and_what_came(atoms):
    water = [FREE_O, FREE_O + 1, FREE_O + 2]
    positions = put(still(atoms, N), [LIGAND, H, H + 1], CO, 4.5, 50)
    positions[53:, water] += positions[53:, [CO]] + 2.1 * np.array([-0.577, -0.577, 0.577]) - positions[53:, [FREE_O]]
    event, (lost, gained) = asked(atoms, positions)
    assert event.kind == LIGAND_EXCHANGE
    assert (lost.name, lost.was, gained.name, gained.was) == (f"Co{CO}-O{LIGAND}", BONDED, f"Co{CO}-O{FREE_O}", APART)


def test_a_transfer_follows_the_old_partner_and_the_new_one(atoms):
    positions = put(still(atoms, N), [LIGAND, H, H + 1], FREE_CL, 2.9, 0)
    line = positions[:, FREE_CL] - positions[:, LIGAND]
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    positions[:, H] = positions[:, LIGAND] + np.where(np.arange(N) < 50, 0.98, 1.62)[:, None] * line
    event, (old, new) = asked(atoms, positions)
    assert event.kind == PROTON_TRANSFER
    assert (old.pair[:2], old.was, new.pair[:2], new.was) == ((H, LIGAND), BONDED, (H, FREE_CL), APART)


def test_a_contact_has_one_limit_and_a_temperature_no_pair(atoms):
    _, (contact,) = asked(atoms, put(still(atoms, N), FREE_CL, FREE_O, 1.1, 50, 51))
    assert contact.sides == (IN_CONTACT, APART)
    assert contact.low == contact.high == pytest.approx(0.7 * (1.02 + 0.66))
    hot = np.where(np.arange(N) < 50, 300.0, 1500.0)
    _, (quantity,) = asked(atoms, still(atoms, N), hot)
    assert (quantity.pair, quantity.low) == (None, 1000.0)
    assert values_along(quantity, still(atoms, N), atoms.cell.array, hot).tolist() == hot.tolist()


def test_in_a_box_smaller_than_a_bond_it_is_the_image_whose_bond_broke():
    # a chain -Li-O-Li-O- along x: the oxygen goes from the middle to one side
    chain = Atoms("LiO", positions=[[0, 0, 0], [2.0, 0, 0]], cell=[4.0, 9.0, 9.0], pbc=True)
    positions = still(chain, N, noise=0.01)
    positions[60:, 1, 0] -= 1.0 - 0.05
    _, (quantity,) = asked(chain, positions, close_contact=0.3)
    values = values_along(quantity, positions[[59, 60]], chain.cell.array, np.zeros(2))
    np.testing.assert_allclose(values, [2.0, 2.95], atol=0.05)
