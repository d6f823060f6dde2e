"""What surrounds a fine-tune: when a folder is finished, and what is refused before one is begun. Nothing is trained here."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from ase import Atoms, units
from ase.io import write
from rich.console import Console

import jaxft
from jaxft.cli.config import FinetuneConfiguration
from jaxft.cli.finetune import finetune
from jaxft.cli.progress import TerminalProgress
from jaxft.cli.settings import finetuning_settings
from jaxft.errors import InputError
from jaxft.finetune.predict_set import SetPrediction
from jaxft.records import write_json
from jaxft.structures.dataset import LabelledStructure
from jaxft.study import evaluation, finetune_data, finetune_folder, finetuning
from jaxft.study.finetune_data import Labelled, read_labels
from jaxft.study.layout import Layout
from jaxft.study.record import close_record, open_record

WATER = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])


def waters(count=4, seed=0, **info):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        atoms = Atoms(
            "OHH", WATER + 0.05 * rng.normal(size=(3, 3)), info={"REF_energy": -1000.0 + rng.normal(), **info}
        )
        atoms.arrays["REF_forces"] = rng.normal(size=(3, 3))
        frames.append(atoms)
    return frames


def configured(path, **sections):
    return FinetuneConfiguration.model_validate({"data": {"path": str(path)}, "base": "cobalt-mini"} | sections)


@pytest.fixture
def data(tmp_path):
    write(tmp_path / "waters.extxyz", waters(), format="extxyz")
    return tmp_path / "waters.extxyz"


def finished_folder(data, root, failure=None, **sections):
    """A folder as a fine-tune leaves it, with the base for a result."""
    settings = finetuning_settings(configured(data, **sections), data.parent)
    layout, base = Layout(root), jaxft.load("cobalt-mini")
    open_record(layout, settings.configuration, 0, finetune_folder.content_of(settings, base, read_labels(settings)))
    write_json(root / "evaluation.json", finetune_folder.FORMAT, finetune_folder.VERSION, {"failures": [failure]})
    base.save(root / "model")
    close_record(layout)
    return root


def test_a_finished_folder_says_so(data, tmp_path, capsys):
    finetune(data, output=finished_folder(data, tmp_path / "out"))
    assert "finished; nothing to do" in capsys.readouterr().out


def test_a_finished_folder_of_other_labels_is_refused(data, tmp_path):
    root = finished_folder(data, tmp_path / "out")
    write(data, waters(seed=1), format="extxyz")
    with pytest.raises(
        InputError, match=r"the labels of .*waters.extxyz changed.*since .*out was begun; choose another"
    ):
        finetune(data, output=root)


def test_a_finished_folder_of_another_base_is_refused(data, tmp_path):
    base = jaxft.load("cobalt-mini")
    base.save(tmp_path / "base")
    (tmp_path / "c.yaml").write_text("base: base\n")
    root = finished_folder(data, tmp_path / "out", base=str(tmp_path / "base"))
    finetune(data, config=tmp_path / "c.yaml", output=root)
    base.reference_energies[0] += 1.0
    base.save(tmp_path / "base")
    with pytest.raises(InputError, match=r"the base .* changed.*since"):
        finetune(data, config=tmp_path / "c.yaml", output=root)


def test_a_run_that_stopped_says_so_again(data, tmp_path, capsys):
    root = finished_folder(
        data, tmp_path / "out", failure="the gradient of structure 3 not finite in update 7 (epoch 0)"
    )
    with pytest.raises(typer.Exit) as stop:
        finetune(data, output=root)
    assert stop.value.exit_code == 3
    assert "the best parameters until then are kept: the gradient of structure 3" in capsys.readouterr().out


def test_a_finished_folder_without_its_potential_makes_it_again(data, tmp_path, monkeypatch, capsys):
    root = finished_folder(data, tmp_path / "out")
    (root / "model" / "config.json").unlink()

    def begun(*_):
        raise InputError("trains")

    monkeypatch.setattr(finetuning, "run_finetuning", begun)
    with pytest.raises(InputError, match="trains"):
        finetune(data, output=root)
    assert "model is missing and is made again" in capsys.readouterr().out


def test_names_that_are_given_are_used_and_told(tmp_path):
    frames = waters(3, A_energy=-1.0, E_energy=-2.0)
    for atoms in frames:
        del atoms.info["REF_energy"]
    write(tmp_path / "two.extxyz", frames, format="extxyz")
    with pytest.raises(InputError, match="name one with --energy-key"):
        read_labels(finetuning_settings(configured(tmp_path / "two.extxyz"), tmp_path))
    for k, atoms in enumerate(frames):
        atoms.positions += k + 1.0
    write(tmp_path / "test.extxyz", frames, format="extxyz")
    given = {"path": str(tmp_path / "two.extxyz"), "test": str(tmp_path / "test.extxyz"), "energy_key": "A_energy"}
    labelled = read_labels(finetuning_settings(configured("", data=given), tmp_path))
    assert labelled.sets["train"][0].energy == -1.0
    assert labelled.entries == dict.fromkeys(
        ("labels", "labels of the test set"), "energy from A_energy, forces from REF_forces, no stress"
    )


def test_bad_replay_input_is_found_before_the_folder_is_begun(data, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune_data, "predict_set", lambda *_, **__: None)
    monkeypatch.setattr(finetune_data, "suspect_units", lambda *_: [])
    (tmp_path / "c.yaml").write_text("replay: {source: file, file: absent.extxyz}\n")
    with pytest.raises(InputError, match=r"absent.extxyz does not exist"):
        finetune(data, config=tmp_path / "c.yaml", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def planted(structures, forces=1.0):
    """What a base says of structures, and those with labels of which the forces are scaled."""
    rng = np.random.default_rng(0)
    said = SetPrediction(
        rng.normal(size=len(structures)), tuple(rng.normal(size=(3, 3)) for _ in structures), (None,) * 4
    )
    return said, [
        LabelledStructure(a, e, forces * f) for a, e, f in zip(structures, said.energies, said.forces, strict=True)
    ]


def test_evaluate_notes_units(monkeypatch):
    said, data = planted(waters(), forces=units.Bohr / units.Hartree)
    monkeypatch.setattr(evaluation, "predict_set", lambda *_, **__: said)
    (found,) = evaluation.evaluate_potentials([jaxft.load("cobalt-mini")], data, "float32").suspicions
    assert found.unit == "Hartree/Bohr"


def test_evaluate_takes_the_mean_of_a_committee_and_tells_its_spread(monkeypatch):
    said, data = planted(waters())
    others = [
        SimpleNamespace(atomic_numbers=(1, 8), said=replace(said, forces=tuple(f + shift for f in said.forces)))
        for shift in (-0.1, 0.1)
    ]
    monkeypatch.setattr(evaluation, "predict_set", lambda which, *_, **__: which.said)
    judged = evaluation.evaluate_potentials(others, data, "float32")
    assert judged.members == 2
    assert judged.metrics.forces_mev.rmse == pytest.approx(0.0, abs=1e-9)
    assert judged.forces_spread_mev == pytest.approx(100.0 * np.sqrt(2.0 * 3.0))


def test_evaluate_finds_the_potentials_of_a_fine_tunes_folder(tmp_path):
    base = jaxft.load("cobalt-mini")
    base.save(tmp_path / "one" / "model")
    for k in (0, 1, 10):
        base.save(tmp_path / "committee" / f"model-{k}")
    for name, count in (("one", 1), ("one/model", 1), ("committee", 3)):
        assert len(evaluation.load_members(str(tmp_path / name))) == count
    assert len(evaluation.load_members("cobalt-mini")) == 1
    with pytest.raises(InputError):
        evaluation.load_members(str(tmp_path))


def test_a_test_set_in_other_units_is_refused_before_the_folder_is_begun(data, tmp_path, monkeypatch):
    write(tmp_path / "test.extxyz", waters(seed=1), format="extxyz")
    settings = finetuning_settings(
        configured("", data={"path": str(data), "test": str(tmp_path / "test.extxyz")}), tmp_path
    )
    said, good = planted(waters())
    _, bad = planted(waters(), forces=units.Bohr / units.Hartree)
    monkeypatch.setattr(finetuning, "read_labels", lambda _: Labelled({"train": good, "test": bad}, {}, None, {}))
    monkeypatch.setattr(finetune_data, "predict_set", lambda *_, **__: said)
    with pytest.raises(
        InputError, match=r"test.extxyz: the forces of the labels look like Hartree/Bohr.*--trust-units"
    ):
        finetuning.run_finetuning(
            settings, tmp_path / "out", TerminalProgress(Console(quiet=True), tmp_path / "log.txt")
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_is_called_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder; expected a labelled extended XYZ file"):
        finetune(tmp_path)


def test_test_structures_that_are_trained_on_are_noted(data, tmp_path):
    write(tmp_path / "test.extxyz", [*waters(1), *waters(2, seed=1)], format="extxyz")
    given = {"path": str(data), "test": str(tmp_path / "test.extxyz")}
    with pytest.warns(UserWarning, match="1 of 3 structures are among the labels too"):
        read_labels(finetuning_settings(configured("", data=given), tmp_path))


def test_replay_that_does_not_go_with_the_settings_is_refused_before_the_folder_is_begun(tmp_path):
    rng = np.random.default_rng(0)
    frames = waters(4)
    for atoms in frames:
        atoms.cell, atoms.pbc = [6.0] * 3, True
        atoms.info["REF_stress"] = 1e-3 * rng.normal(size=6)
    write(tmp_path / "boxes.extxyz", frames, format="extxyz")
    write(tmp_path / "molecule.extxyz", Atoms("OHH", WATER), format="extxyz")
    (tmp_path / "c.yaml").write_text(
        "base: cobalt-mini\nfinetune: {weights: {stress: 1.0}}\nreplay: {source: file, file: molecule.extxyz}\n"
    )
    with pytest.raises(InputError, match=r"replay structure 0 \(H2O\) has no stress"):
        finetune(tmp_path / "boxes.extxyz", config=tmp_path / "c.yaml", output=tmp_path / "out", trust_units=True)
    assert not (tmp_path / "out").exists()
