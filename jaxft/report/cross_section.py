"""Cross-evaluation: every model on every model's frames, and its distance to the reference ensemble (the paper's figure 5)."""

from jaxft.analysis.cross import CrossRecord
from jaxft.analysis.wording import in_mev, in_ps, with_error
from jaxft.report.cross_figure import matrix_figure, tracks, tracks_figure
from jaxft.report.csv_text import csv_text
from jaxft.report.formatting import shown_name
from jaxft.report.html import paragraph, table
from jaxft.report.picture import Picture
from jaxft.report.plots import tracks_plot
from jaxft.report.records import Records
from jaxft.report.section import Section
from jaxft.report.style import png


def cross_section(records: Records) -> Section | None:
    """None without ``cross.json``."""
    record = records.cross
    if record is None:
        return None
    blocks: list[str | Picture] = []
    if record.missing:
        blocks.append(paragraph(f"Not in it: {', '.join(record.missing)}.", "notice"))
    blocks += _pictures(record, records)
    blocks.append(_distances(record))
    return Section(
        "Every model on every model's frames",
        tuple(blocks),
        {"cross.csv": _csv(record), "cross_energies.csv": _energies(record)},
    )


def _pictures(record: CrossRecord, records: Records) -> list[Picture]:
    result = records.residuals
    found = tracks(record, result)
    drawn = []
    figure = tracks_figure(found, result)
    if figure is not None:
        seeds = " and ".join(f"seed {track.seed} of {track.frames_of}" for track in found)
        drawn.append(
            Picture(
                "energies",
                png(figure),
                f"Energies of all models along the same frames ({seeds}), the reference as circles. Each model with the "
                "composition offset of its own training set; thick: the model whose dynamics it is. Single frames have no error "
                "bar.",
                "Energy per atom against time for every model, with the reference energies as circles.",
                tracks_plot(found),
            )
        )
    figure = matrix_figure(record, result.demonstration)
    if figure is not None:
        drawn.append(
            Picture(
                "matrix",
                png(figure),
                "Mean signed residual per atom and force RMSE of each model (rows) on the labelled frames of each model's "
                "dynamics (columns); the diagonal is a model on its own frames. No error bars: frames of one run are not "
                "independent; the spread over frames is in cross.csv.",
                "Two matrices: models against the frames they are evaluated on.",
            )
        )
    return drawn


def _distances(record: CrossRecord) -> str:
    if not record.distances:
        return paragraph(
            "The distance to the reference ensemble (score 6) needs frames of the reference's own dynamics "
            "(evaluation.common_set); there are none."
        )
    heads = [
        ("model", ""),
        ("distance to the reference ensemble", "kT of the box"),
        ("frames", "of the reference, of the model"),
    ]
    return table(
        heads,
        [
            (
                shown_name(d.model),
                with_error(d.distance, d.error) + ("" if d.error is not None else " (too few runs for an error)"),
                f"{d.frames_reference}, {d.frames_model}",
            )
            for d in record.distances
        ],
    )


def _csv(record: CrossRecord) -> str:
    elements = list(dict.fromkeys(element for cell in record.cells for element in cell.by_element))
    columns = [
        "model", "frames_of", "frames", "residual_mev_per_atom", "spread_mev_per_atom", "force_rmse_mev_per_angstrom",
        *(f"force_rmse_{element}_mev_per_angstrom" for element in elements),
    ]  # fmt: skip
    rows = (
        [
            c.model, c.frames_of, c.frames, in_mev(c.residual), in_mev(c.spread), in_mev(c.force_rmse),
            *(in_mev(c.by_element.get(element)) for element in elements),
        ]
        for c in record.cells
    )  # fmt: skip
    return csv_text(columns, rows)


def _energies(record: CrossRecord) -> str:
    rows = (
        [cell.model, cell.frames_of, seed, in_ps(time), in_mev(residual)]
        for cell in record.cells
        for seed, time, residual in zip(
            record.seeds.get(cell.frames_of, ()), record.times.get(cell.frames_of, ()), cell.energies, strict=False
        )
    )
    return csv_text(["model", "frames_of", "seed", "time_ps", "residual_mev_per_atom"], rows)
