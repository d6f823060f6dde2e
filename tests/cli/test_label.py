"""``jaxft label`` and ``jaxft store``: files in, files out, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from jaxft.labels.claims import open_claims
from jaxft.labels.key import label_key, settings_key
from jaxft.labels.label import Failure
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import Counts, open_store
from jaxft.structures.dataset import read_dataset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def jaxft(tmp_path):
    """Function that runs the command in a folder of the test's own, and gives (exit code, output, errors)."""

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "jaxft", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def waters(n):
    frames = []
    for seed in range(n):
        water = molecule("H2O")
        water.rattle(0.05, seed=seed)
        frames.append(water)
    return frames


@pytest.fixture
def files(tmp_path):
    """Function that writes structures and a configuration."""

    def make(frames, text="reference: {engine: tblite}\nlabels: {executor: serial}\n"):
        write(tmp_path / "w.xyz", frames, format="extxyz")
        (tmp_path / "c.yaml").write_text(text)
        return "w.xyz", "c.yaml"

    return make


def test_labels_are_written_once_and_bought_once(jaxft, files, tmp_path):
    code, output, errors = jaxft("label", *files(waters(3)), "-o", "out.extxyz")
    assert (code, errors) == (0, "")
    assert "3 computed" in output
    dataset = read_dataset(tmp_path / "out.extxyz")
    with open_store(tmp_path / "labels.db") as store:
        assert [entry.entry.energy for entry in store.entries()] == [labelled.energy for labelled in dataset]
    first = (tmp_path / "out.extxyz").read_bytes()
    code, output, _ = jaxft("label", "w.xyz", "c.yaml", "-o", "out.extxyz")
    assert (code, "0 computed" in output, "3 were in labels.db" in output) == (0, True, True)
    assert (tmp_path / "out.extxyz").read_bytes() == first


def test_it_says_that_it_waits_for_another_process(files, tmp_path):
    structures, config = files(waters(3))
    command = [sys.executable, "-m", "jaxft", "label", structures, config]
    reference = ReferenceSettings()
    key = label_key(waters(3)[1], reference, settings_key(reference))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with open_claims(tmp_path / "labels.db") as claims:
        assert claims.take([key]) == [key]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        said = process.stdout.readline()
    rest, _ = process.communicate()  # the claim is free, so that it goes on by itself
    assert said == "another process computes 1 of these structures; waiting for its labels\n"
    assert process.returncode == 0
    assert "3 of 3 labelled" in rest


def test_a_failure_is_exit_code_3_and_the_others_are_written(jaxft, files, tmp_path):
    frames = waters(3)
    frames[1].positions[1] = frames[1].positions[0]
    code, output, _ = jaxft("label", *files(frames))
    assert code == 3
    assert "frame 1: bad structure" in output
    assert "2 of 3 labelled in w-labelled.extxyz, 1 not" in output
    assert len(read_dataset(tmp_path / "w-labelled.extxyz")) == 2


def test_failures_are_tried_again_on_request_only(jaxft, files):
    given = files(waters(1), "labels: {executor: serial, retries: 0}\nreference: {settings: {max_iterations: 3}}\n")
    assert [("1 computed" in jaxft("label", *given, *more)[1]) for more in ([], [], ["--retry-failed"])] == [
        True,
        False,
        True,
    ]


def test_verification_is_printed_and_a_wrong_engine_is_refused_before_any_label(jaxft, files, tmp_path):
    code, output, _ = jaxft("label", *files(waters(1)), "--verify")
    assert (code, output.count("  ok\n")) == (0, 3)
    (tmp_path / "mine.py").write_text(
        "from ase.calculators.lj import LennardJones\n"
        "class Wrong(LennardJones):\n"
        "    def calculate(self, *given):\n"
        "        super().calculate(*given)\n"
        "        self.results['forces'] = -self.results['forces']\n"
    )
    given = files(waters(1), "reference: {engine: 'mine:Wrong'}\nlabels: {executor: serial, store: other.db}\n")
    code, output, errors = jaxft("label", *given, "--verify")
    assert (code, "WRONG" in output, "disagrees with differences" in errors) == (2, True, True)
    with open_store(tmp_path / "other.db") as store:
        assert store.counts() == Counts(0, 0)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("labels.db", "is the label store"),
        ("c.yaml", "is the configuration"),
        ("w.xyz", "is the file of the structures"),
        ("labels.db-claims", "is the label store's file of claims"),
        ("n" * 247 + ".extxyz", "too long"),
        ("folder", "is a folder"),
        ("w.xyz/below.extxyz", "can't be made"),
    ],
)
def test_an_output_that_would_destroy_or_fail_is_refused_before_any_label(jaxft, files, tmp_path, output, words):
    (tmp_path / "folder").mkdir()
    code, _, errors = jaxft("label", *files(waters(1)), "-o", output)
    assert (code, words in errors, errors.count("\n")) == (2, True, 1)
    assert not (tmp_path / "labels.db").exists()


def test_an_export_does_not_overwrite_its_store(jaxft, files, tmp_path):
    jaxft("label", *files(waters(1)))
    before = (tmp_path / "labels.db").read_bytes()
    code, _, errors = jaxft("store", "export", "labels.db", "-o", "labels.db")
    assert (code, "is the label store" in errors) == (2, True)
    assert (tmp_path / "labels.db").read_bytes() == before


