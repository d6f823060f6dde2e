"""How the command ends: the code and one line on the error stream, whatever went wrong."""

import sys

import pytest

from jaxft.cli import main as cli


def run_and_fail_with(monkeypatch, error, arguments=("schema",)):
    def schema():
        raise error

    monkeypatch.setattr(sys, "argv", ["jaxft", *arguments])
    monkeypatch.setattr("json.dumps", lambda *_, **__: schema())
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(monkeypatch, capsys):
    assert run_and_fail_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on from here\n"


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "/runs/x"), OSError(28, "No space left on device", "/runs/x")]
)
def test_what_the_system_refuses_is_one_line_and_no_bug(monkeypatch, capsys, error):
    assert run_and_fail_with(monkeypatch, error) == 2
    assert capsys.readouterr().err == f"error: {error.strerror}: /runs/x\n"


def test_a_bug_keeps_its_traceback_in_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run_and_fail_with(monkeypatch, RuntimeError("oh")) == 1
    assert capsys.readouterr().err.startswith("bug: RuntimeError: oh. Please report it with ")
    assert "RuntimeError: oh" in (tmp_path / "jaxft-error.log").read_text()


def test_an_unknown_command_is_a_usage_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jaxft", "rum"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "rum" in capsys.readouterr().err


def test_help_ends_with_0(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jaxft", "--help"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert "check" in capsys.readouterr().out
