"""``jaxft models``: foreign files are converted and described; what is wrong is one line and exit code 2."""

import sys

import numpy as np
import pytest
from mace_models import model_file

import jaxft
from jaxft.cli import main as cli


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["jaxft", "models", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_a_mace_file_is_converted_with_the_head_asked_for(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "convert", model_file("density"), tmp_path / "folder", "--head", "r2scan") == 0
    assert "3 elements" in capsys.readouterr().out
    converted, direct = jaxft.load(tmp_path / "folder"), jaxft.load(model_file("density"), head="r2scan")
    assert converted.network == direct.network
    np.testing.assert_array_equal(converted.reference_energies, direct.reference_energies)


def test_the_head_is_asked_for_in_one_line(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "convert", model_file("density"), tmp_path / "folder") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "choose one with head=: 'pbe', 'r2scan'" in error
    assert not (tmp_path / "folder").exists()


def test_nothing_is_written_over(monkeypatch, capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert run(monkeypatch, "convert", model_file("agnostic"), tmp_path) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_info_says_where_a_model_came_from(monkeypatch, capsys):
    assert run(monkeypatch, "info", model_file("agnostic")) == 0
    printed = capsys.readouterr().out
    assert "elements    H O Cl" in printed
    assert "agnostic.model" in printed
