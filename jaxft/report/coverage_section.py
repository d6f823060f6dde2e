"""Coverage: what lies outside which training set, beside its null, and the map of the study (the paper's figures 3 and 4)."""

from jaxft.analysis.coverage import Share
from jaxft.analysis.coverage_record import Coverage
from jaxft.analysis.wording import percent
from jaxft.report.bond_figure import bond_figure
from jaxft.report.coverage_figure import coverage_pairs, map_figure, new_pairs
from jaxft.report.csv_text import csv_text
from jaxft.report.html import folded, paragraph, table
from jaxft.report.panel_plots import shares_plot
from jaxft.report.picture import Picture
from jaxft.report.plots import coverage_plot
from jaxft.report.records import Records
from jaxft.report.section import Section
from jaxft.report.shares_figure import shares_figure
from jaxft.report.style import png

MAP_LIMITS = (
    "At most a few hundred atoms of each set are drawn, and what lies beyond the axes is at their edge; the shares count all "
    "atoms, by nearest neighbor of their element in the retained space, not on this plane."
)
NO_ERROR = (
    "Shares have no error bar: atoms of one run are not independent. The null says what two halves of one set give."
)


def coverage_section(records: Records) -> Section | None:
    """None without ``coverage.json``."""
    record = records.coverage
    if record is None:
        return None
    said = [paragraph(f"Not in it: {', '.join(record.missing)}.", "notice")] if record.missing else []
    return Section(
        "What the training sets cover",
        (*said, *_pictures(record, records.residuals.demonstration), folded("All shares", _shares_table(record))),
        {"coverage_shares.csv": _shares_csv(record), "coverage_map.csv": _points_csv(record)},
    )


def _pictures(record: Coverage, demonstration: bool) -> list[Picture]:
    fitted = " and ".join(record.fitted_to)
    drawn = (
        (
            "shares",
            shares_figure(record, demonstration),
            f"Share of the atoms that a model meets in its own dynamics outside its training set, element by element. {NO_ERROR}",
            "Share of atoms outside against models, a panel for each element, with the null beside it.",
            shares_plot(record),
        ),
        (
            "coverage",
            map_figure(record, coverage_pairs(record), demonstration),
            f"Atoms on the first two principal components of the descriptors, fitted once to {fitted}. {MAP_LIMITS}",
            "PC1 against PC2, one set of atoms over another in each panel.",
            coverage_plot(record),
        ),
        (
            "new",
            map_figure(record, new_pairs(record), demonstration),
            "What each periodic model visits that neither its training set nor the tests of the models before it hold. "
            "Drawn as above.",
            "PC1 against PC2, the test of each periodic model over everything before it.",
            None,
        ),
        (
            "bonds",
            bond_figure(record, demonstration),
            "The map coloured by the length of each atom's nearest bond of the chosen kind; atoms without one are left "
            "out. Else as above.",
            "PC1 against PC2, coloured by bond length, for training sets and for own dynamics.",
            None,
        ),
    )
    return [
        Picture(name, png(figure), caption, alternative, plot)
        for name, figure, caption, alternative, plot in drawn
        if figure is not None
    ]


def _all_shares(record: Coverage) -> tuple[Share, ...]:
    return (*record.shares, *record.new)


def _shares_table(record: Coverage) -> str:
    heads = [
        ("of", ""),
        ("outside", ""),
        ("element", ""),
        ("share", ""),
        ("null", ""),
        ("on the grid", ""),
        ("null", ""),
        ("atoms", ""),
    ]
    return table(
        heads,
        words=("outside", "element"),
        rows=[
            (
                s.of,
                s.outside,
                s.element,
                percent(s.share),
                percent(s.null),
                percent(s.cells),
                percent(s.cells_null),
                str(s.atoms),
            )
            for s in _all_shares(record)
        ],
    )


def _shares_csv(record: Coverage) -> str:
    return csv_text(
        ["of", "outside", "element", "share", "null", "share_on_grid", "null_on_grid", "atoms"],
        ([s.of, s.outside, s.element, s.share, s.null, s.cells, s.cells_null, s.atoms] for s in _all_shares(record)),
    )


def _points_csv(record: Coverage) -> str:
    return csv_text(
        ["set", "frame", "atom", "element", "pc1", "pc2", "bond_angstrom"],
        ([p.set, p.frame, p.atom, p.element, p.pc1, p.pc2, p.bond] for p in record.points),
    )
