"""Residuals and scores of every model in its own dynamics (the paper's figure 2)."""

from jaxft.analysis.residuals import Residuals
from jaxft.report.panel_plots import scores_plot
from jaxft.report.picture import Picture
from jaxft.report.plots import residual_plot
from jaxft.report.records import Records
from jaxft.report.residual_figure import residual_figure
from jaxft.report.scores_figure import scores_figure
from jaxft.report.scores_html import scores_html
from jaxft.report.section import Section
from jaxft.report.style import png
from jaxft.report.tables import scores_csv, series_csv


def residual_section(records: Records) -> Section | None:
    """Always there, with empty tables where nothing was tested."""
    result = records.residuals
    blocks: list[str | Picture] = list(residual_pictures(result))
    if result.models:
        blocks.append(scores_html(result))
    tables = {"scores.csv": scores_csv(result), "residuals.csv": series_csv(result)}
    return Section("Each model in its own dynamics", tuple(blocks), tables)


def residual_pictures(result: Residuals) -> list[Picture]:
    """Those that can be drawn; equal records give equal bytes."""
    found = []
    figure = residual_figure(result)
    if figure is not None:
        found.append(
            Picture(
                "residuals",
                png(figure),
                "Signed residual per atom, model minus reference, of each model along molecular dynamics of its own. Thin: "
                "one seed. Thick, with band: mean over the plateau ± standard error (of the runs and of the energy offset). "
                "Its level depends on the constant between both methods' energies; conclusions rest on the scores below.",
                "Residual in meV/atom against time in ps, a panel for each strategy, a colour for each number of labels.",
                residual_plot(result),
            )
        )
    figure = scores_figure(result)
    if figure is not None:
        found.append(
            Picture(
                "scores",
                png(figure),
                "Scores against the number of labels, ± standard error. Drift is free of the constant between both "
                "methods' energies; the plateau is not.",
                "Plateau, drift, spread and force error against the number of labels, for each strategy.",
                scores_plot(result),
            )
        )
    return found
