"""A report from records alone, as often as one likes."""

import json

import pytest

from jaxft.analysis.residuals import residuals_record, write_residuals
from jaxft.errors import InputError
from jaxft.report.report import report


@pytest.fixture
def run_folder(whole_study, tmp_path):
    """A run with its records and nothing else."""
    path = tmp_path / "run"
    write_residuals(path / "evaluation" / "residuals.json", residuals_record(whole_study, demonstration=True))
    (path / "record.json").write_text(json.dumps({"format": "any", "format_version": 1, "commit": "abc"}))
    return path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_written_and_named(run_folder):
    made = report(run_folder)
    written = set(contents(run_folder / "report"))
    assert written == {"index.html", "figures/residuals.png", "figures/scores.png", "scores.csv", "residuals.csv"}
    named = {str(path.relative_to(run_folder / "report")) for path in (made.page, *made.figures, *made.tables)}
    assert named == written
    assert "abc" in made.page.read_text()


def test_a_second_call_writes_the_same_bytes(run_folder):
    report(run_folder)
    before = contents(run_folder)
    report(run_folder)
    assert contents(run_folder) == before


def test_a_run_with_some_models_says_what_is_missing(run_folder, whole_study):
    names = [test.name for test in whole_study]
    record = residuals_record(whole_study[:2], demonstration=False, planned=names)
    write_residuals(run_folder / "evaluation" / "residuals.json", record)
    (run_folder / "record.json").unlink()
    text = report(run_folder).page.read_text()
    assert "Not tested yet: N-31pts, N-50pts, FT1, FT2, FT3." in text
    assert "No periodic model has been tested" in text


def test_a_figure_that_can_no_longer_be_drawn_does_not_stay(run_folder, whole_study):
    report(run_folder)
    write_residuals(
        run_folder / "evaluation" / "residuals.json", residuals_record(whole_study[:1], demonstration=False)
    )
    report(run_folder)
    assert not (run_folder / "report" / "figures" / "scores.png").exists()


def test_a_run_without_evaluation_is_a_one_line_error(tmp_path):
    with pytest.raises(InputError, match=r"residuals\.json does not exist"):
        report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_record_is_named_before_anything_is_written(run_folder):
    (run_folder / "record.json").write_text("{")
    with pytest.raises(InputError, match=r"record\.json is not JSON"):
        report(run_folder)
    assert not (run_folder / "report").exists()