def test_a_labelled_file_can_be_labelled_by_another_reference(jaxft, files, tmp_path):
    assert jaxft("label", *files(waters(2)), "-o", "one.extxyz")[0] == 0
    (tmp_path / "c.yaml").write_text("reference: {settings: {method: GFN2-xTB}}\nlabels: {executor: serial}\n")
    code, _, errors = jaxft("label", "one.extxyz", "c.yaml", "-o", "two.extxyz")
    assert (code, errors) == (0, "")
    one, two = (read_dataset(tmp_path / name) for name in ("one.extxyz", "two.extxyz"))
    assert abs(one[0].energy - two[0].energy) > 0.1


def noted(**info):
    frames = waters(1)
    frames[0].info.update(info)
    return frames


def some_charged():
    frames = waters(2)
    frames[0].info["charge"] = 1
    return frames


@pytest.mark.parametrize(
    ("frames", "text", "words"),
    [
        (waters(1), "reference: {engine: tblight}\n", "did you mean 'tblite'"),
        (waters(1), "reference: {settings: {mehtod: x}}\n", "did you mean 'method'"),
        (waters(1), "labels: {executor: cluster}\n", "labels.executor is 'cluster'"),
        (waters(1), "labels: {time_limit_s: 5.0, executor: serial}\n", "set labels.executor to processes"),
        (waters(1), "labels: {stor: x.db}\n", "did you mean 'store'"),
        (waters(1), "reference: {engine: orca, settings: {command: nowhere}}\n", "needs the program nowhere"),
        (some_charged(), "reference: {}\n", "1 of 2 structures say a charge"),
        (noted(total_charge=1), "reference: {}\n", "says total_charge=1, which would be ignored; rename it to charge"),
        (noted(spin=3), "reference: {}\n", "rename it to multiplicity"),
        (noted(total_charge=0), "reference: {charge: 1}\n", "says total_charge=0"),
        (noted(quality=float("nan")), "reference: {}\n", "quality"),
        (waters(1), "reference: {multiplicity: 0}\n", "expected 2S+1"),
        (waters(1), "reference: {engine: orca, settings: {command: ./orca}}\n", "give the full path"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_before_any_label(jaxft, files, tmp_path, frames, text, words):
    code, output, errors = jaxft("label", *files(frames, text))
    assert (code, output) == (2, "")
    assert words in errors
    assert errors.count("\n") == 1
    if (tmp_path / "labels.db").exists():
        with open_store(tmp_path / "labels.db") as store:
            assert store.counts() == Counts(0, 0)


@pytest.mark.parametrize(
    ("name", "content"), [("no.xyz", None), ("empty.xyz", ""), ("cut.xyz", "3\n\nH 0 0 0\n"), ("x.cif", "?")]
)
def test_a_structure_file_that_cannot_be_read_is_exit_code_2(jaxft, files, tmp_path, name, content):
    files(waters(1))
    if content is not None:
        (tmp_path / name).write_text(content)
    code, _, errors = jaxft("label", name, "c.yaml")
    assert (code, errors.count("\n")) == (2, 1)
    assert name in errors


def test_a_store_is_listed_exported_and_merged(jaxft, files, tmp_path):
    frames = waters(3)
    frames[1].positions[1] = frames[1].positions[0]
    jaxft("label", *files(frames), "-o", "out.extxyz")
    code, output, _ = jaxft("store", "list", "labels.db")
    assert code == 0
    assert "bad structure: 1" in output
    assert jaxft("store", "export", "labels.db", "-o", "export.extxyz")[0] == 0
    exported, written = read_dataset(tmp_path / "export.extxyz"), read_dataset(tmp_path / "out.extxyz")
    for a, b in zip(exported, written, strict=True):
        assert a.energy == b.energy
        np.testing.assert_array_equal(a.forces, b.forces)
    assert "2 labels and 1 failures were new" in jaxft("store", "merge", "all.db", "labels.db")[1]
    with open_store(tmp_path / "all.db") as store:
        assert store.counts() == Counts(2, 1)
        assert sum(isinstance(stored.entry, Failure) for stored in store.entries()) == 1


def test_labels_of_two_references_are_not_exported_into_one_file_by_accident(jaxft, files):
    jaxft("label", *files(waters(1)))
    jaxft("label", *files(waters(1), "reference: {settings: {method: GFN2-xTB}}\nlabels: {executor: serial}\n"))
    code, _, errors = jaxft("store", "export", "labels.db", "-o", "x.extxyz")
    assert (code, "2 references" in errors) == (2, True)
    key = errors.split("(")[1].split()[0]
    assert jaxft("store", "export", "labels.db", "-o", "x.extxyz", "--reference", key)[0] == 0


@pytest.mark.parametrize("command", ["list", "export", "merge"])
def test_a_store_that_is_not_there_is_exit_code_2(jaxft, tmp_path, command):
    more = {"list": [], "export": ["-o", "x.extxyz"], "merge": []}[command]
    names = ["new.db", "nowhere.db"] if command == "merge" else ["nowhere.db"]
    code, _, errors = jaxft("store", command, *names, *more)
    assert (code, "no label store at nowhere.db" in errors) == (2, True)
    assert list(tmp_path.iterdir()) == []
