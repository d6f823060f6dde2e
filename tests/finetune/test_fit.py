"""A whole fine-tune: what it learns, what it leaves alone, how it stops and how it goes on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxft
from jaxft.errors import InputError
from jaxft.finetune.batches import batch_plan
from jaxft.finetune.fit import Extras, fit
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.predict_set import predict_set
from jaxft.finetune.settings import FinetuneSettings, LossWeights

QUICK = FinetuneSettings(updates=45, batch_size=4, learning_rate=5e-3, seed=1)


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def uninterrupted(student, labels):
    """A fit of 45 updates in chunks of 20."""
    return fit(student, labels, QUICK, chunk=20)


def leaves_equal(a, b):
    jax.tree.map(assert_array_equal, a, b)


def test_four_structures_are_overfitted(student, labels):
    settings = FinetuneSettings(updates=500, batch_size=4, learning_rate=2e-2, gradient_clip=None)
    result = fit(student, labels, settings, chunk=20)
    before, after = evaluate_set(student, labels), evaluate_set(result.potential, labels)
    assert result.failure is None
    assert result.history["loss"].shape == (500,)
    assert result.history["loss"][-1] < 1e-3 * result.history["loss"][0]
    assert after.forces_mev.rmse < 0.05 * before.forces_mev.rmse
    assert after.energy_mev.rmse < 30.0


def test_stress_is_learned_where_it_has_weight(student, labels):
    weights = LossWeights(energy=0.0, forces=0.0, stress=1e4)
    settings = FinetuneSettings(updates=100, batch_size=4, learning_rate=1e-2, weights=weights)
    result = fit(student, labels, settings, chunk=20)
    assert_array_equal(result.history["loss"], result.history["stress"])
    assert evaluate_set(result.potential, labels).stress_mev.rmse < 0.2 * evaluate_set(student, labels).stress_mev.rmse


def test_readout_changes_only_the_readout(student, labels):
    settings = replace(QUICK, method="readout", weight_decay=0.1)
    trained = fit(student, labels, settings, chunk=20).potential.params["params"]
    before = student.params["params"]
    assert (trained["readout"]["0e"] != np.asarray(before["readout"]["0e"])).all()
    for name in before:
        if name != "readout":
            leaves_equal(trained[name], before[name])


def test_parent_and_its_parameters_survive(student, labels, uninterrupted):
    # training overwrites its own buffers; the parent's must not be among them
    on_device = replace(student, params=jax.tree.map(jnp.asarray, student.params))
    result = fit(on_device, labels, QUICK, chunk=20)
    leaves_equal(on_device.params, student.params)
    leaves_equal(result.potential.params, uninterrupted.potential.params)


def test_planted_shifts_are_recovered_through_the_base(student, boxes, label_with):
    own = label_with(student, boxes)
    counts = [(np.sum(x.atoms.numbers == 1), np.sum(x.atoms.numbers == 8)) for x in own]
    shifted = [replace(x, energy=x.energy + 7.0 * h - 2040.0 * o) for x, (h, o) in zip(own, counts, strict=True)]
    result = fit(student, shifted, replace(QUICK, updates=1), dtype="float64", chunk=2)
    assert_allclose(result.potential.reference_energies - student.reference_energies, [7.0, -2040.0], atol=1e-8)


def test_offset_of_the_parent_is_discarded(student, labels, uninterrupted):
    grown = fit(uninterrupted.potential, labels, replace(QUICK, updates=1), base=student)
    assert_allclose(grown.potential.reference_energies, uninterrupted.potential.reference_energies, rtol=1e-12)
    assert_array_equal(grown.offset.shifts, uninterrupted.offset.shifts)


def test_fine_tuning_goes_on_from_the_parent(student, labels, uninterrupted):
    grown = fit(uninterrupted.potential, labels, replace(QUICK, ema_decay=0.0), base=student, chunk=20)
    again = evaluate_set(uninterrupted.potential, labels).forces_mev.rmse
    assert evaluate_set(grown.potential, labels).forces_mev.rmse < again
    assert grown.history["loss"][0] < uninterrupted.history["loss"][0]


def test_base_of_another_network_is_refused(student, labels):
    with pytest.raises(InputError, match="different networks"):
        fit(student, labels, QUICK, base=replace(student, atomic_numbers=(8, 1)))


@pytest.mark.parametrize("survived", [1, 2])
def test_killed_fit_goes_on_bit_for_bit(student, labels, uninterrupted, tmp_path, survived):
    def kill(advance):
        if advance.update == 20 * survived:
            raise KilledError

    file = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        fit(student, labels, QUICK, chunk=20, checkpoint=file, on_progress=kill)
    seen = []
    resumed = fit(student, labels, QUICK, chunk=20, checkpoint=file, on_progress=lambda a: seen.append(a.update))
    assert seen == [40, 45][survived - 1 :]
    leaves_equal(resumed.potential.params, uninterrupted.potential.params)
    leaves_equal(resumed.history, uninterrupted.history)
    assert resumed.potential.provenance == uninterrupted.potential.provenance


def test_finished_fit_is_not_done_again(student, labels, uninterrupted, tmp_path):
    file = tmp_path / "state.safetensors"
    fit(student, labels, QUICK, chunk=20, checkpoint=file)
    seen = []
    again = fit(student, labels, QUICK, chunk=20, checkpoint=file, on_progress=seen.append)
    assert seen == []
    leaves_equal(again.potential.params, uninterrupted.potential.params)


@pytest.mark.parametrize(
    ("change", "named"), [({"learning_rate": 1e-3}, "settings"), ({"seed": 2}, "settings"), ({}, "labels_sha256")]
)
def test_checkpoint_of_another_fit_is_refused(student, labels, tmp_path, change, named):
    file = tmp_path / "state.safetensors"
    fit(student, labels, replace(QUICK, updates=1), chunk=20, checkpoint=file)
    others = labels if change else [*labels[:3], replace(labels[3], energy=labels[3].energy + 1e-9)]
    before = file.read_bytes()
    with pytest.raises(InputError, match=f"belongs to another fit: {named}"):
        fit(student, others, replace(QUICK, updates=1, **change), chunk=20, checkpoint=file)
    assert file.read_bytes() == before


def test_checkpoint_of_a_fit_with_weights_is_not_that_of_one_without(student, labels, tmp_path):
    file = tmp_path / "state.safetensors"
    extras = Extras(weights=[2.0, 1.0, 1.0, 1.0])
    fit(student, labels, replace(QUICK, updates=1), chunk=20, checkpoint=file, extras=extras)
    with pytest.raises(InputError, match=r"belongs to another fit: weights was .* is now None"):
        fit(student, labels, replace(QUICK, updates=1), chunk=20, checkpoint=file)


def test_damaged_checkpoint_is_refused(student, labels, tmp_path):
    file = tmp_path / "state.safetensors"
    file.write_bytes(b"not a checkpoint at all")
    with pytest.raises(InputError, match="is damaged"):
        fit(student, labels, QUICK, checkpoint=file)


def test_batch_larger_than_the_set_shrinks(student, labels, uninterrupted):
    result = fit(student, labels, replace(QUICK, batch_size=50), chunk=20)
    # the provenance says what was asked for; the numbers are those of a batch of four
    leaves_equal(result.potential.params, uninterrupted.potential.params)


def test_one_structure_is_enough(student, labels):
    result = fit(student, labels[:1], replace(QUICK, updates=2), chunk=2)
    assert result.failure is None
    assert result.offset.undetermined == ("H", "O")


def test_nan_label_is_refused_before_any_work(student, labels, tmp_path):
    broken = [*labels[:3], replace(labels[3], forces=labels[3].forces * np.nan)]
    with pytest.raises(InputError, match=r"structure 3 \(HO2\) has forces that are not finite"):
        fit(student, broken, QUICK, checkpoint=tmp_path / "state.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_missing_stress_with_weight_is_refused(student, labels):
    bare = [replace(item, stress=None) for item in labels]
    with pytest.raises(InputError, match=r"structure 0 .* has no stress"):
        fit(student, bare, replace(QUICK, weights=LossWeights(stress=1.0)))


def test_infinite_loss_stops_and_names_the_structure(student, labels):
    forces = labels[2].forces.copy()
    forces[0, 0] = 1e30  # finite as a label, infinite when squared in float32
    broken = [*labels[:2], replace(labels[2], forces=forces), labels[3]]
    result = fit(student, broken, QUICK, chunk=20)
    assert result.failure is not None
    assert result.failure.structures == (2,)
    assert result.failure.update == 0
    assert "structure 2" in result.failure.reason
    assert len(result.history["loss"]) == result.failure.update
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.potential.params))
    assert result.potential.provenance["failure"] == result.failure.reason


def test_runaway_learning_rate_leaves_finite_parameters(student, labels):
    settings = replace(QUICK, learning_rate=1e20, schedule="constant", warmup_fraction=0.0, ema_decay=0.0)
    result = fit(student, labels, settings, chunk=20)
    assert result.failure is not None
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.potential.params))


def test_provenance_tells_what_was_done(student, labels, uninterrupted, tmp_path):
    provenance = uninterrupted.potential.provenance
    assert FinetuneSettings.from_json(provenance["settings"]) == QUICK
    assert provenance["parent_sha256"] == provenance["base_sha256"]
    assert provenance["n_labels"] == 4
    assert provenance["updates_done"] == 45
    uninterrupted.potential.save(tmp_path)
    loaded = jaxft.load(tmp_path)
    assert loaded.provenance == provenance
    one = [labels[0].atoms]
    assert predict_set(loaded, one).energies == predict_set(uninterrupted.potential, one).energies


def test_double_precision_is_kept(student, labels):
    result = fit(student, labels, replace(QUICK, updates=2), dtype="float64", chunk=2)
    assert {leaf.dtype for leaf in jax.tree.leaves(result.potential.params)} == {np.dtype("float64")}


def test_order_of_batches_follows_the_seed(student, labels):
    settings = replace(QUICK, updates=4, batch_size=2)
    first, second, other = (
        fit(student, labels, replace(settings, seed=seed), chunk=20).history["loss"] for seed in (1, 1, 2)
    )
    assert_array_equal(first, second)
    assert (first != other).any()


def test_every_update_uses_the_batch_that_the_plan_says(student, labels):
    # nothing is learned at this rate, so that the loss tells the batch
    settings = replace(QUICK, batch_size=2, learning_rate=1e-30)
    losses = fit(student, labels, settings, chunk=20).history["loss"]
    pairs = [tuple(sorted(row)) for row in batch_plan(4, 2, 45, settings.seed).tolist()]
    of_pair = {pair: losses[pairs.index(pair)] for pair in pairs}
    assert len(set(np.round(list(of_pair.values()), 6))) == 6
    assert_allclose(losses, [of_pair[pair] for pair in pairs], rtol=1e-5)
