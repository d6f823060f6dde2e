"""The whole study, small but real: bundled potential, GFN1-xTB, four waters; finished once, killed often, equal bytes."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STUDY = """
system: {composition: {H2O: 4}, density_g_cm3: 1.0}
base: cobalt-mini
labels: {workers: 1}
md: {temperature: 300, friction_per_ps: 5.0, start_ps: 0.02, equilibrate_ps: 0.02, produce_ps: 0.04, frame_every: 4}
budgets: [2, 4]
naive: {replicas: 2}
finetune: {updates: 20, batch_size: 2, learning_rate: 1.0e-3}
evaluation: {labels_per_model: 4, test_ps: 0.04, seeds: 2, check_events: 1}
demonstration: true
"""


def command(config: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "jaxft", "run", str(config), "-o", str(folder)]


def results(folder: Path) -> dict[str, str]:
    """Hashes of all result files: everything but records of times and machines, the label store and checkpoints.

    The page and its table of costs tell how long things took, so they differ between equal runs.
    """
    skipped = {"record.json", "log.txt", "labels.db", "labels.db-wal", "labels.db-shm", "index.html", "costs.csv"}
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in skipped and path.parent.name != "checkpoints"
    }


@pytest.fixture(scope="module")
def environment():
    return {**os.environ, "JAX_ENABLE_X64": "0", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def undisturbed(study, environment):
    folder = study.parent / "undisturbed"
    done = subprocess.run(command(study, folder), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_it_ends_in_scores_of_every_model_and_a_report(undisturbed):
    folder, printed = undisturbed
    record = json.loads((folder / "evaluation" / "residuals.json").read_text())
    assert [model["name"] for model in record["models"]] == ["base", "N-2pts", "N-4pts", "FT1", "FT2"]
    for model in record["models"]:
        assert len(model["seeds"]) == 2
    assert "demonstration, not evidence" in printed
    assert (folder / "report" / "index.html").read_text().count("<img") >= 2
    assert (folder / "report" / "figures" / "residuals.png").stat().st_size > 10_000


def test_lineage_and_data_of_every_model_are_kept(undisturbed):
    folder, _ = undisturbed
    for strategy, name, parent in (
        ("naive", "N-4pts", "base"),
        ("periodic", "FT1", "base"),
        ("periodic", "FT2", "FT1"),
    ):
        provenance = json.loads((folder / strategy / "models" / name / "config.json").read_text())["provenance"]
        assert provenance["parent"] == parent
        assert (folder / strategy / "datasets" / f"{name}.extxyz").read_text().count("REF_energy") in (2, 4)


def test_a_finished_run_says_so_and_changes_nothing(undisturbed, study, environment):
    folder, _ = undisturbed
    before = results(folder)
    done = subprocess.run(command(study, folder), env=environment, capture_output=True, text=True, check=True)
    assert "finished; nothing to do" in done.stdout
    assert results(folder) == before


def test_killed_at_any_moment_it_ends_in_the_same_bytes(undisturbed, study, environment):
    folder = study.parent / "killed"
    kills = 0
    for patience in (9.0, 14.0, 20.0, 600.0):
        with (study.parent / "errors.txt").open("w") as errors:
            process = subprocess.Popen(
                command(study, folder), env=environment, stdout=subprocess.DEVNULL, stderr=errors
            )
            began = time.monotonic()
            while process.poll() is None and time.monotonic() - began < patience:
                time.sleep(0.05)
            killed = process.poll() is None
            if killed:
                process.send_signal(signal.SIGKILL)
            process.wait()
        if not killed:
            break
        kills += 1
    assert process.returncode == 0, (study.parent / "errors.txt").read_text()
    assert kills >= 1
    assert results(folder) == results(undisturbed[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed: 1", "another configuration (differs in seed)"),
        ("base: nowhere", "no potential 'nowhere'"),
        ("reference: {settings: {method: GFN9}}", "GFN9"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_touched(undisturbed, study, environment, change, words, tmp_path):
    folder = undisturbed[0] if change.startswith("seed") else tmp_path / "out"
    config = tmp_path / "study.yaml"
    name = change.split(":")[0]
    kept = [line for line in STUDY.splitlines() if not line.startswith(name + ":")]
    config.write_text("\n".join([*kept, change]))
    before = results(folder) if folder.exists() else None
    done = subprocess.run(command(config, folder), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert (results(folder) if folder.exists() else None) == before


def test_an_element_that_the_base_lacks_is_named(study, environment, tmp_path):
    config = tmp_path / "study.yaml"
    config.write_text(STUDY.replace("{H2O: 4}", "{H2O: 4, KCl: 1}"))
    done = subprocess.run(
        command(config, tmp_path / "out"), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "does not know K" in done.stderr
    assert not (tmp_path / "out").exists()


def analysed(folder, environment):
    """Analyse a run again; what is said."""
    command = [sys.executable, "-m", "jaxft", "analyze", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_analysis_is_part_of_it_and_can_be_made_again(undisturbed, environment):
    folder, _ = undisturbed
    records = {
        name: folder / "evaluation" / f"{name}.json"
        for name in ("coverage", "qresidual", "cross", "events", "structure")
    }
    q, cross = (json.loads(records[name].read_text()) for name in ("qresidual", "cross"))
    assert {(m["name"], m["descriptors"]) for m in q["models"]} == {
        (name, kind) for name in ("N-2pts", "N-4pts", "FT1", "FT2") for kind in ("base", "own")
    }
    assert all(len(t["times_fs"]) == 20 for m in q["models"] if m["descriptors"] == "base" for t in m["timelines"])
    assert {(cell["model"], cell["frames_of"]) for cell in cross["cells"]} == {
        (one, other)
        for one in ("base", "N-2pts", "N-4pts", "FT1", "FT2")
        for other in ("base", "N-2pts", "N-4pts", "FT1", "FT2")
    }
    events = json.loads(records["events"].read_text())
    assert len(events["runs"]) == 5 * 2
    checks = json.loads((folder / "evaluation" / "event_checks.json").read_text())
    assert checks["events"] == sum(len(run["report"]["events"]) for run in events["runs"])
    assert len(checks["checks"]) == min(checks["wanted"], checks["events"])
    structure = json.loads(records["structure"].read_text())
    assert [s["name"] for s in structure["sets"]] == [
        f"test {name}" for name in ("base", "N-2pts", "N-4pts", "FT1", "FT2")
    ]
    before = results(folder)
    for path in records.values():
        path.unlink()
    analysed(folder, environment)
    assert results(folder) == before


def test_a_damaged_trajectory_is_named_and_the_others_are_analysed(undisturbed, environment, tmp_path):
    folder = shutil.copytree(undisturbed[0], tmp_path / "run")
    damaged = folder / "evaluation" / "trajectories" / "FT1-0.h5md"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    said = analysed(folder, environment)
    assert "not analysed: dynamics evaluation/trajectories/FT1-0.h5md" in said
    verdict = json.loads((folder / "evaluation" / "verdict.json").read_text())
    assert any("FT1-0.h5md" in one for one in verdict["missing"])
    runs = json.loads((folder / "evaluation" / "events.json").read_text())["runs"]
    assert len(runs) == 9
    models = json.loads((folder / "evaluation" / "qresidual.json").read_text())["models"]
    timelines = {m["name"]: len(m["timelines"]) for m in models if m["descriptors"] == "base"}
    assert timelines["FT1"] == timelines["FT2"] - 1


def test_a_model_can_run_on_for_long_with_checks_along_it(undisturbed, environment):
    folder, _ = undisturbed
    command = [sys.executable, "-m", "jaxft", "produce", str(folder), "FT2", "--ps", "0.06", "--labels", "3"]
    for _ in range(2):  # the second time everything is on disk
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "over 3 checks" in done.stdout
    record = json.loads((folder / "production" / "FT2.json").read_text())
    assert record["models"][0]["seeds"][0]["times_fs"] == [20.0, 40.0, 60.0]
    longer = subprocess.run([*command, "--ps", "0.07"], env=environment, capture_output=True, text=True, check=False)
    assert longer.returncode == 2
    assert "was made with --ps 0.06" in longer.stderr
    wrong = subprocess.run([*command[:5], "FT7"], env=environment, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "has no model 'FT7'" in wrong.stderr
