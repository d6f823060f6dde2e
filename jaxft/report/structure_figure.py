"""How atoms are arranged in each model's dynamics: pair distributions with their bands, and the lengths of one bond.

The base, the last model of each strategy, production, and the reference's own dynamics where there is any; all others are in the
CSV files.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxft.analysis.arms import arms
from jaxft.analysis.rdf import PairRdf
from jaxft.analysis.residuals import Residuals
from jaxft.analysis.structure_finding import REFERENCE
from jaxft.analysis.structure_record import SetStructure, StructureRecord
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import BASE_COLOUR, WIDTH, house_style, strategy_styles
from jaxft.structures.contacts import NONMETALS

MOST_PAIRS = 12
COLUMNS = 3
PRODUCTION_DASHES = (0, (4, 1.5))

Look = tuple[str, object]
"""Colour and dashes."""


def looks(record: StructureRecord, result: Residuals) -> dict[str, Look]:
    """How each set that is drawn looks, in the order of the legend."""
    found: dict[str, Look] = {"test base": (BASE_COLOUR, "solid")}
    members = arms(result.models)
    for strategy, (colour, _) in strategy_styles(list(members)).items():
        found[f"test {members[strategy][-1].name}"] = (colour, "solid")
        for model in members[strategy]:
            found[f"production {model.name}"] = (colour, PRODUCTION_DASHES)
    found[REFERENCE] = ("black", "solid")
    there = {one.name for one in record.sets}
    return {name: look for name, look in found.items() if name in there}


def rdf_figure(record: StructureRecord, result: Residuals) -> Figure | None:
    """g(r) of the pairs that matter most; None where there is none."""
    style = looks(record, result)
    sets = [one for one in record.sets if one.name in style and one.rdf is not None]
    pairs = shown_pairs(sets)
    if not pairs:
        return None
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.9 + 1.9 * rows))
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for ax, pair in zip(grid.flat, pairs, strict=False):
            for one in sets:
                assert one.rdf is not None, "only those were taken"
                found = next((p for p in one.rdf.pairs if p.elements == pair), None)
                if found is not None:
                    _draw(ax, one.rdf.r, found, one.name, style[one.name])
            ax.set_title("–".join(pair))
            ax.set(ylim=(0.0, None), xlim=(_begin(sets), None))
            ax.tick_params(labelbottom=True)
        for ax in grid.flat[len(pairs) :]:
            ax.remove()
        for ax in grid.flat[max(0, len(pairs) - columns) : len(pairs)]:
            ax.set_xlabel("r [Å]")
        for ax in grid[:, 0]:
            ax.set_ylabel("g(r)")
        _finish(figure, grid[0, 0], result.demonstration)
    return figure


def shown_pairs(sets: Sequence[SetStructure]) -> list[tuple[str, str]]:
    """Metals with what they bind first, then the others without metals; at most twelve."""
    every = list(dict.fromkeys(pair.elements for one in sets if one.rdf is not None for pair in one.rdf.pairs))

    def rank(pair: tuple[str, str]) -> int:
        metals = sum(element not in NONMETALS for element in pair)
        return {1: 0 if "H" not in pair else 3, 0: 1, 2: 4}[metals]

    return sorted(every, key=rank)[:MOST_PAIRS]


def _begin(sets: Sequence[SetStructure]) -> float:
    """Where the first of all pairs comes near, with room to its left."""
    near = [
        r
        for one in sets
        if one.rdf is not None
        for p in one.rdf.pairs
        for r, g in zip(one.rdf.r, p.g, strict=True)
        if g > 0.0
    ]
    return 0.8 * min(near, default=0.0)


def bond_lengths_figure(record: StructureRecord, result: Residuals) -> Figure | None:
    """Distribution of the bond that was measured, on a logarithmic axis for its tails; None where none was."""
    style = looks(record, result)
    drawn = [(one.name, bond) for one in record.sets if one.name in style for bond in one.bonds if bond.n]
    if not drawn:
        return None
    with house_style():
        figure = Figure(figsize=(0.75 * WIDTH, 3.4))
        ax = figure.subplots()
        for name, bond in drawn:
            middles = [0.5 * (a + b) for a, b in zip(bond.edges, bond.edges[1:], strict=False)]
            known = [(x, y) for x, y in zip(middles, bond.density, strict=True) if y > 0.0]
            colour, dashes = style[name]
            ax.plot(
                [x for x, _ in known], [y for _, y in known], color=colour, linestyle=dashes, linewidth=1.2, label=name
            )
        first = drawn[0][1]
        ax.set(xlabel=f"{first.of}–{first.to} [Å]", ylabel="density [1/Å]", yscale="log")
        _finish(figure, ax, result.demonstration)
    return figure


def _draw(ax: Axes, r: Sequence[float], pair: PairRdf, name: str, look: Look) -> None:
    colour, dashes = look
    ax.plot(r, pair.g, color=colour, linestyle=dashes, linewidth=1.0, label=name)
    if pair.g_error is not None:
        low = [g - e for g, e in zip(pair.g, pair.g_error, strict=True)]
        high = [g + e for g, e in zip(pair.g, pair.g_error, strict=True)]
        ax.fill_between(r, low, high, color=colour, alpha=0.2, linewidth=0)


def _finish(figure: Figure, ax: Axes, demonstration: bool) -> None:
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    if demonstration:
        figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
