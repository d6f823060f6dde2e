"""Setting structures aside."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from jaxft.errors import InputError
from jaxft.finetune.validation import ValidationSettings, split_validation
from jaxft.structures.dataset import LabelledStructure


def labelled(formula, place=0.0, **info):
    atoms = Atoms(formula, positions=place + np.arange(3 * len(Atoms(formula))).reshape(-1, 3), info=info)
    return LabelledStructure(atoms, 0.0, np.zeros((len(atoms), 3)), None)


TWO_RUNS = [labelled("OH", k, run="a") for k in range(20)] + [labelled("OHH", k, run="b") for k in range(10)]


@pytest.mark.parametrize("key", [None, "run"])
def test_the_end_of_each_trajectory_is_set_aside(key):
    train, aside = split_validation(TWO_RUNS, ValidationSettings(0.2, "trajectory", key), seed=0)
    assert aside == [16, 17, 18, 19, 28, 29]
    assert sorted(train + aside) == list(range(30))


def test_groups_stay_whole():
    groups = [labelled("OH", k, mol=str(k // 3)) for k in range(30)]
    train, aside = split_validation(groups, ValidationSettings(0.2, "key", "mol"), seed=1)
    assert len(aside) == 6
    assert {k // 3 for k in aside}.isdisjoint({k // 3 for k in train})
    assert split_validation(groups, ValidationSettings(0.2, "key", "mol"), seed=2)[1] != aside


@pytest.mark.parametrize(
    ("sizes", "share", "expected"),
    [
        ((95, 5), 0.1, {5}),
        ((95, 5), 0.6, {5}),
        # one that does not fit, where it comes nearer than what fits
        ((9, 9, 9, 1), 0.3, {10}),
        ((20, 20, 20), 0.1, {20}),
        ((50, 40), 0.1, {40}),
        ((80, 6, 4, 10), 0.1, {10}),
        ((1, 1), 0.9, {1}),
    ],
)
def test_no_group_beyond_the_share_is_set_aside_while_another_fits(sizes, share, expected):
    data = [labelled("OH", 100 * g + k, mol=str(g)) for g, size in enumerate(sizes) for k in range(size)]
    way = ValidationSettings(share, "key", "mol")
    splits = [split_validation(data, way, seed) for seed in range(6)]
    assert {len(aside) for _, aside in splits} == expected
    assert splits[3] == split_validation(data, way, 3)


def test_a_structure_without_the_key_is_named_by_its_frame():
    data = [labelled("OH", 0, mol="a"), replace(labelled("OH", 1), where="a.xyz frame 8")]
    with pytest.raises(InputError, match=r"a\.xyz frame 8 has no entry 'mol'"):
        split_validation(data, ValidationSettings(0.5, "key", "mol"), 0)


def test_random_frames_follow_the_seed():
    way = ValidationSettings(0.1, "random")
    assert split_validation(TWO_RUNS, way, 3) == split_validation(TWO_RUNS, way, 3)
    assert len(split_validation(TWO_RUNS, way, 3)[1]) == 3


def test_nothing_is_set_aside_unless_asked():
    assert split_validation(TWO_RUNS, ValidationSettings(), 0) == (list(range(30)), [])


def test_above_fifty_labels_a_tenth_is_set_aside_unless_said_otherwise():
    many = [labelled("OH", k) for k in range(40)] + [labelled("OHH", k) for k in range(20)]
    assert len(split_validation(many, ValidationSettings(), 0)[1]) == 6
    assert split_validation(many, ValidationSettings(0.0), 0)[1] == []


def test_short_trajectories_still_give_one():
    each = [labelled(formula) for formula in ("OH", "OHH", "OOH")]
    assert len(split_validation(each, ValidationSettings(0.1), 0)[1]) == 1


@pytest.mark.parametrize(("formulas", "frames"), [(200, 4), (400, 1), (60, 3)])
def test_many_short_trajectories_give_their_share_together(formulas, frames):
    data = [labelled(f"OH{k + 1}", j) for k in range(formulas) for j in range(frames)]
    _, aside = split_validation(data, ValidationSettings(0.1), 0)
    assert abs(len(aside) - 0.1 * len(data)) <= 1
    # of different trajectories, the last frames of each
    assert len({data[k].atoms.get_chemical_formula() for k in aside}) == len(aside)
    assert all(k % frames == frames - 1 for k in aside)


def test_a_large_share_of_few_leaves_one_to_train_on():
    assert split_validation(TWO_RUNS[:5], ValidationSettings(0.9), 0) == ([0], [1, 2, 3, 4])
    assert split_validation([TWO_RUNS[0], TWO_RUNS[20]], ValidationSettings(0.9), 0) == ([0], [1])


@pytest.mark.parametrize("settings", [{"by": "trajectory"}, {"by": "random"}, {"by": "key", "key": "run"}])
@pytest.mark.parametrize("order", ["one after another", "side by side"])
def test_repeats_stay_on_one_side(settings, order):
    number = [k % 30 if order == "one after another" else k // 2 for k in range(60)]
    train, aside = split_validation([TWO_RUNS[k] for k in number], ValidationSettings(0.2, **settings), 0)
    assert {number[k] for k in aside}.isdisjoint({number[k] for k in train})
    assert sorted(train + aside) == list(range(60))
    assert len(aside) == (12 if settings["by"] != "key" else 2 * len({number[k] for k in aside}))


@pytest.mark.parametrize(
    ("data", "settings", "words"),
    [
        (TWO_RUNS[:1], {"share": 0.5}, "leaves 0 to train on and 1 aside"),
        (TWO_RUNS[:20], {"share": 0.5, "by": "key", "key": "run"}, "in 1 groups leaves 20 to train on and 0 aside"),
        (TWO_RUNS, {"share": 0.5, "by": "key", "key": "runs"}, "did you mean 'run'"),
        (TWO_RUNS, {"share": 0.5, "by": "key"}, "needs validation.key"),
        (TWO_RUNS, {"share": 1.0}, "expected 0 to below 1"),
        (TWO_RUNS, {"share": 0.1, "by": "rnadom"}, "did you mean 'random'"),
        (TWO_RUNS, {"share": 0.1, "by": "random", "key": "run"}, "leave it out"),
    ],
)
def test_bad_splits_are_explained(data, settings, words):
    with pytest.raises(InputError, match=words):
        split_validation(data, ValidationSettings(**settings), 0)
