"""A finding: a question that a reader has, a short answer, the sentences that bear it out, and the numbers in them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One part of a verdict.

    question   as a reader asks it
    answer     a few words; an honest "no" or "can't be told" among them
    sentences  what the answer rests on, each number with its error or with the words why it has none
    numbers    by name, units in the name; None where something was not measured
    """

    question: str
    answer: str
    sentences: tuple[str, ...]
    numbers: Mapping[str, float | None]


TOLD_APART = 2.0
"""Standard errors of a difference, beyond which two values are told apart."""
