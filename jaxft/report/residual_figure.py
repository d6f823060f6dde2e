"""The figure that answers the question (the paper's figure 2): the signed residual of every model in its own dynamics.

One panel for each strategy on a shared axis, one colour for each budget, the unmodified base in grey behind both. What
lies far outside is drawn at the edge as a triangle, so that one catastrophe does not flatten everything else.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxft.analysis.arms import arms, base_of
from jaxft.analysis.residuals import ModelResult, Residuals, SeedSeries
from jaxft.analysis.wording import in_mev, in_ps
from jaxft.report.formatting import DISCLAIMER, model_label
from jaxft.report.limits import axis_limits
from jaxft.report.style import BASE_COLOUR, WIDTH, Colour, budget_colours, house_style

NO_ERROR = (0, (4, 2))
"""Dashes of a plateau that has no error bar."""


def residual_figure(result: Residuals) -> Figure | None:
    """Residual in meV/atom against time in ps; None where no frame of any model has a label."""
    values = [in_mev(r) for m in result.models for s in m.seeds for r in s.residuals if r is not None]
    if not values:
        return None
    base, members = base_of(result.models), arms(result.models)
    limits = axis_limits(values)
    colours = budget_colours([model.budget for group in members.values() for model in group])
    columns, rows = (2, (len(members) + 1) // 2) if len(members) > 1 else (1, 1)
    with house_style():
        figure = Figure(figsize=(WIDTH if columns > 1 else 0.62 * WIDTH, 1.0 + 2.7 * rows))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        strategies = list(members) or ["base"]
        for ax, strategy in zip(grid.flat, strategies, strict=False):
            _panel(ax, strategy, base, members.get(strategy, []), colours, limits)
        for ax in grid.flat[len(strategies) :]:
            ax.remove()
        for ax in grid[:, 0]:
            ax.set_ylabel("(E$_{\\mathrm{model}}$ − E$_{\\mathrm{ref}}$) / N   [meV/atom]")
        if result.demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
        handles = _legend(result.models, base, members, colours, limits)
        figure.legend(handles=handles, loc="outside lower center", ncols=2 * columns, handlelength=1.6)
    return figure


def _panel(
    ax: Axes,
    strategy: str,
    base: ModelResult | None,
    models: Sequence[ModelResult],
    colours: dict[int, Colour],
    limits: tuple[float, float],
) -> None:
    ax.axhline(0.0, color="black", linewidth=0.7, zorder=1)
    if base is not None:
        _draw_model(ax, base, BASE_COLOUR, limits)
    for model in models:
        _draw_model(ax, model, colours[model.budget], limits)
    ax.set_title(strategy)
    ax.set_xlabel("time in the model's own dynamics [ps]")
    ax.tick_params(labelbottom=True)
    ax.margins(x=0.02)
    ax.set_xlim(left=0.0)
    ax.set_ylim(limits)


def _draw_model(ax: Axes, model: ModelResult, colour: Colour, limits: tuple[float, float]) -> None:
    for series in model.seeds:
        _draw_seed(ax, series, colour, limits)
    plateau = model.scores.plateau
    if plateau.residual.value is None:
        return
    mean, error = plateau.residual.value, plateau.residual.error
    first = in_ps(min(settling.start_fs for settling in model.scores.settlings))
    last = in_ps(max(time for series in model.seeds for time in series.times_fs))
    if error is not None:
        low, high = in_mev(mean - error), in_mev(mean + error)
        ax.fill_between([first, last], low, high, color=colour, alpha=0.28, linewidth=0)
    dashes = "solid" if error is not None else NO_ERROR
    ax.plot([first, last], [in_mev(mean)] * 2, color=colour, linewidth=1.8, linestyle=dashes, zorder=4)


def _draw_seed(ax: Axes, series: SeedSeries, colour: Colour, limits: tuple[float, float]) -> None:
    alpha = 0.3 if colour == BASE_COLOUR else 0.55
    times = np.array([in_ps(time) for time in series.times_fs], dtype=np.float64)
    values = np.array([np.nan if r is None else in_mev(r) for r in series.residuals], dtype=np.float64)
    ax.plot(times, values, color=colour, linewidth=0.7, alpha=alpha, marker=".", markersize=1.8, zorder=2)
    at_edge: dict[str, Any] = {
        "linestyle": "none",
        "color": colour,
        "markersize": 4.5,
        "markeredgewidth": 1.1,
        "clip_on": False,
        "zorder": 5,
    }
    failed = np.isnan(values)
    for there, edge, marker in (
        (values > limits[1], limits[1], "^"),
        (values < limits[0], limits[0], "v"),
        (failed, limits[0], "x"),
    ):
        if there.any():  # an empty unclipped line would spoil the layout
            ax.plot(times[there], np.full(there.sum(), edge), marker=marker, **at_edge)
    if series.stopped is not None:
        known = values[np.isfinite(values)]
        height = float(np.clip(known[-1], *limits)) if len(known) else limits[0]
        ax.plot(
            [in_ps(series.stopped.time_fs)],
            [height],
            marker="X",
            markersize=6.0,
            markerfacecolor=colour,
            markeredgecolor="black",
            markeredgewidth=0.6,
            clip_on=False,
            zorder=6,
        )


def _legend(
    models: Sequence[ModelResult],
    base: ModelResult | None,
    members: dict[str, list[ModelResult]],
    colours: dict[int, Colour],
    limits: tuple[float, float],
) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    if base is not None:
        handles.append(Line2D([], [], color=BASE_COLOUR, linewidth=1.8, label=model_label(base)))
    for budget, colour in colours.items():
        names = [model.name for group in members.values() for model in group if model.budget == budget]
        label = f"{budget} labels ({', '.join(names)})" if len(names) < 3 else f"{budget} labels"
        handles.append(Line2D([], [], color=colour, linewidth=1.8, label=label))
    handles.append(Line2D([], [], color="#404040", linewidth=0.7, marker=".", markersize=3.0, label="one seed"))
    drawn = [model.scores.plateau.residual for model in models if model.scores.plateau.residual.value is not None]
    if any(plateau.error is not None for plateau in drawn):
        handles.append(Patch(facecolor="#404040", alpha=0.28, label="plateau ± standard error"))
    if any(plateau.error is None for plateau in drawn):
        label = "plateau, no error bar"
        handles.append(Line2D([], [], color="#404040", linewidth=1.8, linestyle=NO_ERROR, label=label))
    seeds = [series for model in models for series in model.seeds]
    residuals = [in_mev(r) for series in seeds for r in series.residuals if r is not None]
    marks = (
        ("X", "stopped by a guard", any(series.stopped for series in seeds)),
        ("x", "label failed", any(series.failures for series in seeds)),
        ("^", "off scale", any(r is not None and not limits[0] <= r <= limits[1] for r in residuals)),
    )
    for marker, label, present in marks:
        if present:
            handles.append(
                Line2D([], [], color="#404040", linestyle="none", marker=marker, markersize=5.0, label=label)
            )
    return handles
