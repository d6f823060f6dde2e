"""Products of float32 matrices are compiled in full precision: on a GPU, JAX would round their factors to ten bits."""

import re

import jax
import jax.numpy as jnp
from ase.build import molecule

from jaxft.compilation import compiled
from jaxft.finetune.lora import LORA, merge_lora
from jaxft.potential.evaluate import Evaluator, compiled_predict


def precisions(lowered) -> set[str]:
    """What the products of a program ask for."""
    products = [line for line in lowered.as_text().splitlines() if "dot_general" in line]
    asked = (re.search(r"precision = \[([^]]*)\]", line) for line in products)
    return {match.group(1) if match else "DEFAULT" for match in asked}


def test_products_and_their_gradients_are_in_full_precision():
    gradient = jax.grad(lambda a, b: jnp.sin(a @ b).sum(), argnums=(0, 1))
    a = jnp.ones((4, 4))
    # whatever another package set for the whole process
    with jax.default_matmul_precision("bfloat16"):
        assert precisions(compiled(gradient).lower(a, a)) == {"HIGHEST, HIGHEST"}


def test_forces_of_a_network_are_in_full_precision(tiny):
    evaluator = Evaluator(tiny)
    lowered = compiled_predict.lower(tiny.network, evaluator.params, evaluator.graph(molecule("H2O")))
    assert precisions(lowered) == {"HIGHEST, HIGHEST"}


def test_low_rank_additions_are_merged_in_full_precision():
    tree = {"params": {"w": jnp.ones((4, 4))}, LORA: {"w": {"a": jnp.ones((4, 1)), "b": jnp.ones((1, 4))}}}
    assert precisions(jax.jit(merge_lora).lower(tree)) == {"HIGHEST, HIGHEST"}
