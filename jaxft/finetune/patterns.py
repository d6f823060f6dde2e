"""Parameters by name: patterns such as ``layer_0``, ``layer_*/radial`` or ``readout``.

A parameter's name is its path in the tree, ``layer_0/linear_after/0e``. A pattern fits a parameter if it fits its whole name or
the beginning of it up to a slash, so that the name of a part means all of it. ``*`` stands for any characters but a slash, ``**``
for any at all, ``?`` for one; everything else is literal, brackets too, which parameters may have in their names.
"""

import re
from collections.abc import Sequence

from jaxft.errors import InputError, nearest


def fits(pattern: str, name: str) -> bool:
    """Whether a pattern fits a parameter's name."""
    return re.fullmatch(f"{_expression(pattern)}(/.*)?", name) is not None


def check_patterns(patterns: Sequence[str], names: Sequence[str], where: str) -> None:
    """Raise InputError for a pattern that fits no parameter, with the nearest name. where: the setting that has them."""
    parts = sorted({"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 2)})
    for pattern in patterns:
        if not any(fits(pattern, name) for name in names):
            near = nearest(pattern, parts)
            some = "" if near else f"; expected for example {', '.join(parts[:6])} ..."
            raise InputError(f"{where} has {pattern!r}, which fits none of the {len(names)} parameters{near or some}")


def _expression(pattern: str) -> str:
    pieces = re.split(r"(\*\*|\*|\?)", pattern)
    meaning = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(meaning.get(piece, re.escape(piece)) for piece in pieces)
