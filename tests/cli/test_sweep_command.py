"""``jaxft sweep``: a small real sweep, killed and continued, vectorized, pruned, refused."""

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import typer
import yaml
from ase import units
from ase.io import write
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from test_finetune_command import jaxft_command, waters

import jaxft
from jaxft.cli.sweep import help_with, sweep
from jaxft.errors import InputError
from jaxft.study import sweep_trials, sweeping

SWEEP = """
data: {path: waters.extxyz}
finetune: {updates: 20, batch_size: 4, validate_every: 10}
validation: {share: 0.25}
sweep:
  trials: 4
  settings:
    finetune.learning_rate: {low: 1.0e-5, high: 1.0e-2, log: true}
    finetune.ema_decay: {choices: [0.0, 0.9]}
"""

RESULT = SimpleNamespace(failure=None)
"""What a fit gives where a test trains nothing."""


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "waters.extxyz", waters(12), format="extxyz")
    return tmp_path


def written(folder, text=SWEEP):
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def rows(folder):
    return list(csv.DictReader((folder / "out" / "trials.csv").read_text().splitlines()))


def test_a_sweep_that_is_killed_goes_on_and_its_winner_can_be_used(folder):
    config = written(folder)
    command = [sys.executable, "-m", "jaxft", "sweep", str(config), "-o", str(folder / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = folder / "out" / "journal.log"
    began = time.monotonic()
    while time.monotonic() - began < 120 and (not journal.exists() or journal.read_text().count('"trial_id":1') < 1):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = jaxft_command("sweep", config, "-o", folder / "out")
    assert done.returncode == 0, done.stderr
    found = rows(folder)
    assert len(found) == 4
    assert {row["state"] for row in found} == {"complete"}
    values = [float(row["objective"]) for row in found]
    assert values == sorted(values)
    best = yaml.safe_load((folder / "out" / "best.yaml").read_text())
    assert best["finetune"]["learning_rate"] == float(found[0]["finetune.learning_rate"])
    assert (folder / "out" / "figures" / "importance.png").stat().st_size > 5_000
    again = jaxft_command("sweep", config, "-o", folder / "out")
    assert again.returncode == 0
    assert len(rows(folder)) == 4
    used = jaxft_command(
        "finetune", folder / "waters.extxyz", "-c", folder / "out" / "best.yaml", "-o", folder / "tuned"
    )
    assert used.returncode == 0, used.stderr
    errors = json.loads((folder / "tuned" / "evaluation.json").read_text())["sets"]["validation"]["after"]
    assert errors["forces_mev"]["rmse"] == pytest.approx(values[0], rel=1e-3)


def test_trials_run_in_worker_processes(folder):
    config = written(folder, SWEEP + "jobs: {executor: processes, workers: 2}\n")
    done = jaxft_command("sweep", config, "-o", folder / "out")
    assert done.returncode == 0, done.stderr
    assert len(rows(folder)) == 4
    assert {row["state"] for row in rows(folder)} == {"complete"}
    storage = JournalStorage(JournalFileBackend(str(folder / "out" / "journal.log")))
    trials = optuna.load_study(study_name="sweep", storage=storage).trials
    workers = {trial.user_attrs["process"][1] for trial in trials}
    assert 1 <= len(workers) <= 2
    assert os.getpid() not in workers
    # the same sweep in one process is the same study, and may have more trials
    again = jaxft_command("sweep", written(folder, SWEEP.replace("trials: 4", "trials: 5")), "-o", folder / "out")
    assert again.returncode == 0, again.stderr
    assert len(rows(folder)) == 5


@pytest.mark.slow
@pytest.mark.skipif(find_spec("parsl") is None, reason="parsl is not installed: pip install 'jaxft[cluster]'")
def test_trials_run_in_workers_of_parsl(folder, monkeypatch):
    monkeypatch.chdir(folder)  # where Parsl keeps its logs
    config = written(folder, SWEEP + "jobs: {executor: parsl, cluster: {workers_per_node: 2}}\n")
    done = jaxft_command("sweep", config, "-o", folder / "out")
    assert done.returncode == 0, done.stderr
    assert {row["state"] for row in rows(folder)} == {"complete"}
    assert len(rows(folder)) == 4
    assert (folder / "parsl").is_dir()


def test_a_population_trains_as_one_program(folder):
    text = SWEEP.replace("trials: 4", "trials: 6\n  vectorized: true\n  population: 3")
    done = jaxft_command("sweep", written(folder, text), "-o", folder / "out")
    assert done.returncode == 0, done.stderr
    found = rows(folder)
    assert len(found) == 6
    assert len({row["objective"] for row in found}) == 6


def test_trials_that_lag_behind_are_pruned_and_have_no_objective(folder):
    # one choice learns and the other hardly moves, so what is drawn after the four that must end is known to lag
    text = SWEEP.replace("trials: 4", "trials: 8\n  prune: true").replace(
        "{low: 1.0e-5, high: 1.0e-2, log: true}", "{choices: [1.0e-3, 1.0e-9]}"
    )
    done = jaxft_command("sweep", written(folder, text), "-o", folder / "out")
    assert done.returncode == 0, done.stderr
    found = rows(folder)
    states = [row["state"] for row in found]
    assert len(found) == 8
    assert states == sorted(states)
    assert "pruned" in states
    assert {row["objective"] for row in found if row["state"] == "pruned"} == {""}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("finetune.ema_decay: {choices: [0.0, 0.9]}", "finetune.ema_deacy: {choices: [0.0]}"),
            "did you mean 'ema_decay'",
        ),
        (
            ("finetune.ema_decay: {choices: [0.0, 0.9]}", "finetun.ema: {choices: [0.0]}"),
            "there is no section 'finetun'",
        ),
        (("{choices: [0.0, 0.9]}", "{low: 0.5}"), "expected low and high, or choices"),
        (("{choices: [0.0, 0.9]}", "{choices: [0.0, 0.9], log: true}"), "log say nothing beside choices"),
        (
            ("finetune.ema_decay: {choices: [0.0, 0.9]}", "finetune.batch_size: {low: 1.0, high: 4.0}"),
            "expected whole numbers",
        ),
        (("share: 0.25", "share: 0.08", "trials: 4", "trials: 4\n  objective: energy"), "one validation structure"),
        (("low: 1.0e-5", "low: -1.0"), "low > 0 where log is set"),
        (("trials: 4", "trials: 4\n  objective: force"), "did you mean 'forces'"),
        (("share: 0.25", "share: 0.0"), "set validation.share above 0"),
        (("trials: 4", "trials: 4\n  vectorized: true\n  prune: true"), "leave one out"),
        (
            ("finetune.ema_decay: {choices: [0.0, 0.9]}", "finetune.batch_size: {low: 1, high: 4}\n  vectorized: true"),
            "finetune.batch_size is compiled in",
        ),
        (
            ("finetune.ema_decay: {choices: [0.0, 0.9]}", "finetune.weights.forces: {choices: [1.0]}\n  prune: true"),
            "finetune.weights.forces changes what they mean",
        ),
        (("finetune.ema_decay: {choices: [0.0, 0.9]}", "validation.share: {choices: [0.1, 0.2]}"), "the same for all"),
        (("finetune.ema_decay: {choices: [0.0, 0.9]}", "data.energy_key: {choices: [a, b]}"), "the same for all"),
        (("finetune.ema_decay: {choices: [0.0, 0.9]}", "precision: {choices: [float32, float64]}"), "the same for all"),
        (
            (
                "{share: 0.25}",
                "{share: 0.25, by: random}\nseed: 3",
                "finetune.ema_decay: {choices: [0.0, 0.9]}",
                "seed: {low: 0, high: 9}",
            ),
            "the seed draws the validation structures",
        ),
        (("validation:", "precision: flaot32\nvalidation:"), "did you mean 'float32'"),
        (
            ("[0.0, 0.9]", "[0.0, 1.5]"),
            r"ema_decay is 1.5, expected a number from 0 to below 1 \(finetune.ema_decay: 1.5\)",
        ),
        (("high: 1.0e-2, log: true}", "high: 1.0e-2}\n    finetune.updates: {low: 0, high: 9}"), "updates is 0"),
        (
            ("finetune.ema_decay: {choices: [0.0, 0.9]}", "base: {choices: [cobalt-mini, cobalt-minni]}"),
            "no potential 'cobalt-minni'.*did you mean 'cobalt-mini'",
        ),
        (
            ("finetune.ema_decay: {choices: [0.0, 0.9]}", "finetune.weights.stress: {choices: [0.0, 1.0]}"),
            r"stress.*finetune.weights.stress: 1.0",
        ),
    ],
)
def test_bad_sweeps_are_named_before_anything_is_trained_or_written(folder, change, words):
    text = SWEEP
    for old, new in zip(change[::2], change[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(InputError, match=words):
        sweep(written(folder, text), output=folder / "out")
    assert not (folder / "out").exists()


def test_labels_in_other_units_are_refused_unless_they_are_trusted(folder, monkeypatch):
    frames = waters(12)
    for atoms in frames:
        atoms.info["dft_energy"] /= units.Hartree
        atoms.arrays["dft_forces"] *= units.Bohr / units.Hartree
    write(folder / "waters.extxyz", frames, format="extxyz")
    (folder / "out").mkdir()
    with pytest.raises(InputError, match=r"look like Hartree/Bohr.*or say with trust_units: true"):
        sweep(written(folder), output=folder / "out")
    assert not list((folder / "out").iterdir())

    def begun(*_):
        raise InterruptedError

    monkeypatch.setattr(sweeping, "_next", begun)
    with pytest.raises(InterruptedError):
        sweep(written(folder, SWEEP + "trust_units: true\n"), output=folder / "out")


def test_all_trials_are_compared_on_the_same_structures(folder, monkeypatch):
    compared = []
    monkeypatch.setattr(
        sweeping, "fit_members", lambda *_, extras, **__: compared.append(extras.validation) or [RESULT]
    )
    monkeypatch.setattr(sweeping, "_objective", lambda *_: float(len(compared)))
    text = SWEEP.replace("finetune.ema_decay: {choices: [0.0, 0.9]}", "seed: {low: 0, high: 100}")
    sweep(written(folder, text), output=folder / "out")
    assert len(compared) == 4
    assert all(one is compared[0] for one in compared)


def test_choices_that_do_not_go_together_fail_and_are_not_tried_for_ever(folder, monkeypatch):
    monkeypatch.setattr(sweeping, "fit_members", lambda _, __, members, **___: [RESULT] * len(members))
    values = itertools.count(1.0)
    monkeypatch.setattr(sweeping, "_objective", lambda *_: next(values))
    text = SWEEP.replace("trials: 4", "trials: 12\n  vectorized: true\n  population: 6").replace(
        "finetune.ema_decay: {choices: [0.0, 0.9]}",
        "finetune.weights.energy: {choices: [1.0, 0.0]}\n    finetune.weights.forces: {choices: [10.0, 0.0]}",
    )
    with pytest.raises(typer.Exit):
        sweep(written(folder, text), output=folder / "out")
    zero = {
        row["trial"]
        for row in rows(folder)
        if float(row["finetune.weights.energy"]) == float(row["finetune.weights.forces"]) == 0.0
    }
    assert zero
    failed = [row for row in rows(folder) if row["state"] == "fail"]
    assert zero == {row["trial"] for row in failed}
    assert all("nothing to learn" in row["failure"] for row in failed)
    assert len(rows(folder)) == 12


def test_a_trial_that_nobody_signed_is_given_back_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_trials, "SIGNED_AFTER_S", 0.0)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    study = optuna.create_study(storage=storage, study_name="sweep")
    orphan = study.ask({"x": optuna.distributions.FloatDistribution(0.0, 1.0)})
    sweep_trials.bury(study)
    assert sweep_trials.count(study, begun=True) == 0
    assert study.ask({"x": optuna.distributions.FloatDistribution(0.0, 1.0)}).params == orphan.params


def test_settings_that_crash_end_the_sweep_once_and_then_fail_and_it_goes_on(folder, monkeypatch):
    crashed = []

    def fit(*_, **__):
        if len(crashed) < 2:
            crashed.append(True)
            raise MemoryError("no room for a batch\nand much more")
        return [RESULT]

    monkeypatch.setattr(sweeping, "fit_members", fit)
    monkeypatch.setattr(sweeping, "_objective", lambda *_: 1.0)
    with pytest.raises(MemoryError):
        sweep(written(folder), output=folder / "out")
    with pytest.raises(typer.Exit):
        sweep(written(folder), output=folder / "out")
    states = [row["state"] for row in rows(folder)]
    assert states == ["complete"] * 3 + ["fail"]
    assert rows(folder)[-1]["failure"] == "tried 2 times: MemoryError: no room for a batch"


def test_other_validation_labels_or_another_of_the_bases_are_another_sweep(folder, monkeypatch):
    monkeypatch.setattr(sweeping, "fit_members", lambda *_, **__: [RESULT])
    monkeypatch.setattr(sweeping, "_objective", lambda *_: 1.0)
    jaxft.load("cobalt-mini").save(folder / "own")
    config = written(folder, SWEEP + "    base: {choices: [cobalt-mini, own]}\n")
    sweep(config, output=folder / "out")
    content = json.loads((folder / "out" / "record.json").read_text())["content"]
    assert set(content) == {"base", "base own", "train", "validation"}
    config.write_text(config.read_text().replace("trials: 4", "trials: 5"))
    own = jaxft.load("cobalt-mini")
    replace(own, reference_energies=own.reference_energies + 1.0).save(folder / "own")
    with pytest.raises(InputError, match="another base own of the same name"):
        sweep(config, output=folder / "out")
    frames = waters(12)
    # the last quarter is set aside
    frames[-1].info["dft_energy"] += 0.01
    write(folder / "waters.extxyz", frames, format="extxyz")
    with pytest.raises(InputError, match=r"labels of .*waters.extxyz changed"):
        sweep(config, output=folder / "out")


def test_an_objective_that_is_not_finite_fails_with_a_reason(folder, monkeypatch):
    monkeypatch.setattr(sweeping, "fit_members", lambda *_, **__: [RESULT])
    values = iter([1.0, float("nan"), 2.0, float("inf")])
    monkeypatch.setattr(sweeping, "_objective", lambda *_: next(values))
    with pytest.raises(typer.Exit):
        sweep(written(folder), output=folder / "out")
    assert [row["failure"] for row in rows(folder) if row["state"] == "fail"] == [
        "the objective is not finite (nan)",
        "the objective is not finite (inf)",
    ]


def test_the_loss_of_a_trial_is_the_smallest_that_is_a_number():
    result = SimpleNamespace(validation=np.array([np.nan, 2.0, 1.0, np.nan]))
    assert sweeping._objective("loss", result, None, "float32") == 1.0
    lost = SimpleNamespace(validation=np.array([np.nan]))
    assert np.isnan(sweeping._objective("loss", lost, None, "float32"))


def test_a_worker_that_reads_another_configuration_than_the_folder_has_refuses(folder, monkeypatch):
    monkeypatch.setattr(sweeping, "fit_members", lambda *_, **__: [RESULT])
    monkeypatch.setattr(sweeping, "_objective", lambda *_: 1.0)
    config = written(folder)
    sweep(config, output=folder / "out")
    config.write_text(SWEEP.replace("updates: 20", "updates: 30").replace("trials: 4", "trials: 5"))
    with pytest.raises(InputError, match=r"differs in finetune.updates"):
        help_with((str(config), str(folder / "out"), "run"))


def test_a_worker_reads_the_labels_once_for_all_its_trials_and_a_finished_sweep_looks_at_nothing_again(
    folder, monkeypatch
):
    monkeypatch.setattr(sweeping, "fit_members", lambda *_, **__: [RESULT])
    monkeypatch.setattr(sweeping, "_objective", lambda *_: 1.0)
    config = written(folder)
    sweep(config, output=folder / "out")
    config.write_text(SWEEP.replace("trials: 4", "trials: 6"))
    read = []
    read_labels = sweeping.read_labels
    monkeypatch.setattr(sweeping, "read_labels", lambda one: read.append(one) or read_labels(one))
    task = (str(config), str(folder / "out"), "run of two")
    assert [help_with(task) for _ in range(3)] == [1, 1, 0]
    assert len(read) == 1
    monkeypatch.setattr(sweeping, "check_units", lambda *_: pytest.fail("looked at again"))
    sweep(config, output=folder / "out")
    assert len(rows(folder)) == 6


def test_what_another_machine_left_is_taken_over_alone_only_and_the_table_is_never_cut(folder, monkeypatch, capsys):
    monkeypatch.setattr(sweeping, "fit_members", lambda *_, **__: [RESULT])
    monkeypatch.setattr(sweeping, "_objective", lambda *_: 1.0)
    monkeypatch.setenv("COLUMNS", "20")
    config = written(folder)
    sweep(config, output=folder / "out")
    assert "…" not in capsys.readouterr().out
    storage = JournalStorage(JournalFileBackend(str(folder / "out" / "journal.log")))
    left = optuna.load_study(study_name="sweep", storage=storage).ask()
    left.set_user_attr("process", ["elsewhere", os.getpid(), "another", "another"])
    config.write_text(SWEEP.replace("trials: 4", "trials: 5"))
    sweep(config, output=folder / "out")
    assert "still running elsewhere: 1 trials" in capsys.readouterr().out
    sweep(config, output=folder / "out", alone=True)
    assert len(rows(folder)) == 5
