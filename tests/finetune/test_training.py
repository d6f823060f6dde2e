"""Beyond the plain fine-tune: validation, patience, plateaus, replay, low rank, reference energies, members side by side."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose, assert_array_equal

from jaxft.errors import InputError
from jaxft.finetune.batches import batch_plan
from jaxft.finetune.fit import Extras, fit, fit_members
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.predict_set import predict_set
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.step import COMPILATIONS
from jaxft.finetune.training import rate_after

QUICK = FinetuneSettings(updates=40, batch_size=4, learning_rate=5e-3, seed=1, validate_every=10)


class KilledError(Exception):
    """Stands for the end of the process."""


def leaves_equal(a, b):
    jax.tree.map(assert_array_equal, a, b)


def loss_of(potential, data):
    """The loss of QUICK's weights, computed apart."""
    said = predict_set(potential, [item.atoms for item in data])
    energy = np.mean([((e - x.energy) / len(x.atoms)) ** 2 for e, x in zip(said.energies, data, strict=True)])
    forces = np.mean(np.concatenate([f - x.forces for f, x in zip(said.forces, data, strict=True)]) ** 2)
    return QUICK.weights.energy * energy + QUICK.weights.forces * forces


@pytest.fixture(scope="module")
def spoiled(labels):
    """Validation structures whose labels contradict the training labels: the more is learned, the worse."""
    return [replace(item, forces=-item.forces) for item in labels]


def test_the_parameters_of_the_best_check_are_handed_back(student, labels, spoiled):
    result = fit(student, labels, QUICK, extras=Extras(validation=spoiled))
    assert result.validation.shape == (5,)
    assert_array_equal(result.checked_at, [0, 10, 20, 30, 40])
    assert result.best_update == 10 * int(np.argmin(result.validation))
    early = fit(student, labels, replace(QUICK, updates=40), extras=Extras(validation=spoiled, isolated=None), chunk=7)
    leaves_equal(early.potential.params, result.potential.params)
    assert_allclose(loss_of(result.potential, spoiled), result.validation.min(), rtol=1e-3)


def test_a_fit_that_fails_hands_back_the_parameters_of_its_best_check(student, labels, spoiled):
    forces = labels[2].forces.copy()
    forces[0, 0] = 1e30  # finite as a label, infinite when squared in float32
    broken = [*labels * 20, replace(labels[2], forces=forces)]
    # the seed puts the broken one behind the first check
    result = fit(student, broken, replace(QUICK, seed=2), extras=Extras(validation=spoiled))
    assert result.failure is not None
    assert result.failure.structures == (80,)
    assert result.failure.update >= result.best_update == 10
    assert_allclose(loss_of(result.potential, spoiled), result.validation[1], rtol=1e-3)


def test_where_nothing_is_better_on_the_validation_structures_the_start_is_handed_back(
    student, labels, boxes, label_with
):
    right_before = Extras(validation=label_with(student, boxes))
    result = fit(student, labels, replace(QUICK, reference_energies="keep"), extras=right_before)
    assert result.failure is None
    assert result.validation[0] < 1e-9 < result.validation[1:].min()
    assert result.best_update == 0
    leaves_equal(result.potential.params, student.params)


def test_a_fit_that_fails_without_validation_hands_back_the_best_by_training_loss(student, labels):
    forces = labels[2].forces.copy()
    forces[0, 0] = 1e30
    broken = [*labels * 20, replace(labels[2], forces=forces)]
    plan = replace(QUICK, seed=next(s for s in range(99) if 80 in batch_plan(81, 4, 20, s)[16:18]))
    good, runaway = (fit(student, broken, replace(plan, learning_rate=rate), chunk=5) for rate in (5e-3, 1e2))
    for result in (good, runaway):
        assert result.failure is not None
        assert len(result.validation) == 0
    # the last chunk of which an update was done began with the parameters of update 15
    assert good.best_update == 15
    assert evaluate_set(good.potential, labels).forces_mev.rmse < 0.9 * evaluate_set(student, labels).forces_mev.rmse
    # at this rate nothing was better than the start
    assert runaway.best_update == 0
    leaves_equal(runaway.potential.params, student.params)


