"""Which parameters are trained, by method and by pattern."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxft.errors import InputError
from jaxft.finetune.lora import add_lora, merge_lora
from jaxft.finetune.patterns import fits
from jaxft.finetune.trainable import (
    Trainable,
    count_trained,
    label_parameters,
    parameter_names,
    rate_factors,
    tree_to_train,
)


def labels_of(potential, **options):
    return label_parameters(potential.params, Trainable(**options))


def test_full_trains_everything(student):
    labels = labels_of(student)
    assert set(jax.tree.leaves(labels)) == {"trained"}
    assert count_trained(student.params, labels) == student.n_parameters


def test_readout_trains_the_last_map_only(student):
    labels = labels_of(student, method="readout")
    assert set(jax.tree.leaves(labels["params"]["readout"])) == {"trained"}
    assert count_trained(student.params, labels) == student.params["params"]["readout"]["0e"].size


def test_patterns_freeze_what_they_fit(student):
    labels = labels_of(student, method="frozen", frozen=("layer_0/skip", "layer_*/radial"))["params"]
    assert set(jax.tree.leaves(labels["layer_0"]["skip"])) == {"frozen"}
    assert set(jax.tree.leaves(labels["layer_0"]["radial"])) == {"frozen"}
    assert set(jax.tree.leaves(labels["readout"])) == {"trained"}
    assert set(jax.tree.leaves(labels["layer_0"]["linear_after"])) == {"trained"}


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("layer_0", "layer_0/radial/w0", True),
        ("layer_0", "layer_01/radial/w0", False),
        ("layer_*/w0", "layer_0/radial/w0", False),
        ("**/w0", "layer_0/radial/w0", True),
        ("layer_?/radial/*", "layer_1/radial/w1", True),
        ("w[0,0] 8x0e", "w[0,0] 8x0e", True),
        ("w[0,0]*", "w0", False),
        ("layer.0", "layer_0", False),
    ],
)
def test_patterns_are_literal_but_for_stars_and_question_marks(pattern, name, expected):
    assert fits(pattern, name) is expected


@pytest.mark.parametrize("where", ["frozen", "rates"])
def test_a_pattern_that_fits_nothing_is_refused_with_a_near_name(student, where):
    options = {"frozen": ("readuot",), "method": "frozen"} if where == "frozen" else {"rates": (("readuot", 0.1),)}
    with pytest.raises(InputError, match=f"finetune.{where} has 'readuot'.*did you mean 'readout'"):
        tree_to_train(student.params, Trainable(**options), 0)


def test_freezing_everything_is_refused(student):
    with pytest.raises(InputError, match="method 'frozen' needs a parameter that no pattern freezes"):
        tree_to_train(student.params, Trainable("frozen", ("**",)), 0)


def test_network_without_readout_is_refused():
    with pytest.raises(InputError, match="only body, head"):
        tree_to_train({"params": {"head": np.ones(2), "body": np.ones(2)}}, Trainable("readout"), 0)


def test_the_last_pattern_that_fits_gives_the_rate(student):
    rates = (("**", 0.5), ("layer_0", 0.1), ("layer_0/radial", 2.0))
    factors = rate_factors(student.params, Trainable(rates=rates))["params"]
    assert set(jax.tree.leaves(factors["readout"])) == {0.5}
    assert set(jax.tree.leaves(factors["layer_0"]["linear_after"])) == {0.1}
    assert set(jax.tree.leaves(factors["layer_0"]["radial"])) == {2.0}


def test_low_rank_additions_start_at_the_parent_and_are_merged_into_it(student):
    tree = tree_to_train(student.params, Trainable("lora", rank=2), seed=3)
    merged = merge_lora(tree)
    jax.tree.map(assert_array_equal, merged, student.params)
    labels = label_parameters(tree, Trainable("lora", rank=2))
    assert set(jax.tree.leaves(labels["params"])) == {"frozen"}
    assert set(jax.tree.leaves(labels["lora"])) == {"trained"}
    assert 0 < count_trained(tree, labels) < student.n_parameters
    name = max(tree["lora"], key=lambda n: tree["lora"][n]["b"].size)
    moved = jax.tree.map(np.array, tree)
    moved["lora"][name]["b"] += 0.1

    def leaf(params):
        for part in name.split("/"):
            params = params[part]
        return np.asarray(params, np.float64)

    change = leaf(merge_lora(moved)["params"]) - leaf(student.params["params"])
    assert np.linalg.matrix_rank(change, tol=1e-5) == 1
    assert_allclose(change, moved["lora"][name]["a"] @ moved["lora"][name]["b"], atol=1e-6)
    factors = rate_factors(tree, Trainable("lora", rank=2, rates=((name, 0.3),)))
    assert factors["lora"][name] == {"a": 0.3, "b": 0.3}


def test_a_rank_that_fits_no_layer_is_refused(student):
    with pytest.raises(InputError, match="choose a smaller rank"):
        add_lora(student.params, 4096, 0)


def test_names_are_paths(student):
    assert {"layer_0/radial/w0", "readout/0e"} <= set(parameter_names(student.params))
