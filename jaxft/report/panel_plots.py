"""The figures of several panels that one may zoom and point at: scores, shares of coverage, pair distributions, bond lengths.

As in ``plots.py``: what a figure shows is decided in its own file, here only its points are listed.
"""

from collections.abc import Mapping
from typing import Any

from jaxft.analysis.arms import arms, base_of
from jaxft.analysis.coverage_record import Coverage
from jaxft.analysis.residuals import Residuals
from jaxft.analysis.structure_record import StructureRecord
from jaxft.analysis.wording import in_mev
from jaxft.report.formatting import model_label
from jaxft.report.plots import Plot, curve
from jaxft.report.scores_figure import PANELS
from jaxft.report.shares_figure import COLOUR, own_shares
from jaxft.report.structure_figure import looks, shown_pairs
from jaxft.report.style import BASE_COLOUR, strategy_styles

COLUMNS = 2
PANEL_HEIGHT = 300
"""Pixels."""

LEGEND_BELOW = 50
"""Pixels from the lowest panel to the legend, whatever the number of rows."""

GAP = (0.12, 0.16)
"""Between panels: share of the width, and of one row's height."""

Panels = Mapping[str, list[Plot]]
"""Title of each panel → its lines."""


def scores_plot(result: Residuals) -> Plot:
    """Each score against the number of labels, with its error bar; the base as a line across."""
    members, base = arms(result.models), base_of(result.models)
    styles = strategy_styles(list(members))
    budgets = sorted({model.budget for group in members.values() for model in group})
    panels: dict[str, list[Plot]] = {}
    for title, unit, _, read in PANELS:
        lines = []
        if base is not None and (value := read(base).value) is not None:
            ends = curve([budgets[0], budgets[-1]], [in_mev(value)] * 2, model_label(base))
            lines.append({**ends, "mode": "lines", "line": {"color": BASE_COLOUR, "dash": "dash"}})
        for strategy, group in members.items():
            known = [(model, read(model)) for model in group if read(model).value is not None]
            found = curve([m.budget for m, _ in known], [in_mev(e.value) for _, e in known], strategy)
            errors = {"type": "data", "array": [in_mev(e.error) for _, e in known], "thickness": 1}
            notes = [m.name + ("" if e.error is not None else ", no error bar") for m, e in known]
            look = {"color": styles[strategy][0], "width": 1}
            lines.append(
                {**found, "mode": "lines+markers", "line": look, "error_y": errors, "text": notes}
                | {"hovertemplate": "%{text}: %{y:.3g}<extra></extra>"}
            )
        panels[f"{title} [{unit}]"] = lines
    return _grid(panels, "labels used for fine-tuning")


def shares_plot(record: Coverage) -> Plot:
    """Test outside its own training set beside the null of that set, a panel for each element."""
    own = own_shares(record.shares)
    panels = {}
    for element in dict.fromkeys(share.element for share in own if share.share is not None):
        mine = [share for share in own if share.element == element]
        names = [share.outside for share in mine]
        lines = []
        for label, values, colour, symbol in (
            ("null: halves of the training set", [s.null for s in mine], BASE_COLOUR, "circle-open"),
            ("test outside its training set", [s.share for s in mine], COLOUR, "circle"),
        ):
            marker = {"color": colour, "symbol": symbol, "size": 8}
            percents = [None if value is None else 100 * value for value in values]
            hover = "%{x}: %{y:.1f} %<extra></extra>"
            # names are categories, which ``curve`` would read as numbers
            lines.append(
                {**curve([], percents, label), "x": names, "mode": "markers", "marker": marker, "hovertemplate": hover}
            )
        panels["all elements [%]" if element == "all" else f"{element} [%]"] = lines
    plot = _grid(panels, "")
    for name, axis in plot["layout"].items():
        if name.startswith("yaxis"):
            axis["rangemode"] = "tozero"
    return plot


def rdf_plot(record: StructureRecord, result: Residuals) -> Plot:
    """g(r) of the pairs of the figure, with the error at the point."""
    style = looks(record, result)
    sets = [one for one in record.sets if one.name in style and one.rdf is not None]
    panels = {}
    for pair in shown_pairs(sets):
        lines = []
        for one in sets:
            assert one.rdf is not None, "only those were taken"
            found = next((p for p in one.rdf.pairs if p.elements == pair), None)
            if found is not None:
                errors = found.g_error or [None] * len(found.g)
                notes = ["" if e is None else f" ± {e:.2g}" for e in errors]
                hover = f"{one.name}, %{{x:.2f}} Å: %{{y:.3g}}%{{text}}<extra></extra>"
                lines.append(
                    {**curve(one.rdf.r, found.g, one.name), **_look(style[one.name]), "text": notes}
                    | {"hovertemplate": hover}
                )
        panels[f"g(r) {'–'.join(pair)}"] = lines
    return _grid(panels, "r [Å]")


def bond_lengths_plot(record: StructureRecord, result: Residuals) -> Plot:
    """Distribution of the bond that was measured; an empty bin is a gap, since the axis is logarithmic."""
    style = looks(record, result)
    drawn = [(one.name, bond) for one in record.sets if one.name in style for bond in one.bonds if bond.n]
    lines = []
    for name, bond in drawn:
        middles = [0.5 * (a + b) for a, b in zip(bond.edges, bond.edges[1:], strict=False)]
        lines.append({**curve(middles, [y if y > 0.0 else None for y in bond.density], name), **_look(style[name])})
    first = drawn[0][1]
    plot = _grid({"density [1/Å]": lines}, f"{first.of}–{first.to} [Å]")
    plot["layout"]["yaxis"]["type"] = "log"
    return plot


def _look(look: tuple[str, object]) -> Plot:
    colour, dashes = look
    return {"mode": "lines", "line": {"color": colour, "width": 1.4, "dash": "solid" if dashes == "solid" else "dash"}}


def _grid(panels: Panels, x: str) -> Plot:
    """Panels in two columns, one in one; a legend that switches a line in all of them."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width, height = (1 - GAP[0] * (columns - 1)) / columns, 1 / rows
    data: list[Plot] = []
    layout: dict[str, Any] = {
        **{
            "margin": {"l": 56, "r": 12, "t": 24, "b": 48},
            "legend": {"orientation": "h", "y": -LEGEND_BELOW / (PANEL_HEIGHT * rows)},
        },
        **{"hovermode": "closest", "template": "none", "height": 80 + PANEL_HEIGHT * rows, "annotations": []},
    }
    named: set[str] = set()
    for k, (title, lines) in enumerate(panels.items()):
        row, column = divmod(k, columns)
        left, top = column * (width + GAP[0]), 1 - row * height
        number = "" if k == 0 else str(k + 1)
        across, up = [left, left + width], [top - height * (1 - GAP[1]), top - 0.06 * height]
        below = {"title": {"text": x}} if k + columns >= len(panels) else {}
        layout[f"xaxis{number}"] = {"domain": across, "anchor": f"y{number}", "zeroline": False, **below}
        layout[f"yaxis{number}"] = {"domain": up, "anchor": f"x{number}", "automargin": True}
        corner = {"x": left, "y": top - 0.05 * height, "xref": "paper", "yref": "paper", "xanchor": "left"}
        layout["annotations"].append({"text": f"<b>{title}</b>", "showarrow": False, "yanchor": "bottom", **corner})
        for one in lines:
            shown = one["name"] not in named
            named.add(one["name"])
            data.append(
                {**one, "xaxis": f"x{number}", "yaxis": f"y{number}", "legendgroup": one["name"], "showlegend": shown}
            )
    return {"data": data, "layout": layout}
