"""The table on the terminal and the CSV files."""

import csv
import io

import pytest
from rich.console import Console

from jaxft.report.tables import scores_csv, series_csv, terminal_table


def printed(result, width=100):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal_table(result))
    return console.file.getvalue()


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_demonstration_is_headed_so(whole, short):
    assert printed(whole).startswith("demonstration, not evidence")
    assert "demonstration" not in printed(short)


def test_rows_are_the_models_in_order(whole):
    lines = printed(whole).splitlines()
    rows = [line.split()[0] for line in lines if "±" in line]
    assert rows == ["base", "N-10pts", "N-31pts", "N-50pts", "FT1", "FT2", "FT3"]
    assert "base + offset" in printed(whole)


def test_nothing_is_shortened_in_eighty_columns(whole, short):
    for result in (whole, short):
        text = printed(result, width=80)
        assert "…" not in text
        assert max(len(line) for line in text.splitlines()) <= 80


def test_numbers_are_those_of_the_record(whole):
    periodic = next(model for model in whole.models if model.name == "FT3")
    (line,) = [line for line in printed(whole).splitlines() if line.startswith("FT3")]
    value = float(line.split()[2].replace("−", "-"))
    assert value == pytest.approx(1e3 * periodic.scores.plateau.residual.value, abs=0.1)
    assert f"{1e3 * periodic.scores.forces.rmse.value:.1f}" in line


def test_a_missing_error_bar_is_explained_once(short):
    text = printed(short)
    assert text.count("too short for an error bar") == 1
    assert "no labelled frame" in text


def test_ends_are_told_with_time_and_reason(whole):
    text = " ".join(printed(whole).split())
    assert "N-10pts: seed 1 at 3.10 ps (two atoms too close)" in text
    assert "FT2: seed 2 at 3.50 ps (label failed: not converged)" in text


def test_models_that_are_not_there_yet_are_named(short):
    assert "Not tested yet: N-31pts." in printed(short)


def test_csv_has_all_digits_and_reasons(whole, short):
    row = read(scores_csv(whole))[6]
    plateau = whole.models[6].scores.plateau
    assert row["model"] == "FT3"
    assert float(row["plateau_mev_per_atom"]) == pytest.approx(1e3 * plateau.residual.value, rel=1e-8)
    assert float(row["plateau_error_offset_mev_per_atom"]) == pytest.approx(1e3 * plateau.error_offset, rel=1e-8)
    assert float(row["force_rmse_O_mev_per_angstrom"]) > 0
    bare = read(scores_csv(short))[0]
    assert bare["plateau_error_mev_per_atom"] == ""
    assert bare["plateau_note"] == "too short for an error bar"


def test_csv_of_the_series_has_every_frame(whole):
    rows = read(series_csv(whole))
    assert len(rows) == sum(len(series.times_fs) for model in whole.models for series in model.seeds)
    (failed,) = [row for row in rows if row["failure"]]
    assert (failed["model"], failed["seed"], failed["residual_mev_per_atom"]) == ("FT2", "2", "")


def test_no_models_still_gives_tables(recorded):
    nothing = recorded([], planned=["base"])
    assert "No model has been tested yet." in printed(nothing)
    assert read(series_csv(nothing)) == []
    assert read(scores_csv(nothing)) == []
