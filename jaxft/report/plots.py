"""The figures that one may zoom and point at: the same records as data and layout for plotly, as plain values.

What a figure shows is decided in its own file; here only its points are listed, so that the page works without plotly too.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.colors import to_hex

from jaxft.analysis.arms import in_order
from jaxft.analysis.coverage_record import Coverage
from jaxft.analysis.proxy import Proxy
from jaxft.analysis.proxy_finding import interval
from jaxft.analysis.q_record import QRecord
from jaxft.analysis.residuals import Residuals
from jaxft.analysis.wording import in_mev, in_ps
from jaxft.report.coverage_figure import axis_label
from jaxft.report.cross_figure import Track
from jaxft.report.formatting import model_label, shown_name
from jaxft.report.q_figure import seed_colour, with_timelines
from jaxft.report.style import BASE_COLOUR, budget_colours

MOST_POINTS = 2000
"""Of a line; a longer one is drawn by the largest value of each of as many stretches, so that no peak is lost."""

DIGITS = 6

Plot = dict[str, Any]


def residual_plot(result: Residuals) -> Plot:
    """Every seed of every model, and its plateau; a click in the legend hides a model."""
    budgets = budget_colours([m.budget for m in result.models if m.strategy != "base"])
    data = []
    for model in in_order(result.models):
        colour = BASE_COLOUR if model.strategy == "base" else to_hex(budgets[model.budget])
        dash = "dot" if model.strategy == "naive" else "solid"
        for k, series in enumerate(model.seeds):
            data.append(
                {
                    **curve(
                        map(in_ps, series.times_fs),
                        map(in_mev, series.residuals),
                        f"{model_label(model)} ({model.strategy})",
                    ),
                    "legendgroup": model.name,
                    "showlegend": k == 0,
                    "mode": "lines+markers",
                    "line": {"color": colour, "width": 1, "dash": dash},
                    "marker": {"size": 4},
                    "hovertemplate": f"{model.name}, seed {series.seed}: %{{y:.2f}} meV/atom at %{{x:.3f}} ps<extra></extra>",
                }
            )
    return _plot(data, "time in the model's own dynamics [ps]", "residual [meV/atom]")


def q_plot(record: QRecord) -> Plot:
    """The largest Q/limit along every test; the last model of each strategy is shown, the others wait in the legend."""
    models = with_timelines(record)
    last = {model.strategy: model.name for model in models}
    data = []
    for model in models:
        for k, line in enumerate(model.timelines):
            times, largest = thinned(line.times_fs, line.largest)
            data.append(
                {
                    **curve(map(in_ps, times), largest, f"{model.name}, seed {line.seed}"),
                    "mode": "lines",
                    "visible": True if model.name in last.values() else "legendonly",
                    "line": {
                        "color": seed_colour(line.seed),
                        "width": 1.2,
                        "dash": "dot" if model.strategy == "naive" else "solid",
                    },
                }
            )
            if k == 0:
                ends = (line.times_fs[0], line.times_fs[-1])
                data.append(
                    {
                        **curve(map(in_ps, ends), [model.frame_limit] * 2, f"{model.name}, limit of frames"),
                        "mode": "lines",
                        "visible": True if model.name in last.values() else "legendonly",
                        "line": {"color": "black", "width": 1, "dash": "dash"},
                    }
                )
    plot = _plot(data, "time in the model's own dynamics [ps]", "largest Q / limit in the frame")
    plot["layout"]["yaxis"]["type"] = "log"
    return plot


def coverage_plot(record: Coverage) -> Plot:
    """Every set on PC1 and PC2; those that the space was fitted to are shown with their tests, the others wait in the legend."""
    names = list(dict.fromkeys(point.set for point in record.points))
    shown = {*record.fitted_to, *(f"test {name}" for name in record.fitted_to)}
    colours = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
    data = []
    for k, name in enumerate(names):
        mine = [point for point in record.points if point.set == name]
        data.append(
            {
                **curve([p.pc1 for p in mine], [p.pc2 for p in mine], name),
                "mode": "markers",
                "visible": True if name in shown else "legendonly",
                "text": [f"{p.element} {p.atom}, frame {p.frame}" for p in mine],
                "hovertemplate": f"{name}: %{{text}}<extra></extra>",
                "marker": {"size": 4, "opacity": 0.7, "color": to_hex(colours[k % len(colours)])},
            }
        )
    return _plot(data, axis_label(record, 0), axis_label(record, 1))


def roc_plot(judged: Sequence[Proxy]) -> Plot:
    """Hits against false alarms of each signal."""
    data = [{**curve(*p.roc, f"{p.signal}, AUROC {interval(p.auroc)}"), "mode": "lines"} for p in judged if p.roc[0]]
    data.append(
        {**curve([0, 1], [0, 1], "chance"), "mode": "lines", "line": {"color": "black", "width": 1, "dash": "dot"}}
    )
    return _plot(data, "false alarms: share of the other atoms", "hits: share of the bad atoms")


def tracks_plot(tracks: Sequence[Track]) -> Plot:
    """Energies of all models on the frames of each strategy's last model; the first one's are shown."""
    data = []
    for k, track in enumerate(tracks):
        visible = True if k == len(tracks) - 1 else "legendonly"
        times = [in_ps(t) for t in track.times_fs]
        for name, values in track.models.items():
            data.append(
                {**curve(times, map(in_mev, values), f"{shown_name(name)} on {track.frames_of}"), "visible": visible}
            )
        data.append(
            {
                **curve(times, map(in_mev, track.reference), f"reference on {track.frames_of}"),
                "mode": "markers",
                "visible": visible,
                "marker": {"symbol": "circle-open", "size": 9, "color": "black"},
            }
        )
    return _plot(data, "time [ps]", "energy from the first reference energy [meV/atom]")


def thinned(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """At most ``MOST_POINTS`` of a line: of each stretch the largest value, where it is."""
    step = -(-len(values) // MOST_POINTS)
    if step <= 1:
        return list(times), list(values)
    best = [max(range(k, min(k + step, len(values))), key=values.__getitem__) for k in range(0, len(values), step)]
    return [times[k] for k in best], [values[k] for k in best]


def curve(x: Any, y: Any, name: str) -> Plot:
    """Points of one line, as short as a screen needs them."""
    return {"type": "scatter", "x": [_short(v) for v in x], "y": [_short(v) for v in y], "name": name}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _plot(data: list[Plot], x: str, y: str) -> Plot:
    layout = {
        "xaxis": {"title": {"text": x}, "zeroline": False, "automargin": True},
        "yaxis": {"title": {"text": y}, "automargin": True},
        "margin": {"l": 60, "r": 12, "t": 12, "b": 48},
        "legend": {"orientation": "h", "y": -0.2},
        "hovermode": "closest",
        "template": "none",
        "height": 560,
    }
    return {"data": data, "layout": layout}
