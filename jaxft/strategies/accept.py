"""Buying labels until a budget is reached: candidates in order, refused ones replaced by the next."""

from collections.abc import Callable, Sequence

from ase import Atoms

from jaxft.structures.dataset import LabelledStructure


def accept_labels(
    candidates: Sequence[Atoms], budget: int, label: Callable[[Sequence[Atoms]], list[LabelledStructure | None]]
) -> list[tuple[int, LabelledStructure]]:
    """The first ``budget`` candidates whose labels are accepted, each with its number among the candidates.

    Labels are bought in rounds of what is missing, so that no label is bought beyond the budget. Fewer come back where the
    candidates run out.
    """
    accepted: list[tuple[int, LabelledStructure]] = []
    position = 0
    while len(accepted) < budget and position < len(candidates):
        chosen = range(position, min(position + budget - len(accepted), len(candidates)))
        labels = label([candidates[k] for k in chosen])
        accepted += [(k, found) for k, found in zip(chosen, labels, strict=True) if found is not None]
        position = chosen.stop
    return accepted
