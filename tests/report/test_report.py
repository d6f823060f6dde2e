"""A report from records alone, as often as one likes."""

import csv
import json
import shutil

import pytest
from synthetic_records import write_run

from jaxft.analysis.residuals import residuals_record, write_residuals
from jaxft.errors import InputError
from jaxft.labels.label import Cost, Label, Provenance
from jaxft.labels.store import open_store
from jaxft.report.report import report
from jaxft.report.sections import FIGURES, TABLES


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """A run folder with every record, and its report."""
    root = write_run(tmp_path_factory.mktemp("run") / "whole")
    report(root)
    return root


@pytest.fixture
def run_folder(made_once, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(made_once, tmp_path / "run")


@pytest.fixture
def bare_folder(whole_study, tmp_path):
    """A run with tests of models and nothing else."""
    path = tmp_path / "bare"
    write_residuals(path / "evaluation" / "residuals.json", residuals_record(whole_study, demonstration=True))
    (path / "record.json").write_text(json.dumps({"format": "any", "format_version": 1, "commit": "abc"}))
    return path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_everything_is_written_and_named(bare_folder):
    made = report(bare_folder)
    written = set(contents(bare_folder / "report"))
    assert written >= {"index.html", "figures/residuals.png", "figures/scores.png", "scores.csv", "residuals.csv"}
    named = {str(path.relative_to(bare_folder / "report")) for path in (made.page, *made.figures, *made.tables)}
    assert named == written
    assert "abc" in made.page.read_text()


def test_every_figure_and_table_of_a_whole_run_is_known_by_name(made_once):
    written = set(contents(made_once / "report"))
    assert {name for name in written if name.endswith(".png")} == {
        f"figures/{name}.png" for name in FIGURES if name != "production"
    }
    without = {"production", "production_residuals"}
    assert {name for name in written if name.endswith(".csv")} == {
        f"{name}.csv" for name in TABLES if name not in without
    }


def test_a_second_call_writes_the_same_bytes(run_folder):
    before = contents(run_folder)
    report(run_folder)
    assert contents(run_folder) == before


def test_a_run_with_some_models_says_what_is_missing(bare_folder, whole_study):
    names = [test.name for test in whole_study]
    record = residuals_record(whole_study[:2], demonstration=False, planned=names)
    write_residuals(bare_folder / "evaluation" / "residuals.json", record)
    (bare_folder / "record.json").unlink()
    text = report(bare_folder).page.read_text()
    assert "Not tested yet: N-31pts, N-50pts, FT1, FT2, FT3." in text
    assert "No periodic model has been tested" in text


def test_a_figure_that_can_no_longer_be_drawn_does_not_stay(run_folder):
    (run_folder / "evaluation" / "coverage.json").unlink()
    report(run_folder)
    for name in ("figures/coverage.png", "figures/bonds.png", "coverage_shares.csv"):
        assert not (run_folder / "report" / name).exists()
    assert (run_folder / "report" / "figures" / "roc.png").exists()


def test_a_damaged_record_is_named_and_the_rest_is_made(run_folder):
    (run_folder / "evaluation" / "qresidual.json").write_text('{"format": "jaxft-qresidual", "format_version": 1}')
    text = report(run_folder).page.read_text()
    assert "Left out: evaluation/qresidual.json is damaged" in text
    assert "What the training sets cover" in text
    assert "Does Q know" not in text


def test_a_run_without_labels_yet_has_a_page(tmp_path):
    record = {"finished": False, "configuration": {"demonstration": True}, "seed": 3}
    (tmp_path / "record.json").write_text(json.dumps(record))
    text = report(tmp_path).page.read_text()
    for words in (
        "No model has been tested yet",
        "This run has not finished",
        "demonstration, not evidence",
        "No verdict",
    ):
        assert words in text


def test_a_folder_that_is_no_run_is_a_one_line_error(tmp_path):
    with pytest.raises(InputError, match=r"holds no record\.json and no evaluation"):
        report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_record_is_named_before_anything_is_written(bare_folder):
    (bare_folder / "record.json").write_text("{")
    with pytest.raises(InputError, match=r"record\.json is not JSON"):
        report(bare_folder)
    assert not (bare_folder / "report").exists()


def test_labels_are_counted_by_purpose_and_timed_by_the_store(run_folder):
    from ase import Atoms

    about = Provenance("made up", "1", {}, 0.0, None)
    one = Label(-1.0, [[0.0] * 3] * 2, None, about, Cost(7.0, 3600.0, "here"))
    with open_store(run_folder / "labels.db") as store:
        store.put("key", "settings", Atoms("H2", [[0, 0, 0], [0, 0, 1]]), one)
    report(run_folder)
    rows = {(row["what"], row["for"]): row for row in rows_of(run_folder / "report" / "costs.csv")}
    # three different energies in two datasets, one of which the store knows
    assert rows["labels", "training"] == {
        "what": "labels", "for": "training", "number": "3", "timed": "1", "cpu_h": "1", "wall_h": "0.00194444444",
    }  # fmt: skip
    assert rows["labels", "evaluation"]["timed"] == "0"
    assert rows["wall time", "fine-tuning"]["wall_h"] == "0.01"
    assert rows["updates", "fine-tuning"]["number"] == "1200"


def test_without_the_store_costs_say_why(made_once):
    assert "What labels cost is not known" in (made_once / "report" / "index.html").read_text()
