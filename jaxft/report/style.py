"""How figures look, in one place: sizes, colours that colour-blind readers can tell apart, and bytes that repeat.

Figures are made without pyplot and without the user's matplotlib settings, so that they are the same everywhere.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

Colour = str | tuple[float, float, float, float]

DPI = 200

WIDTH = 7.2
"""Inches: two columns of a journal."""

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so letters are the same on every machine
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.solid_capstyle": "butt",
    "figure.constrained_layout.use": True,
}

BASE_COLOUR = "#6e6e6e"

STRATEGY_STYLE = {"naive": ("#d55e00", "o"), "periodic": ("#0072b2", "s")}
"""Colour (Okabe and Ito, 2008) and marker: shape says the same as colour."""

FURTHER_STYLES = (("#009e73", "D"), ("#cc79a7", "^"), ("#e69f00", "v"), ("#56b4e9", "P"), ("#000000", "X"))

DARKEST, LIGHTEST = 0.0, 0.8
"""The part of viridis that is dark enough for thin lines on white."""


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults and then ours, for the time of drawing."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def budget_colours(budgets: Sequence[int]) -> dict[int, Colour]:
    """One colour for each budget, from dark (few labels) to light, evenly spaced in viridis."""
    ordered = sorted(set(budgets))
    step = (LIGHTEST - DARKEST) / max(len(ordered) - 1, 1)
    viridis = matplotlib.colormaps["viridis"]
    return {budget: viridis(DARKEST + k * step) for k, budget in enumerate(ordered)}


def strategy_styles(strategies: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each strategy; those without a fixed one get theirs in the order in which they come."""
    others = [name for name in strategies if name not in STRATEGY_STYLE]
    further = {name: FURTHER_STYLES[k % len(FURTHER_STYLES)] for k, name in enumerate(others)}
    return {name: STRATEGY_STYLE.get(name) or further[name] for name in strategies}


def png(figure: Figure) -> bytes:
    """The figure as PNG, at a fixed resolution and without a date or the name of the software."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
