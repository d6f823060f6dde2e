"""Do more labels help, and with which strategy: the scores of every model against its budget.

Four small panels: plateau, drift, spread and force error. A value without an error bar has an open marker; one that lies
far off the others is written at the edge.
"""

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from jaxft.analysis.arms import arms, base_of
from jaxft.analysis.estimate import Estimate
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.analysis.wording import in_mev, with_error
from jaxft.report.formatting import DISCLAIMER, model_label
from jaxft.report.limits import axis_limits
from jaxft.report.style import BASE_COLOUR, WIDTH, house_style, strategy_styles

PANELS: tuple[tuple[str, str, bool, Callable[[ModelResult], Estimate]], ...] = (
    ("plateau of the residual", "meV/atom", True, lambda model: model.scores.plateau.residual),
    ("drift: test − training", "meV/atom", True, lambda model: model.scores.drift.drift),
    ("SD of the residual", "meV/atom", False, lambda model: model.scores.spread.sd),
    ("force RMSE, own frames", "meV/Å", False, lambda model: model.scores.forces.rmse),
)
"""Title, unit, whether it has a sign, and where the estimate is."""

BASE_DASHES = (0, (5, 2))

DODGE = 0.012
"""Strategies of the same budget stand this far apart, as a share of the axis."""


def scores_figure(result: Residuals) -> Figure | None:
    """Scores in meV/atom and meV/Å against the number of labels; None where no fine-tuned model has a score."""
    members, base = arms(result.models), base_of(result.models)
    if not any(read(model).value is not None for group in members.values() for model in group for *_, read in PANELS):
        return None
    with house_style():
        figure = Figure(figsize=(0.92 * WIDTH, 4.5))
        axes = figure.subplots(2, 2, sharex=True)
        for ax, (title, unit, signed, read) in zip(axes.flat, PANELS, strict=True):
            _panel(ax, members, base, read, signed)
            ax.set_title(title)
            ax.set_ylabel(unit)
            if signed:
                ax.axhline(0.0, color="black", linewidth=0.7, zorder=1)
        for ax in axes[1]:
            ax.set_xlabel("labels used for fine-tuning")
        if result.demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
        figure.legend(handles=_legend(result.models, members, base), loc="outside lower center", ncols=4)
    return figure


def _panel(
    ax: Axes,
    members: dict[str, list[ModelResult]],
    base: ModelResult | None,
    read: Callable[[ModelResult], Estimate],
    signed: bool,
) -> None:
    budgets = sorted({model.budget for group in members.values() for model in group})
    shift = DODGE * max(budgets[-1] - budgets[0], 1)
    styles = strategy_styles(list(members))
    shown = [read(model) for group in members.values() for model in group] + ([read(base)] if base else [])
    ends = [in_mev(e.value + side * (e.error or 0.0)) for e in shown for side in (-1, 1) if e.value is not None]
    low, high = axis_limits(ends) if ends else (-1.0, 1.0)
    ax.set_ylim(low if signed else 0.0, high)
    if base is not None and read(base).value is not None:
        _draw_base(ax, (budgets[0] + budgets[-1]) / 2.0, read(base), signed)
    for k, (strategy, group) in enumerate(members.items()):
        colour, marker = styles[strategy]
        offset = shift * (2 * k - len(members) + 1)
        _draw_arm(ax, [(model.budget + offset, read(model)) for model in group], colour, marker, signed)
    ax.xaxis.set_major_locator(FixedLocator([float(budget) for budget in budgets]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.08)


def _draw_base(ax: Axes, x: float, estimate: Estimate, signed: bool) -> None:
    assert estimate.value is not None, "the caller has looked"
    value, error = in_mev(estimate.value), in_mev(estimate.error)
    low, high = ax.get_ylim()
    if not low <= value <= high:
        _write_at_edge(ax, x, value, error, BASE_COLOUR, signed)
        return
    ax.axhline(value, color=BASE_COLOUR, linewidth=1.2, linestyle=BASE_DASHES, zorder=1)
    if error is not None:
        ax.axhspan(value - error, value + error, color=BASE_COLOUR, alpha=0.16, linewidth=0, zorder=0)


def _draw_arm(ax: Axes, points: Sequence[tuple[float, Estimate]], colour: str, marker: str, signed: bool) -> None:
    low, high = ax.get_ylim()
    known = [(x, in_mev(e.value), in_mev(e.error)) for x, e in points if e.value is not None]
    line = [y if low <= y <= high else math.nan for _, y, _ in known]
    ax.plot([x for x, *_ in known], line, color=colour, linewidth=0.9, alpha=0.6)
    for x, y, error in known:
        if not low <= y <= high:
            _write_at_edge(ax, x, y, error, colour, signed)
            continue
        ax.errorbar(
            [x],
            [y],
            yerr=None if error is None else [error],
            color=colour,
            marker=marker,
            markersize=4.2,
            markerfacecolor="white" if error is None else colour,
            elinewidth=1.1,
            capsize=2.5,
            zorder=3,
        )


def _write_at_edge(ax: Axes, x: float, value: float, error: float | None, colour: str, signed: bool) -> None:
    low, high = ax.get_ylim()
    edge, arrow, below = (high, "^", -9) if value > high else (low, "v", 5)
    ax.plot([x], [edge], marker=arrow, markersize=4.2, color=colour, clip_on=False, zorder=4)
    text = with_error(value, error, signed=signed)
    ax.annotate(text, (x, edge), (5, below), textcoords="offset points", color=colour, fontsize=7.5)


def _legend(
    models: Sequence[ModelResult], members: dict[str, list[ModelResult]], base: ModelResult | None
) -> list[Line2D]:
    handles = []
    if base is not None:
        handles.append(Line2D([], [], color=BASE_COLOUR, linewidth=1.2, linestyle=BASE_DASHES, label=model_label(base)))
    for strategy, (colour, marker) in strategy_styles(list(members)).items():
        handles.append(Line2D([], [], color=colour, linewidth=0.9, marker=marker, markersize=5.0, label=strategy))
    estimates = [read(model) for model in models for *_, read in PANELS]
    if any(estimate.value is not None and estimate.error is None for estimate in estimates):
        label = "open: no error bar"
        handles.append(
            Line2D([], [], color="#404040", linestyle="none", marker="o", markerfacecolor="white", label=label)
        )
    return handles
