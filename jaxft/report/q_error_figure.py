"""Q against the force error, atom by atom, on labelled frames: what the rank correlation and the ROC curve boil down."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxft.analysis.atom_scores import AtomsRecord
from jaxft.report.element_colours import element_colours
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import WIDTH, house_style

COLUMNS = 3


def q_error_figure(record: AtomsRecord, symbols: tuple[str, ...], demonstration: bool) -> Figure | None:
    """|ΔF| against Q/limit on logarithmic axes, a panel for each model; None without atoms. symbols: of each atom of the box."""
    models = [model for model in record.models if any(q is not None and q > 0.0 for q in model.q)]
    if not models:
        return None
    columns = min(COLUMNS, len(models))
    rows = -(-len(models) // columns)
    colours = element_colours(symbols)
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.9 + 2.0 * rows))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, model in zip(grid.flat, models, strict=False):
            for element, colour in colours.items():
                points = [
                    (q, error)
                    for atom, q, error in zip(model.atom, model.q, model.force_error, strict=True)
                    if symbols[atom] == element and q is not None and q > 0.0 and error > 0.0
                ]
                ax.scatter([q for q, _ in points], [e for _, e in points], s=4, color=colour, alpha=0.6, linewidths=0)
            _axes(ax, model.model)
        for ax in grid.flat[len(models) :]:
            ax.remove()
        for ax in grid[:, 0]:
            ax.set_ylabel("force error [eV/Å]")
        for ax in grid.flat[max(0, len(models) - columns) : len(models)]:
            ax.set_xlabel("Q / limit")
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="none", markersize=4, label=element)
            for element, colour in colours.items()
        ]
        handles.append(
            Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (4, 2)), label="limit of the element")
        )
        figure.legend(handles=handles, loc="outside lower center", ncols=8)
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
    return figure


def _axes(ax: Axes, title: str) -> None:
    ax.axvline(1.0, color="black", linewidth=0.7, linestyle=(0, (4, 2)))
    ax.set(xscale="log", yscale="log", title=title)
    ax.tick_params(labelbottom=True)
