"""The lineage: which model came from which, on how many labels."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from jaxft.report.lineage import Descent
from jaxft.report.style import BASE_COLOUR, WIDTH, house_style, strategy_styles

BASE = "base"


def lineage_figure(models: Sequence[Descent]) -> Figure | None:
    """Boxes from left (base) to right, an arrow from each parent; None without models."""
    if not models:
        return None
    places = tree_places(models)
    colours = strategy_styles(list(dict.fromkeys(model.strategy for model in models)))
    depth = max(x for x, _ in places.values())
    lowest = max(y for _, y in places.values())
    with house_style():
        figure = Figure(figsize=(min(WIDTH, 1.7 * (depth + 1.2)), 0.7 * (lowest + 1.0) + 0.2))
        ax = figure.subplots()
        ax.set(xlim=(-0.5, depth + 0.5), ylim=(lowest + 0.5, -0.5))
        ax.axis("off")
        _box(ax, BASE, places[BASE], "not fine-tuned", BASE_COLOUR)
        for model in models:
            _box(ax, model.name, places[model.name], f"{model.labels} labels", colours[model.strategy][0])
            if model.parent in places:
                (x0, y0), (x1, y1) = places[model.parent], places[model.name]
                ax.annotate(
                    "", (x1 - 0.33, y1), (x0 + 0.33, y0),
                    arrowprops={"arrowstyle": "-|>", "color": "#404040", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0},
                )  # fmt: skip
    return figure


def tree_places(models: Sequence[Descent]) -> dict[str, tuple[int, int]]:
    """Column (generation) and row of each model; the first child goes on in its parent's row, each further one below."""
    children: dict[str, list[str]] = {}
    known = {model.name for model in models}
    for model in models:
        children.setdefault(model.parent if model.parent in known else BASE, []).append(model.name)
    places: dict[str, tuple[int, int]] = {}
    next_row = 0

    def place(name: str, generation: int) -> None:
        nonlocal next_row
        row = next_row
        places[name] = (generation, row)
        for k, child in enumerate(children.get(name, ())):
            if k:
                next_row += 1
            place(child, generation + 1)

    place(BASE, 0)
    return places


def _box(ax: Axes, name: str, place: tuple[int, int], below: str, colour: str) -> None:
    x, y = place
    shape = FancyBboxPatch(
        (x - 0.31, y - 0.27), 0.62, 0.54, boxstyle="round,pad=0.02,rounding_size=0.06", facecolor=colour, edgecolor="none"
    )  # fmt: skip
    ax.add_patch(shape)
    ax.text(x, y, f"{name}\n{below}", ha="center", va="center", fontsize=8.5, color="white", linespacing=1.3)
