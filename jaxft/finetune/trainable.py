"""Which parameters are trained: a label for each leaf of the parameter tree, ``trained`` or ``frozen``.

The labels are what ``optax.partition`` takes, so that another way to choose (patterns, groups with learning rates of
their own) is another function that labels, and nothing else changes.
"""

from typing import Any

import jax

from jaxft.errors import InputError, nearest
from jaxft.finetune.settings import METHODS

TRAINED = "trained"
FROZEN = "frozen"


def label_parameters(params: Any, method: str) -> Any:
    """A tree like ``params`` with ``trained`` or ``frozen`` for each array.

    ``full``: everything is trained. ``readout``: only the last linear map, from features to energies (the parameters
    under ``params/readout``); InputError where the network has none.
    """
    if method == "full":
        return jax.tree.map(lambda _: TRAINED, params)
    if method == "readout":
        labels = jax.tree_util.tree_map_with_path(
            lambda path, _: TRAINED if _names(path)[:2] == ("params", "readout") else FROZEN, params
        )
        if TRAINED not in jax.tree.leaves(labels):
            parts = ", ".join(sorted(params["params"]))
            raise InputError(
                f"method 'readout' needs a network with a readout, but this one has only {parts}; use 'full'"
            )
        return labels
    raise InputError(f"unknown method {method!r}; expected one of {', '.join(METHODS)}{nearest(method, METHODS)}")


def count_trained(params: Any, labels: Any) -> int:
    """How many numbers are trained."""
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(labels), strict=True)
    return sum(int(leaf.size) for leaf, label in pairs if label == TRAINED)


def _names(path: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(getattr(key, "key", key)) for key in path)
