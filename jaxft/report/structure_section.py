"""Structure and transport of each model's dynamics: pair distributions, coordination, bond lengths, diffusion."""

from collections.abc import Iterator
from typing import Any

from jaxft.analysis.structure_record import StructureRecord
from jaxft.analysis.wording import number, percent, with_error
from jaxft.report.csv_text import csv_text
from jaxft.report.html import bullets, folded, table
from jaxft.report.panel_plots import bond_lengths_plot, rdf_plot
from jaxft.report.picture import Picture
from jaxft.report.records import Records
from jaxft.report.section import Section
from jaxft.report.structure_figure import bond_lengths_figure, rdf_figure
from jaxft.report.style import png

SHELLS = 3
"""First shells that are named, the most frequent ones."""

NANO = 1e-9


def structure_section(records: Records) -> Section | None:
    """None without ``structure.json``."""
    record = records.structure
    if record is None:
        return None
    blocks: list[str | Picture] = list(_pictures(record, records))
    blocks.append(folded("Coordination numbers", _coordination(record)))
    blocks.append(folded("Diffusion", _diffusion(record)))
    missing = [f"{one.name}: {text}" for one in record.sets for text in one.missing]
    if missing:
        blocks.append(folded("What could not be made", bullets(missing)))
    return Section(
        "Structure", tuple(blocks), {"rdf.csv": _rdf_csv(record), "coordination.csv": _coordination_csv(record)}
    )


def _pictures(record: StructureRecord, records: Records) -> list[Picture]:
    result, found = records.residuals, []
    figure = rdf_figure(record, result)
    if figure is not None:
        why = next((one.rdf.why for one in record.sets if one.rdf is not None and one.rdf.why), None)
        bands = "Bands: ± standard error from blocks of the runs and from the spread between them"
        bands += f"; some have none: {why}." if why else "."
        found.append(
            Picture(
                "rdf",
                png(figure),
                f"Pair distributions in each model's own dynamics, up to half the box. {bands} "
                "A band from blocks shorter than the memory of the structure is too narrow.",
                "g(r) against distance, a panel for each pair of elements.",
                rdf_plot(record, result),
            )
        )
    figure = bond_lengths_figure(record, result)
    if figure is not None:
        beyond = ", ".join(
            f"{one.name} {percent(bond.beyond)}" for one in record.sets for bond in one.bonds if bond.beyond > 0.0
        )
        found.append(
            Picture(
                "bond_lengths",
                png(figure),
                "Distance of each atom to its nearest partner in each set; the tail is where bonds break. "
                f"{f'Beyond the last bin: {beyond}. ' if beyond else 'None is beyond the last bin. '}"
                "No error bars: lengths in one run are not independent.",
                "Distribution of a bond length on a logarithmic axis, a line for each set.",
                bond_lengths_plot(record, result),
            )
        )
    return found


def _coordination(record: StructureRecord) -> str:
    heads = [
        ("set", ""),
        ("center", ""),
        ("neighbors", ""),
        ("by ligand", ""),
        ("first shells", "share of the time"),
        ("error", ""),
    ]
    rows = [
        (
            one.name,
            c.center,
            with_error(c.number.value, c.number.error),
            ", ".join(f"{ligand} {with_error(e.value, e.error)}" for ligand, e in c.by_ligand.items()),
            ", ".join(f"{formula} {percent(share)}" for formula, share in c.shells[:SHELLS]),
            c.number.why or "±: standard error",
        )
        for one in record.sets
        for c in one.coordination
    ]
    return table(heads, rows, words=("center", "by ligand", "first shells", "error"))


def _diffusion(record: StructureRecord) -> str:
    heads = [
        ("set", ""),
        ("element", ""),
        ("D", "10⁻⁹ m²/s, not corrected for the box"),
        ("power of time", "1: diffusive"),
        ("note", ""),
    ]
    rows = [
        (
            one.name,
            d.element or "all",
            "–" if d.diffusion_m2_per_s is None else number(d.diffusion_m2_per_s / NANO),
            number(d.power),
            d.diffusion.why or "",
        )
        for one in record.sets
        for d in one.displacement
    ]
    return table(heads, rows, words=("element", "note"))


def _rdf_csv(record: StructureRecord) -> str:
    def rows() -> Iterator[list[Any]]:
        for one in record.sets:
            for pair in one.rdf.pairs if one.rdf is not None else ():
                assert one.rdf is not None, "pairs come from it"
                nothing = (None,) * len(pair.g)
                columns = (one.rdf.r, pair.g, pair.g_error or nothing, pair.neighbors, pair.neighbors_error or nothing)
                for r, g, g_error, n, n_error in zip(*columns, strict=True):
                    yield [one.name, *pair.elements, r, g, g_error, n, n_error]

    return csv_text(["set", "a", "b", "r_angstrom", "g", "g_error", "neighbors", "neighbors_error"], rows())


def _coordination_csv(record: StructureRecord) -> str:
    rows = (
        [one.name, c.center, c.number.value, c.number.error, c.number.why, formula, share]
        for one in record.sets
        for c in one.coordination
        for formula, share in c.shells
    )
    return csv_text(["set", "center", "neighbors", "error", "note", "shell", "share"], rows)
