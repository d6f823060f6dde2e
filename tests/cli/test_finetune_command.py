"""``jaxft finetune`` and ``jaxft evaluate``: one command and no setting, settings, replay, bad input."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import typer
from ase import Atoms
from ase.io import read, write

import jaxft
from jaxft.cli.finetune import finetune
from jaxft.errors import InputError
from jaxft.potential.evaluate import Evaluator


def jaxft_process(*arguments):
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "jaxft", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def jaxft_command(*arguments):
    process = jaxft_process(*arguments)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def waters(count, seed=0):
    """Waters moved about, labelled by cobalt-mini with stiffer forces, energies shifted by a constant for each element."""
    evaluate = Evaluator(jaxft.load("cobalt-mini"))
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        atoms = Atoms(
            "OHH", positions=np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]) + 0.06 * rng.normal(size=(3, 3))
        )
        said = evaluate(atoms)
        atoms.info["dft_energy"] = said.energy - 1000.0
        atoms.arrays["dft_forces"] = 1.2 * said.forces
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write(folder / "waters.extxyz", waters(12), format="extxyz")
    write(folder / "others.extxyz", waters(6, seed=1), format="extxyz")
    (folder / "quick.yaml").write_text(
        "finetune: {updates: 60, batch_size: 4, learning_rate: 2.0e-3, validate_every: 20, replay_batch: 2}\n"
        "validation: {share: 0.25}\n"
        "replay: {source: generator, count: 4}\n"
    )
    return folder


@pytest.fixture(scope="module")
def finished(data):
    done = jaxft_command(*quick(data, data / "out"))
    assert done.returncode == 0, done.stderr
    return data / "out", done.stdout


def quick(data, out):
    return (
        "finetune",
        data / "waters.extxyz",
        "-c",
        data / "quick.yaml",
        "--test",
        data / "others.extxyz",
        "-o",
        out,
    )


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(finished, data, tmp_path):
    process = jaxft_process(*quick(data, tmp_path / "out"))
    while not list((tmp_path / "out").glob("checkpoints/*.safetensors")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = jaxft_command(*quick(data, tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    for name in ("model/params.safetensors", "evaluation.json", "training.csv", "replay.extxyz"):
        assert (tmp_path / "out" / name).read_bytes() == (finished[0] / name).read_bytes(), name


def test_errors_before_and_after_of_every_set_are_told_and_kept(finished):
    out, printed = finished
    sets = json.loads((out / "evaluation.json").read_text())["sets"]
    assert list(sets) == ["train", "validation", "test", "replay"]
    for name in ("train", "test"):
        assert sets[name]["after"]["forces_mev"]["rmse"] < sets[name]["before"]["forces_mev"]["rmse"]
    assert sets["train"]["before"]["n_structures"] == 9
    assert sets["replay"]["before"]["forces_mev"]["rmse"] == 0.0
    assert sets["replay"]["after"]["forces_mev"]["rmse"] > 0.0
    assert printed.count("after") >= 4
    assert (out / "figures" / "parity.png").stat().st_size > 10_000
    assert (out / "figures" / "training.png").stat().st_size > 10_000
    assert len((out / "training.csv").read_text().splitlines()) == 61


@pytest.mark.parametrize("rate", ["1.0e+20", "1.0e+6"])
def test_a_training_that_stops_leaves_its_best_parameters_and_says_so(data, tmp_path, capsys, rate):
    (tmp_path / "wild.yaml").write_text(f"finetune: {{updates: 20, learning_rate: {rate}, schedule: constant}}\n")
    with pytest.raises(typer.Exit) as stop:
        finetune(data / "waters.extxyz", config=tmp_path / "wild.yaml", output=tmp_path / "out")
    assert stop.value.exit_code == 3
    assert "the best parameters until then are kept" in capsys.readouterr().out
    with pytest.raises(typer.Exit) as stop:
        finetune(data / "waters.extxyz", config=tmp_path / "wild.yaml", output=tmp_path / "out")
    assert stop.value.exit_code == 3
    assert "the best parameters until then are kept" in capsys.readouterr().out
    assert np.isfinite(Evaluator(jaxft.load(tmp_path / "out" / "model"))(waters(1)[0]).forces).all()


def test_a_test_file_of_unknown_elements_is_refused_before_anything_is_written(data, tmp_path):
    helium = waters(2, seed=2)
    helium[1].symbols[0] = "He"
    write(tmp_path / "helium.extxyz", helium, format="extxyz")
    with pytest.raises(InputError, match="does not know He"):
        finetune(data / "waters.extxyz", test=tmp_path / "helium.extxyz", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_potential_loads_as_a_calculator_with_the_energies_of_the_labels(finished, data):
    out, _ = finished
    atoms = read(data / "others.extxyz", index=0)
    label = atoms.info["dft_energy"]
    atoms.calc = jaxft.load(out / "model").calculator()
    assert abs(atoms.get_potential_energy() - label) < 0.5


def test_a_finished_fine_tune_says_so_and_evaluate_gives_its_errors(finished, data):
    out, _ = finished
    assert "finished; nothing to do" in jaxft_command(*quick(data, out)).stdout
    done = jaxft_command("evaluate", out / "model", data / "others.extxyz", "-o", data / "judged")
    assert done.returncode == 0, done.stderr
    judged = json.loads((data / "judged" / "evaluation.json").read_text())
    after = json.loads((out / "evaluation.json").read_text())["sets"]["test"]["after"]
    assert judged["forces_mev"] == pytest.approx(after["forces_mev"], rel=1e-4)


def test_hartree_is_named_before_anything_is_written(data, tmp_path):
    frames = waters(6)
    for atoms in frames:
        atoms.info["dft_energy"] /= 27.211386
        atoms.arrays["dft_forces"] /= 51.422067
    write(tmp_path / "hartree.extxyz", frames, format="extxyz")
    done = jaxft_command("finetune", tmp_path / "hartree.extxyz")
    assert done.returncode == 2
    assert "the forces of the labels look like Hartree/Bohr" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "hartree-finetuned").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("finetune: {updats: 5}", "did you mean 'updates'"),
        ("finetune: {method: frozen, frozen: [readuot]}", "did you mean 'readout'"),
        ("finetune: {patience: 3}", "needs validation structures"),
        ("replay: {source: file}", "belong together"),
        ("committee: {bootstrap: true}", "2 or more"),
        ("finetune: {reference_energies: isolated}", "no energy of H, O"),
    ],
)
def test_bad_settings_are_named_before_anything_is_trained(data, tmp_path, text, words):
    (tmp_path / "bad.yaml").write_text(text + "\n")
    with pytest.raises(InputError, match=words):
        finetune(data / "waters.extxyz", config=tmp_path / "bad.yaml", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_committee_is_trained_saved_and_gives_the_spread_of_its_members(data, tmp_path, make_tiny):
    make_tiny().save(tmp_path / "base")
    (tmp_path / "c.yaml").write_text(
        "base: base\nfinetune: {updates: 4, batch_size: 2}\ncommittee: {members: 2, bootstrap: true}\n"
    )
    finetune(data / "waters.extxyz", config=tmp_path / "c.yaml", output=tmp_path / "out", trust_units=True)
    members = [jaxft.load(tmp_path / "out" / f"model-{k}") for k in range(2)]
    assert len(list((tmp_path / "out").glob("model*"))) == 2
    atoms = read(data / "others.extxyz")
    forces = np.stack([Evaluator(member)(atoms).forces for member in members])
    said = jaxft.load_committee(tmp_path / "out")(atoms)
    np.testing.assert_allclose(said.forces, forces.mean(axis=0), atol=1e-5)
    assert said.forces_spread.min() > 0.0
