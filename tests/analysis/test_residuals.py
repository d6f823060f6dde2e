"""residuals.json: what goes in comes back, and equal runs give equal bytes."""

import json
from dataclasses import replace

import pytest
from synthetic_runs import model_test, run, study

from jaxft.analysis.residuals import read_residuals, residuals_record, write_residuals
from jaxft.analysis.scores import scores
from jaxft.errors import InputError


@pytest.fixture(scope="module")
def tests():
    """A stopped run and a failed label among two models."""
    return [
        model_test("N-10pts", "naive", seeds=[run(0, stop_fs=2600.0), run(1)]),
        model_test(seeds=[run(2, failed=(4,))]),
    ]


@pytest.fixture
def path(tests, tmp_path):
    """Their record on disk."""
    record = residuals_record(
        tests, demonstration=True, settings={"temperature_k": 350}, planned=["N-10pts", "FT1", "FT2"]
    )
    write_residuals(tmp_path / "residuals.json", record)
    return tmp_path / "residuals.json"


def test_what_is_written_is_read(tests, path):
    found = read_residuals(path)
    assert found.demonstration
    assert found.missing == ("FT2",)
    assert found.settings == {"temperature_k": 350}
    naive, periodic = found.models
    assert naive.scores.plateau.residual.value == pytest.approx(scores(tests[0]).plateau.residual.value, rel=1e-5)
    assert naive.seeds[0].stopped.reason == "two atoms too close"
    assert naive.scores.survival.ends[1] is None
    assert list(periodic.scores.forces.by_element) == ["H", "Li", "O", "Cl", "Co"]


def test_a_failed_label_is_null_with_its_reason(path):
    series = read_residuals(path).models[1].seeds[0]
    assert series.reference_energies[4] is None
    assert series.residuals[4] is None
    assert series.failures == {4: "not converged"}
    assert "NaN" not in path.read_text()


def test_residuals_follow_from_the_energies_in_the_record(path):
    for model in read_residuals(path).models:
        for s in model.seeds:
            for energy, reference, residual in zip(s.model_energies, s.reference_energies, s.residuals, strict=True):
                if reference is not None:
                    assert (energy - reference) / model.n_atoms == pytest.approx(residual, abs=1e-7)


def test_noise_in_the_last_digits_gives_the_same_bytes(tests, path, tmp_path):
    noisy = [
        replace(t, seeds=tuple(replace(s, model_forces=s.model_forces * (1 + 1e-14)) for s in t.seeds)) for t in tests
    ]
    record = residuals_record(
        noisy, demonstration=True, settings={"temperature_k": 350}, planned=["N-10pts", "FT1", "FT2"]
    )
    write_residuals(tmp_path / "again.json", record)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_floats_have_the_documented_digits(path):
    def floats(value):
        if isinstance(value, dict):
            for item in value.values():
                yield from floats(item)
        elif isinstance(value, list):
            for item in value:
                yield from floats(item)
        elif isinstance(value, float):
            yield value

    record = json.loads(path.read_text())
    assert record["digits"] == 6
    for number in floats([model["scores"] for model in record["models"]]):
        assert len(repr(number).split("e")[0].replace(".", "").replace("-", "").strip("0")) <= 6
    energy = record["models"][0]["seeds"][0]["model_energies"][0]
    assert energy == pytest.approx(-17660, abs=10)
    assert len(str(energy)) > 10


def test_two_models_of_one_name_are_refused():
    twice = [model_test(seeds=[run(0)]), model_test(seeds=[run(1)])]
    with pytest.raises(InputError, match="'FT1'"):
        residuals_record(twice, demonstration=False)


def test_a_newer_record_is_refused(path):
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(InputError, match="update jaxft"):
        read_residuals(path)


def test_a_damaged_record_names_the_place(path):
    record = json.loads(path.read_text())
    del record["models"][1]["scores"]["drift"]
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"models\.1\.scores\.drift"):
        read_residuals(path)


def test_scores_that_later_versions_add_are_read_over(path):
    record = json.loads(path.read_text())
    record["models"][0]["scores"]["ensemble_distance"] = {"value": 1.0}
    path.write_text(json.dumps(record))
    assert len(read_residuals(path).models) == 2


def test_no_models_is_a_record_too(tmp_path):
    write_residuals(tmp_path / "residuals.json", residuals_record([], demonstration=False))
    assert read_residuals(tmp_path / "residuals.json").models == ()


def test_a_whole_study_ranks_as_it_was_made():
    record = residuals_record(study(), demonstration=False)
    plateaus = {m["name"]: m["scores"]["plateau"]["residual"]["value"] for m in record["models"]}
    assert plateaus["N-50pts"] > 0.005
    assert plateaus["FT3"] < -0.003