def test_patience_ends_training_and_resuming_ends_it_alike(student, labels, spoiled, tmp_path):
    settings = replace(QUICK, updates=400, patience=2, learning_rate=2e-2)
    extras = Extras(validation=spoiled)
    whole = fit(student, labels, settings, extras=extras)
    assert len(whole.history["loss"]) < 400
    assert len(whole.validation) == 3 + int(np.argmin(whole.validation))

    def kill(advance):
        if advance.update == 20:
            raise KilledError

    file = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        fit(student, labels, settings, extras=extras, checkpoint=file, on_progress=kill)
    resumed = fit(student, labels, settings, extras=extras, checkpoint=file)
    leaves_equal(resumed.potential.params, whole.potential.params)
    leaves_equal(resumed.validation, whole.validation)


def test_the_learning_rate_is_halved_on_a_plateau(student, labels, spoiled):
    assert [
        rate_after(np.array(losses), 2) for losses in ([], [3.0, 2.0], [1, 2, 2], [1, 2, 2, 2], [1, 2, 2, 2, 2])
    ] == [
        1.0,
        1.0,
        0.5,
        0.5,
        0.25,
    ]
    # nothing is learned at this rate, so that no check is better than the start
    settings = replace(QUICK, schedule="plateau", plateau_checks=1, warmup_fraction=0.0, learning_rate=1e-30)
    rates = fit(student, labels, settings, extras=Extras(validation=spoiled)).history["learning_rate"]
    assert_allclose(rates / 1e-30, [1.0] * 10 + [0.5] * 10 + [0.25] * 10 + [0.125] * 10, rtol=1e-6)


@pytest.mark.parametrize("change", [{"patience": 3}, {"schedule": "plateau"}])
def test_what_needs_validation_structures_is_refused_without(student, labels, change):
    with pytest.raises(InputError, match="needs validation structures"):
        fit(student, labels, replace(QUICK, **change))


def test_replay_keeps_what_the_base_knew(student, labels, boxes, label_with):
    moved = []
    for seed, atoms in enumerate(boxes * 3):
        moved.append(atoms.copy())
        moved[-1].rattle(0.3, seed=seed)
    own = label_with(student, moved)
    settings = replace(QUICK, updates=150, learning_rate=1e-2, replay_weight=3.0, replay_batch=6)
    plain = fit(student, labels, settings)
    kept = fit(student, labels, settings, extras=Extras(replay=own))
    # at the base's own reference energies: forgetting is about interactions
    forgotten, remembered = (evaluate_set(r.potential, own).forces_mev.rmse for r in (plain, kept))
    assert remembered < 0.5 * forgotten
    assert kept.potential.provenance["replay_sha256"]


def test_replay_labels_count_from_the_reference_energies_of_the_base(student, labels, label_with, boxes):
    # a base that is already right on its own labels has no loss from replay, whatever the offset of the new labels
    far = [replace(item, energy=item.energy + 1000.0 * len(item.atoms)) for item in labels]
    settings = replace(QUICK, updates=1, learning_rate=1e-12)
    with_replay = fit(student, far, settings, extras=Extras(replay=label_with(student, boxes)), dtype="float64")
    without = fit(student, far, settings, dtype="float64")
    assert_allclose(with_replay.history["loss"], without.history["loss"], rtol=1e-9)


def test_weights_of_structures_count(student, labels):
    settings = replace(QUICK, updates=1, learning_rate=1e-12)
    losses = [fit(student, [item], settings, dtype="float64").history["forces"][0] for item in labels]
    one = fit(student, labels, settings, extras=Extras(weights=[0.0, 0.0, 2.0, 0.0]), dtype="float64").history[
        "forces"
    ][0]
    share = len(labels[2].atoms) / sum(len(item.atoms) for item in labels)
    assert_allclose(one, 2.0 * losses[2] * share, rtol=1e-9)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0, 1.0, 1.0], [0.0] * 4, [np.nan] * 4])
def test_bad_weights_of_structures_are_refused(student, labels, weights):
    with pytest.raises(InputError, match="weight"):
        fit(student, labels, QUICK, extras=Extras(weights=weights))


@pytest.mark.parametrize("method", ["lora", "frozen"])
def test_low_rank_and_frozen_fine_tunes_learn_and_leave_the_rest_alone(student, labels, method):
    options = {"lora": {"lora_rank": 2}, "frozen": {"frozen": ("readout",)}}[method]
    settings = replace(QUICK, updates=200, learning_rate=1e-2, method=method, **options)
    result = fit(student, labels, settings)
    assert evaluate_set(result.potential, labels).forces_mev.rmse < 0.7 * evaluate_set(student, labels).forces_mev.rmse
    before, after = student.params["params"], result.potential.params["params"]
    assert jax.tree.structure(before) == jax.tree.structure(after)
    # one-channel maps have no room for a low rank; vectors of norms are no maps
    leaves_equal(after["readout"], before["readout"])


