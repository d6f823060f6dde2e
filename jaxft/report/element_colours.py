"""A colour for each element, the same in every figure of a report (Okabe and Ito, 2008)."""

from collections.abc import Iterable

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def element_colours(symbols: Iterable[str]) -> dict[str, str]:
    """By symbol, in alphabetical order; beyond seven elements colours repeat."""
    return {symbol: COLOURS[k % len(COLOURS)] for k, symbol in enumerate(sorted(set(symbols)))}
