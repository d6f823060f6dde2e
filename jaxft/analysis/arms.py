"""Which tested models belong together: the models of each strategy in the order of their budgets, without the base."""

from collections.abc import Sequence

from jaxft.analysis.residuals import ModelResult

FIRST = ("naive", "periodic")


def base_of(models: Sequence[ModelResult]) -> ModelResult | None:
    """The unmodified base, if it was tested."""
    return next((model for model in models if model.strategy == "base"), None)


def arms(models: Sequence[ModelResult]) -> dict[str, list[ModelResult]]:
    """Models by strategy, naive and periodic first, each by budget; without the base."""
    present = dict.fromkeys(model.strategy for model in models if model.strategy != "base")
    order = [name for name in FIRST if name in present] + [name for name in present if name not in FIRST]
    return {
        name: sorted((model for model in models if model.strategy == name), key=lambda model: model.budget)
        for name in order
    }


def in_order(models: Sequence[ModelResult]) -> list[ModelResult]:
    """The base first, then strategy by strategy."""
    first = [model for model in models if model.strategy == "base"]
    return first + [model for members in arms(models).values() for model in members]