def test_reference_energies_are_kept_given_or_those_of_isolated_atoms(student, labels):
    one = replace(QUICK, updates=1)
    kept = fit(student, labels, replace(one, reference_energies="keep"))
    assert_array_equal(kept.potential.reference_energies, student.reference_energies)
    given = fit(student, labels, replace(one, reference_energies={"H": -10.0, "O": -400.0}))
    assert_allclose(given.potential.reference_energies, [-10.0, -400.0], rtol=1e-12)
    isolated = fit(
        student,
        labels,
        replace(one, reference_energies="isolated"),
        extras=Extras(isolated={1: -11.0, 8: -401.0}),
        dtype="float64",
    )
    before = replace(student, reference_energies=isolated.potential.reference_energies)
    from ase import Atoms

    assert_allclose(predict_set(before, [Atoms("H"), Atoms("O")], dtype="float64").energies, [-11.0, -401.0], atol=1e-9)
    # elements that the labels lack are shifted too: other sets may have them
    molecule = Atoms("H2", positions=[[0, 0, 0], [0.8, 0, 0]])
    hydrogen = [replace(labels[0], atoms=molecule, forces=np.zeros((2, 3)), stress=None)] * 2
    far = fit(student, hydrogen, replace(one, reference_energies={"H": -10.0, "O": -400.0}))
    assert_allclose(far.potential.reference_energies, [-10.0, -400.0], rtol=1e-12)
    with pytest.raises(InputError, match="no energy of O"):
        fit(student, labels, replace(one, reference_energies={"H": -10.0}))
    with pytest.raises(InputError, match="no energy of H, O"):
        fit(student, labels, replace(one, reference_energies="isolated"))


def test_members_side_by_side_are_what_they_are_alone(student, labels, spoiled):
    many = [
        replace(QUICK, updates=12, seed=seed, learning_rate=rate) for seed, rate in ((1, 1e-3), (2, 5e-3), (1, 5e-3))
    ]
    extras = Extras(validation=spoiled)
    COMPILATIONS.clear()
    together = fit_members(student, labels, many, extras=extras)
    assert set(COMPILATIONS.values()) == {1}
    for settings, result in zip(many, together, strict=True):
        alone = fit(student, labels, settings, extras=extras)
        jax.tree.map(
            lambda a, b: assert_allclose(a, b, rtol=2e-3, atol=2e-4), result.potential.params, alone.potential.params
        )
        assert_allclose(result.validation, alone.validation, rtol=1e-3)
        assert result.potential.provenance["settings"] == alone.potential.provenance["settings"]


def test_a_member_whose_patience_ends_first_stays_what_it_is_alone(student, labels):
    # a rate that changes nothing in float32 never improves; the other improves to the end
    few = {"updates": 60, "patience": 2, "schedule": "constant"}
    many = [replace(QUICK, **few, learning_rate=rate) for rate in (1e-12, 1e-3)]
    extras = Extras(validation=labels)
    together = fit_members(student, labels, many, extras=extras)
    alone = [fit(student, labels, one, extras=extras) for one in many]
    assert [len(one.validation) for one in alone] == [3, 7]
    for beside, result in zip(together, alone, strict=True):
        assert beside.best_update == result.best_update
        assert len(beside.validation) == len(result.validation)
        assert len(beside.history["loss"]) == len(result.history["loss"])
        assert beside.potential.provenance["updates_done"] == result.potential.provenance["updates_done"]
        jax.tree.map(
            lambda a, b: assert_allclose(a, b, rtol=2e-3, atol=2e-4), beside.potential.params, result.potential.params
        )


def test_what_happens_to_a_member_after_its_patience_ended_is_not_its_failure(student, labels):
    poison = replace(labels[0], forces=labels[0].forces + 1e30)
    data = [*labels * 10, poison]
    late = 16
    assert 40 in batch_plan(41, 1, 40, late)[32:]
    few = {"updates": 40, "batch_size": 1, "patience": 1, "schedule": "constant", "reference_energies": "keep"}
    # a rate that changes nothing in float32 never improves
    ended = replace(QUICK, **few, learning_rate=1e-12, seed=late)
    # this one improves to the end, and its batches never come to the poison
    going = replace(ended, learning_rate=1e-3, seed=next(s for s in range(99) if 40 in batch_plan(41, 1, 41, s)[40:]))
    extras = Extras(validation=labels)
    together = fit_members(student, data, [ended, going], extras=extras)
    alone = [fit(student, data, one, extras=extras) for one in (ended, going)]
    assert [len(one.validation) for one in together] == [len(one.validation) for one in alone] == [2, 5]
    assert [one.failure for one in together] == [one.failure for one in alone] == [None, None]


