"""Buying labels until a budget is reached: candidates in order, refused ones replaced by the next, and never without end."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ase import Atoms

from jaxft.structures.dataset import LabelledStructure

PATIENCE = 2
"""Labels bought at most, as a multiple of the budget: where half are refused something is wrong with more than a frame."""


@dataclass(frozen=True, eq=False)
class Accepted:
    """What was bought.

    labelled  (number among the candidates, labelled structure) of each accepted one, in the order of the candidates
    refusals  why the others were not
    """

    labelled: Sequence[tuple[int, LabelledStructure]]
    refusals: Sequence[str]

    def why_too_few(self, wanted: int, candidates: int) -> str:
        """One sentence on a budget that was not reached: the commonest refusal, or too few frames."""
        told = f"accepted {len(self.labelled)} labels of the {wanted} asked for, out of {candidates} frames"
        if not self.refusals:
            return f"{told}; run longer (md.produce_ps), or lower the budgets"
        reason, count = Counter(self.refusals).most_common(1)[0]
        return f"{told}; {len(self.refusals)} were refused, {count} of them because: {reason}"


def accept_labels(
    candidates: Sequence[Atoms], budget: int, label: Callable[[Sequence[Atoms]], list[LabelledStructure | str]]
) -> Accepted:
    """Buy labels of the candidates in order until ``budget`` are accepted, the candidates run out, or patience does.

    label: labelled structures, or why one is refused. Labels are bought in rounds of what is missing, so that none is bought
    beyond the budget; in all at most ``PATIENCE`` times the budget are bought.
    """
    labelled: list[tuple[int, LabelledStructure]] = []
    refusals: list[str] = []
    end = min(len(candidates), PATIENCE * budget)
    position = 0
    while len(labelled) < budget and position < end:
        chosen = range(position, min(position + budget - len(labelled), end))
        for k, found in zip(chosen, label([candidates[k] for k in chosen]), strict=True):
            if isinstance(found, str):
                refusals.append(found)
            else:
                labelled.append((k, found))
        position = chosen.stop
    return Accepted(labelled, refusals)
