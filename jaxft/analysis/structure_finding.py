"""Is the structure right: coordination and bond lengths of each strategy's last model against the reference's own dynamics.

Without such dynamics nothing is right or wrong. Diffusion is not judged: the runs of a study are short, and boxes small.
"""

from collections.abc import Sequence

from jaxft.analysis.coordination import Coordination
from jaxft.analysis.finding import TOLD_APART, Finding
from jaxft.analysis.structure_record import SetStructure, StructureRecord
from jaxft.analysis.wording import number, percent, with_error

QUESTION = "Is the structure right?"

REFERENCE = "common set"


def structure_finding(record: StructureRecord, models: Sequence[str]) -> Finding:
    """models: names of those to judge."""
    sets = {one.name: one for one in record.sets}
    reference = sets.get(REFERENCE)
    if reference is None:
        words = "There is no dynamics of the reference to compare with (evaluation.common_set); the figures show the models alone."
        return Finding(QUESTION, "can't be told, without dynamics of the reference", (words,), {})
    sentences: list[str] = []
    numbers: dict[str, float | None] = {}
    differ: list[str] = []
    compared = told = 0
    for name in models:
        mine = sets.get(f"test {name}")
        if mine is None:
            continue
        for center in reference.coordination:
            own = next((c for c in mine.coordination if c.center == center.center), None)
            if own is not None:
                apart, text = _coordination(name, own, center)
                sentences.append(text)
                compared += 1
                told += own.number.error is not None and center.number.error is not None
                differ += [f"{center.center} in {name}"] if apart else []
                numbers[f"{name}: coordination of {center.center}"] = own.number.value
                numbers[f"reference: coordination of {center.center}"] = center.number.value
        sentences += _bonds(name, mine, reference)
    if differ:
        answer = f"coordination differs: {', '.join(differ)}"
    elif told:
        answer = f"no difference in coordination was seen, in the {told} of {compared} comparisons with error bars"
    else:
        answer = "can't be told"
    return Finding(QUESTION, answer, tuple(sentences), numbers)


def _coordination(name: str, own: Coordination, reference: Coordination) -> tuple[bool, str]:
    a, b = own.number, reference.number
    text = f"{name}: {own.center} has {with_error(a.value, a.error)} neighbors, in the reference {with_error(b.value, b.error)}"
    if a.value is None or b.value is None or a.error is None or b.error is None:
        return False, f"{text}; no error bar for both ({a.why or b.why}), so not told apart."
    apart = abs(a.value - b.value) > TOLD_APART * (a.error**2 + b.error**2) ** 0.5
    return apart, f"{text}; {'a difference' if apart else 'not told apart'}."


def _bonds(name: str, mine: SetStructure, reference: SetStructure) -> list[str]:
    """Of the same bond in both; lengths of one run are not independent, so they have no error bar."""
    said = []
    for own in mine.bonds:
        same = next((b for b in reference.bonds if (b.of, b.to) == (own.of, own.to)), None)
        if same is not None and own.mean is not None and same.mean is not None:
            said.append(
                f"{name}: {own.of}–{own.to} {number(own.mean)} Å (SD {number(own.sd)}), {percent(own.beyond)} beyond "
                f"{number(own.edges[-1])} Å; reference {number(same.mean)} Å (SD {number(same.sd)}), {percent(same.beyond)}. "
                "No error bars."
            )
    return said
