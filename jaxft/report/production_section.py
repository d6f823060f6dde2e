"""Long runs of single models with reference checks: the residual along each, how long it lasted, and its scores."""

from collections.abc import Sequence
from dataclasses import replace

from jaxft.analysis.residuals import Residuals
from jaxft.report.html import paragraph
from jaxft.report.picture import Picture
from jaxft.report.plots import residual_plot
from jaxft.report.records import Records
from jaxft.report.residual_figure import residual_figure
from jaxft.report.scores_html import scores_html
from jaxft.report.section import Section
from jaxft.report.style import png
from jaxft.report.tables import scores_csv, series_csv

NOTE = "One long run is one sample: no event and no end in a time T means a rate below 3/T (95 %)."


def production_section(records: Records) -> Section | None:
    """None without production runs."""
    if not records.production:
        return None
    result = together(records.production)
    blocks: list[str | Picture] = [paragraph(NOTE)]
    figure = residual_figure(result)
    if figure is not None:
        blocks.append(
            Picture(
                "production",
                png(figure),
                "Signed residual per atom along production, at the frames that the reference checked. Thick: mean over the "
                "plateau, with its band ± standard error where the run is long enough for one.",
                "Residual in meV/atom against time in ps in production.",
                residual_plot(result),
            )
        )
    blocks.append(scores_html(result))
    return Section(
        "Production",
        tuple(blocks),
        {"production.csv": scores_csv(result), "production_residuals.csv": series_csv(result)},
    )


def together(parts: Sequence[Residuals]) -> Residuals:
    """All production runs as one record, to be drawn like tests."""
    models = tuple(model for part in parts for model in part.models)
    return replace(
        parts[0], demonstration=any(part.demonstration for part in parts), models=models, planned=(), settings={}
    )
