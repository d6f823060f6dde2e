"""Low-rank additions to linear layers: W' = W + A B, with A (in, r) and B (r, out) trained and W kept.

B starts at zero, so training starts at the parent; A is drawn from a normal distribution of variance 1/r, so that one step of Adam
moves W' about as far as it would move W. A leading axis, of weights for each element, is kept: each element has its own A and B.
Mixing channels of one irrep commutes with rotations whatever its rank, so an equivariant network stays equivariant.
Source: E. Hu et al., LoRA (arXiv 2106.09685), with α = r.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxft.errors import InputError

LORA = "lora"
"""Name of the additions in the tree that is trained, beside the parameters themselves."""

NOT_LINEAR = "products"
"""Weights of products of features (MACE's symmetric contraction): they multiply no vector of channels."""


def add_lora(params: Any, rank: int, seed: int) -> Any:
    """The tree with additions: ``{"params": ..., "lora": {name: {"a": ..., "b": ...}}}``.

    Every linear layer gets one whose smaller side exceeds the rank. Raises InputError where there is none.
    """
    generator = np.random.default_rng(seed)
    additions = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(params["params"])[0]:
        names = [str(key.key) for key in path]
        if leaf.ndim < 2 or min(leaf.shape[-2:]) <= rank or NOT_LINEAR in names:
            continue
        *lead, n_in, n_out = leaf.shape
        a = generator.normal(scale=rank**-0.5, size=(*lead, n_in, rank))
        additions["/".join(names)] = {
            "a": jnp.asarray(a, leaf.dtype),
            "b": jnp.zeros((*lead, rank, n_out), leaf.dtype),
        }
    if not additions:
        raise InputError(
            f"no linear layer of this network is larger than finetune.lora_rank = {rank}; choose a smaller rank"
        )
    return {**params, LORA: additions}


def merge_lora(tree: Any) -> Any:
    """The parameters with their additions added in: an ordinary tree, which the network takes. Without additions, itself."""
    if LORA not in tree:
        return tree
    additions = tree[LORA]

    def merged(path: Any, leaf: Any) -> Any:
        name = "/".join(str(key.key) for key in path)
        if name not in additions:
            return leaf
        # in full wherever it is called, compiled or not: what is saved must be what was trained (``compilation.py``)
        return leaf + jnp.matmul(additions[name]["a"], additions[name]["b"], precision="highest")

    rest = {key: value for key, value in tree.items() if key != LORA}
    return {**rest, "params": jax.tree_util.tree_map_with_path(merged, tree["params"])}
