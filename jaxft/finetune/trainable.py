"""Which parameters are trained, and how fast: a label and a factor on the learning rate for each leaf of the parameter tree.

The labels are what ``optax.partition`` takes, so that another way to choose is another function that labels, and nothing else
changes.
"""

from dataclasses import dataclass
from typing import Any

import jax

from jaxft.errors import InputError
from jaxft.finetune.lora import LORA, add_lora
from jaxft.finetune.patterns import check_patterns, fits
from jaxft.finetune.settings import FinetuneSettings

TRAINED = "trained"
FROZEN = "frozen"
LORA_RANK = 4


@dataclass(frozen=True)
class Trainable:
    """What is trained, as FinetuneSettings has it: hashable, since the compiled program depends on it.

    method  ``full``, ``frozen``, ``lora`` or ``readout``
    frozen  patterns of parameters that stay
    rank    of low-rank additions; 0 where there are none
    rates   (pattern, factor on the learning rate); the last that fits counts
    """

    method: str = "full"
    frozen: tuple[str, ...] = ()
    rank: int = 0
    rates: tuple[tuple[str, float], ...] = ()


def trainable_of(settings: FinetuneSettings) -> Trainable:
    """What the settings ask to train."""
    rank = (settings.lora_rank or LORA_RANK) if settings.method == "lora" else 0
    return Trainable(settings.method, settings.frozen, rank, tuple(settings.rates.items()))


def tree_to_train(params: Any, trainable: Trainable, seed: int) -> Any:
    """The tree that training works on: the parameters, and low-rank additions beside them where those are trained.

    Raises InputError for patterns that fit no parameter, and for a choice that leaves nothing to train.
    """
    names = [name for name, _ in _named(params)]
    check_patterns(trainable.frozen, names, "finetune.frozen")
    check_patterns([pattern for pattern, _ in trainable.rates], names, "finetune.rates")
    tree = add_lora(params, trainable.rank, seed) if trainable.rank else params
    if TRAINED not in jax.tree.leaves(label_parameters(tree, trainable)):
        parts = ", ".join(sorted(params["params"]))
        what = "network with a readout" if trainable.method == "readout" else "parameter that no pattern freezes"
        raise InputError(f"method {trainable.method!r} needs a {what}, but this one has only {parts}; use 'full'")
    return tree


def label_parameters(tree: Any, trainable: Trainable) -> Any:
    """A tree like ``tree`` with ``trained`` or ``frozen`` for each array.

    ``full``: everything. ``frozen``: everything that no pattern fits. ``lora``: the low-rank additions alone. ``readout``: the
    parameters under ``readout``, the last map from features to energies.
    """

    def label(name: str) -> str:
        added = name.startswith(f"{LORA}/")
        trained = {
            "full": True,
            "frozen": not any(fits(pattern, name) for pattern in trainable.frozen),
            "lora": added,
            "readout": fits("readout", name),
        }
        return TRAINED if trained[trainable.method] else FROZEN

    return _map_names(label, tree)


def rate_factors(tree: Any, trainable: Trainable) -> Any:
    """A tree like ``tree`` with the factor on the learning rate of each array; 1 where no pattern fits."""

    def factor(name: str) -> float:
        if name.startswith(f"{LORA}/"):
            name = name.removeprefix(f"{LORA}/").rsplit("/", 1)[0]
        return next((value for pattern, value in reversed(trainable.rates) if fits(pattern, name)), 1.0)

    return _map_names(factor, tree)


def count_trained(tree: Any, labels: Any) -> int:
    """How many numbers are trained."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(labels), strict=True)
    return sum(int(leaf.size) for leaf, label in pairs if label == TRAINED)


def parameter_names(params: Any) -> list[str]:
    """Names of all parameters, as patterns see them."""
    return [name for name, _ in _named(params)]


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(_name(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]


def _map_names(of_name: Any, tree: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, _: of_name(_name(path)), tree)


def _name(path: tuple[Any, ...]) -> str:
    """``layer_0/linear/0e`` of a parameter, ``lora/layer_0/linear/0e/a`` of an addition: the collection's name is left off."""
    keys = [str(getattr(key, "key", key)) for key in path]
    return "/".join(keys[1:] if keys[0] == "params" else keys)