def test_a_fit_of_mixed_sizes_compiles_once_for_each_bucket(student, labels, label_with, teacher, boxes):
    mixed = labels + label_with(teacher, [boxes[2].repeat((2, 2, 1))])
    COMPILATIONS.clear()
    fit(student, mixed, replace(QUICK, updates=10, batch_size=1))
    assert len(COMPILATIONS) == 2
    assert set(COMPILATIONS.values()) == {1}


@pytest.mark.slow
def test_members_side_by_side_on_mixed_sizes_are_what_they_are_alone(student, labels, label_with, teacher, boxes):
    mixed = labels + label_with(teacher, [atoms.repeat((2, 2, 1)) for atoms in boxes])
    many = [replace(QUICK, updates=30, batch_size=2, learning_rate=1e-3, seed=seed) for seed in (0, 1)]
    for one, result in zip(many, fit_members(student, mixed, many), strict=True):
        jax.tree.map(
            lambda a, b: assert_allclose(a, b, rtol=2e-3, atol=2e-4),
            result.potential.params,
            fit(student, mixed, one).potential.params,
        )


def test_structures_without_any_neighbor_are_trained_on(student, label_with, teacher):
    far = [Atoms("HO", positions=[[0, 0, 0], [20.0 + k, 0, 0]]) for k in range(3)]
    result = fit(student, label_with(teacher, far, stress=False), replace(QUICK, updates=4))
    assert result.failure is None
    assert result.offset.to_json()


def test_members_that_differ_in_what_is_compiled_are_refused(student, labels):
    with pytest.raises(InputError, match=r"differ in finetune.loss \('squared' and 'huber'\)"):
        fit_members(student, labels, [QUICK, replace(QUICK, loss="huber")])


def test_bootstrapped_members_see_samples_drawn_with_replacement(student, labels, tmp_path):
    members = [replace(QUICK, updates=8, batch_size=1, learning_rate=1e-30, seed=seed) for seed in range(3)]
    file = tmp_path / "state.safetensors"
    results = fit_members(student, labels, members, bootstrap=True, chunk=4, checkpoint=file)
    seen = [len(set(np.round(r.history["loss"], 5))) for r in results]
    assert min(seen) < 4
    again = fit_members(student, labels, members, bootstrap=True, chunk=4, checkpoint=file)
    for a, b in zip(results, again, strict=True):
        leaves_equal(a.potential.params, b.potential.params)
        leaves_equal(a.history, b.history)


def test_one_member_that_fails_leaves_the_others_alone(student, labels):
    settings = replace(QUICK, schedule="constant", warmup_fraction=0.0, ema_decay=0.0)
    wild = replace(settings, learning_rate=1e20)
    good, bad = fit_members(student, labels, [settings, wild], extras=Extras(validation=labels))
    assert_array_equal(good.checked_at, [0, 10, 20, 30, 40])
    # checks behind the failure are the others'
    assert_array_equal(bad.checked_at, [0, bad.failure.update])
    assert len(bad.validation) == 2
    assert good.failure is None
    assert len(good.history["loss"]) == 40
    assert bad.failure is not None
    assert len(bad.history["loss"]) == bad.failure.update < 40
    alone = fit(student, labels, settings, extras=Extras(validation=labels))
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=2e-3, atol=2e-4), good.potential.params, alone.potential.params
    )


@pytest.mark.parametrize("loss", ["huber", "l1"])
def test_robust_losses_learn_too(student, labels, loss):
    settings = replace(QUICK, updates=200, learning_rate=1e-2, loss=loss, huber_delta=0.05)
    result = fit(student, labels, settings)
    assert evaluate_set(result.potential, labels).forces_mev.mae < 0.5 * evaluate_set(student, labels).forces_mev.mae


def test_an_outlier_pulls_less_under_huber(student, labels):
    forces = labels[0].forces.copy()
    forces[0, 0] += 50.0
    broken = [replace(labels[0], forces=forces), *labels[1:]]
    settings = replace(QUICK, updates=300, learning_rate=1e-2, gradient_clip=None)
    found = [
        evaluate_set(fit(student, broken, replace(settings, loss=loss)).potential, labels[1:]).forces_mev.rmse
        for loss in ("squared", "huber")
    ]
    assert found[1] < 0.5 * found[0]
