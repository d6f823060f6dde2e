"""From courses of distances to a verdict: what is undone is an artefact, what stays is chemistry, what is neither is said to be."""

import numpy as np
import pytest

from jaxft.analysis.bonding import Pair
from jaxft.analysis.event import (
    BOND_BROKEN,
    BOND_FORMED,
    CLOSE_CONTACT,
    COORDINATION_CHANGE,
    PROTON_TRANSFER,
    RUNAWAY_TEMPERATURE,
)
from jaxft.analysis.event_check import ARTEFACT, CHEMISTRY, UNDECIDED, UNPHYSICAL, follow, judge, judge_failures
from jaxft.analysis.event_quantities import APART, BETWEEN, BONDED, COOL, HOT, IN_CONTACT, Quantity

TIMES = 0.5 * np.arange(201)
LOW, HIGH = 1.07, 1.46
PAIR = Pair(0, 1, (0, 0, 0))


def bond(was, values):
    quantity = Quantity("H1-O0", PAIR, LOW, HIGH, (BONDED, APART), was)
    return follow(quantity, np.broadcast_to(values, TIMES.shape), TIMES, 50.0)


def until(time_fs, first, then):
    return np.where(time_fs > TIMES, first, then)


SWING = 1.2 + 0.5 * np.cos(2 * np.pi * TIMES / 18.0)
"""A bond at constant energy: from 1.7 Å to 0.7 and back, every 18 fs."""


@pytest.mark.parametrize(
    ("course", "verdict", "words"),
    [
        (until(30.0, 1.7, 0.97), ARTEFACT, "bonded for 70 fs"),
        (until(80.0, 1.7, 0.97), ARTEFACT, "bonded for 20 fs"),
        (until(81.0, 1.7, 0.97), UNDECIDED, "bonded for 19 fs, too short to count (it takes 20)"),
        (SWING, ARTEFACT, "bonded and swinging between 0.70 and 1.70"),
        (1.7, CHEMISTRY, "apart for 100 fs"),
        (until(30.0, 1.7, 1.2), UNDECIDED, "between the limits 1.07 and 1.46 for 50 fs"),
        (np.select([TIMES < 20, TIMES < 30], [1.7, 1.0], 3.0), CHEMISTRY, "apart for 70 fs"),
        (np.select([TIMES < 50, TIMES < 60], [1.7, 1.0], 3.0), UNDECIDED, "apart for 40 fs, too short to count"),
    ],
    ids=["back", "just back", "late", "swings", "stays away", "halfway", "came by", "came by late"],
)
def test_a_broken_bond(course, verdict, words):
    found = judge(BOND_BROKEN, [bond(BONDED, course)])
    assert found.outcome == verdict
    assert words in found.words


@pytest.mark.parametrize(
    ("course", "verdict"),
    [
        (until(45.0, 1.0, 2.5), ARTEFACT),
        (until(55.0, 1.0, 2.5), UNDECIDED),
        (1.0, CHEMISTRY),
        (SWING[::-1], CHEMISTRY),
        (until(10.0, 1.0, 1.3), UNDECIDED),
        # where two changes are one event, the earlier one may be between its limits when the later one happens
        (until(90.0, 1.2, 1.0), CHEMISTRY),
    ],
)
def test_a_formed_bond(course, verdict):
    assert judge(BOND_FORMED, [bond(APART, course)]).outcome == verdict


def test_a_vibration_between_the_limits_leaves_a_bond_what_it_is():
    course = 1.0 + 0.15 * np.sin(2 * np.pi * TIMES / 9.0)
    assert bond(APART, course).end == BONDED


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (0.97, 1.8, ARTEFACT),
        (1.8, 0.97, CHEMISTRY),
        (1.8, 1.9, CHEMISTRY),  # it has gone on to a third
        (SWING, 2.4 - SWING, UNDECIDED),  # shared
        (1.2, 1.25, UNDECIDED),
        (1.2, 1.0, CHEMISTRY),
        (1.0, 1.3, ARTEFACT),
    ],
)
def test_a_proton_transfer(old, new, verdict):
    assert judge(PROTON_TRANSFER, [bond(BONDED, old), bond(APART, new)]).outcome == verdict


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [(1.0, 2.0, ARTEFACT), (2.0, 1.0, CHEMISTRY), (1.0, 1.0, UNDECIDED), (2.0, 2.0, UNDECIDED), (1.0, 1.3, UNDECIDED)],
)
def test_a_coordination_change_is_undone_or_kept_as_a_whole(lost, gained, verdict):
    assert judge(COORDINATION_CHANGE, [bond(BONDED, lost), bond(APART, gained)]).outcome == verdict


@pytest.mark.parametrize(
    ("course", "end", "verdict"),
    [
        (until(5.0, 0.6, 2.0), APART, ARTEFACT),
        (0.75 + 0.2 * np.sin(2 * np.pi * TIMES / 20.0), IN_CONTACT, CHEMISTRY),
        (until(60.0, 0.6, 2.0), IN_CONTACT, CHEMISTRY),
    ],
)
def test_a_close_contact(course, end, verdict):
    followed = follow(Quantity("H1-O0", PAIR, 0.68, 0.68, (IN_CONTACT, APART), APART), course, TIMES, 50.0)
    assert followed.end == end
    assert judge(CLOSE_CONTACT, [followed]).outcome == verdict


@pytest.mark.parametrize(("kelvin", "end", "verdict"), [(800.0, COOL, ARTEFACT), (1200.0, HOT, UNDECIDED)])
def test_a_temperature_that_stays_high_proves_nothing(kelvin, end, verdict):
    course = until(40.0, 1500.0, kelvin)
    followed = follow(Quantity("temperature", None, 1000.0, 1000.0, (COOL, HOT), COOL), course, TIMES, 50.0)
    assert followed.end == end
    found = judge(RUNAWAY_TEMPERATURE, [followed])
    assert found.outcome == verdict
    assert f"{kelvin:.0f} K" in found.words


def test_a_failed_label_is_unphysical_unless_it_says_nothing_of_the_structure():
    assert judge_failures({"at": "not converged"}) == (UNPHYSICAL, "no label at: not converged")
    assert judge_failures({"before": "timed out"}).outcome == UNDECIDED
    assert judge_failures({"before": "worker died", "after": "not finite"}) == (
        UNPHYSICAL,
        "no label after: not finite",
    )


def test_the_values_and_their_side_before_are_kept():
    followed = bond(BONDED, 1.2)
    assert (followed.was, followed.end, len(followed.values)) == (BONDED, BETWEEN, len(TIMES))
