"""The scores as a table for the terminal, and as CSV with all digits of the record."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from jaxft.analysis.arms import in_order
from jaxft.analysis.estimate import Estimate
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.analysis.wording import in_mev, in_ps
from jaxft.report.csv_text import csv_text
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.rows import COLUMNS, notices, scores_table

TITLE = "scores of each model in its own dynamics"

SUPERSCRIPTS = str.maketrans("abcdefghijklmnoprstuvwxyz0123456789,", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ⁰¹²³⁴⁵⁶⁷⁸⁹˒")


def terminal_table(result: Residuals) -> Table:
    """A rich table; its heading says so where the run is a demonstration, its footnotes say why an error is missing."""
    table = scores_table(result)
    title = f"{DISCLAIMER}: {TITLE}" if result.demonstration else TITLE
    footnotes = [*notices(result), *(f"{letter}  {note}" for letter, note in table.footnotes.items())]
    drawn = Table(
        title=Text(title, style="bold"),
        caption=Text("\n".join(["", *footnotes])) if footnotes else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    shown = [k for k, column in enumerate(COLUMNS) if column.narrow]
    for k in shown:
        heading, unit = COLUMNS[k].heading, COLUMNS[k].unit
        label = Text(heading.replace(" ", "\n") + (f"\n{unit}" if unit else ""))
        drawn.add_column(label, justify="left" if k == 0 else "right", vertical="bottom", no_wrap=k > 0, min_width=5)
    for row in table.rows:
        drawn.add_row(*(Text(row[k].text + row[k].marks.translate(SUPERSCRIPTS)) for k in shown))
    return drawn


def scores_csv(result: Residuals) -> str:
    """One line for each model, all digits of the record; empty where nothing is known, with the reason beside it."""
    rows = [_scores_row(model) for model in in_order(result.models)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text(columns, ([row.get(name) for name in columns] for row in rows))


def series_csv(result: Residuals) -> str:
    """One line for each labelled frame: what the figure of residuals shows."""
    columns = ["model", "strategy", "labels", "seed", "time_ps", "residual_mev_per_atom", "on_plateau", "failure"]
    return csv_text(columns, (row for model in in_order(result.models) for row in _series_rows(model)))


def _scores_row(model: ModelResult) -> dict[str, Any]:
    s = model.scores
    return {
        "model": model.name,
        "strategy": model.strategy,
        "labels": model.budget,
        **_columns("plateau", "mev_per_atom", s.plateau.residual),
        "plateau_error_runs_mev_per_atom": in_mev(s.plateau.error_sampling),
        "plateau_error_offset_mev_per_atom": in_mev(s.plateau.error_offset),
        "plateau_median_mev_per_atom": in_mev(s.plateau.median),
        "all_frames_mean_mev_per_atom": in_mev(s.plateau.all_mean),
        "all_frames_median_mev_per_atom": in_mev(s.plateau.all_median),
        "n_frames": s.plateau.residual.n,
        "n_effective": s.plateau.residual.n_effective,
        **_columns("drift", "mev_per_atom", s.drift.drift),
        "training_mean_mev_per_atom": in_mev(s.drift.training_mean),
        **_columns("sd", "mev_per_atom", s.spread.sd),
        "sd_kt": s.spread.sd_kt,
        **_columns("force_rmse", "mev_per_angstrom", s.forces.rmse),
        "force_rmse_frame_median_mev_per_angstrom": in_mev(s.forces.frame_median),
        **{f"force_rmse_{e}_mev_per_angstrom": in_mev(x.value) for e, x in s.forces.by_element.items()},
        "survival_mean_ps": in_ps(s.survival.mean_fs),
        "survival_error_ps": in_ps(s.survival.mean_error_fs),
        "survival_horizon_ps": in_ps(s.survival.horizon_fs),
        "seeds": s.survival.n_seeds,
        "seeds_ended": s.survival.n_ended,
    }


def _columns(name: str, unit: str, estimate: Estimate) -> dict[str, Any]:
    return {
        f"{name}_{unit}": in_mev(estimate.value),
        f"{name}_error_{unit}": in_mev(estimate.error),
        f"{name}_note": estimate.why,
    }


def _series_rows(model: ModelResult) -> Iterable[list[Any]]:
    for series, settling in zip(model.seeds, model.scores.settlings, strict=True):
        head = [model.name, model.strategy, model.budget, series.seed]
        for k, (time, residual) in enumerate(zip(series.times_fs, series.residuals, strict=True)):
            late = "yes" if time >= settling.start_fs else "no"
            yield [*head, in_ps(time), in_mev(residual), late, series.failures.get(k)]
