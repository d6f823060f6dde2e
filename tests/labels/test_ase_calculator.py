"""Any ASE calculator as a reference."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from jaxft.errors import InputError
from jaxft.labels.ase_calculator import NOT_CONVERGED
from jaxft.labels.reference import ReferenceSettings, check_reference, compute


@pytest.fixture
def pair():
    return Atoms("HO", positions=[[1, 0, 0], [0, 0, 2]])


def test_settings_reach_the_function_and_results_come_back(pair, springs, log):
    label = compute(pair, springs)
    assert label.energy == 2.5
    np.testing.assert_array_equal(label.forces, -pair.positions)
    assert log.read_text() == "1.000\n"
    assert label.provenance.version == "1.0"


def test_the_energy_is_the_one_that_the_forces_belong_to(pair):
    assert compute(pair, ReferenceSettings("stub_calculators:Smeared")).energy == -1.0


def test_stress_is_unfolded_and_kept_only_where_the_cell_is_fully_periodic(pair):
    smeared = ReferenceSettings("stub_calculators:Smeared")
    assert compute(pair, smeared).stress is None
    pair.cell, pair.pbc = [5, 5, 5], True
    np.testing.assert_array_equal(compute(pair, smeared).stress, voigt_6_to_full_3x3_stress(np.arange(1.0, 7.0)))


def test_moments_are_kept(pair):
    label = compute(pair, ReferenceSettings("stub_calculators:Smeared"))
    assert label.n_unpaired == 2.0
    np.testing.assert_array_equal(label.moments, [1.5, 0.5])


def test_an_scf_error_of_ase_is_not_converged_in_one_line(springs, row):
    [atoms] = row([6.0])
    assert str(compute(atoms, springs)) == "not converged: SCFError: density did not converge"


def test_a_calculator_without_forces_gives_no_label(pair):
    failure = compute(pair, ReferenceSettings("stub_calculators:Silent"))
    assert failure.reason == "engine failed"
    assert "no energy with forces" in failure.detail


def stop_iteration(calculator):
    next(iter([]))


@pytest.mark.parametrize(
    ("misbehave", "words"),
    [
        (lambda calculator: 1 + "1", "TypeError: unsupported operand"),
        (stop_iteration, "StopIteration"),
        (lambda calculator: sys.exit(0), "it called sys.exit(0)"),
        (lambda calculator: exec("raise EOFError('no input')"), "EOFError: no input"),
        (lambda calculator: exec("raise RuntimeError(chr(0xd800))"), "RuntimeError: ?"),
    ],
)
def test_whatever_a_calculator_of_someone_elses_does_is_recorded_and_the_run_goes_on(
    pair, monkeypatch, misbehave, words
):
    import stub_calculators

    monkeypatch.setattr(stub_calculators.Springs, "misbehave", misbehave)
    failure = compute(pair, ReferenceSettings("stub_calculators:Springs"))
    assert failure.reason == "engine failed"
    assert words in failure.detail


@pytest.mark.parametrize(
    ("text", "converged"),
    [
        ("SCF not converged in 3 cycles", False),
        ("KohnShamConvergenceError: ", False),
        ("density did not\n converge", False),
        ("the SCF failed to converge", False),
        ("Unconverged after 100 steps", False),
        ("Convergence failed", False),
        ("Convergence criterion not met", False),
        ("SCF convergence could not be achieved", False),
        ("cannot converge SCF", False),
        ("maximum iterations reached without convergence", False),
        ("/home/me/convergence/orca failed with error code 1", True),
        ("the file converged.out is not there", True),
    ],
)
def test_only_words_about_it_mean_that_an_scf_did_not_converge(text, converged):
    assert (NOT_CONVERGED.search(text) is None) == converged


def test_results_of_the_wrong_kind_are_a_failure(pair, monkeypatch):
    import stub_calculators

    def calculate(self, *given, **named):
        self.results = {"energy": 1.0 + 1.0j, "forces": "none"}

    monkeypatch.setattr(stub_calculators.Springs, "calculate", calculate)
    failure = compute(pair, ReferenceSettings("stub_calculators:Springs"))
    assert failure.reason == "engine failed"


@pytest.mark.parametrize(("z", "words"), [(5, "LibraryError: the grid is empty"), (7, "MemoryError: no room")])
def test_errors_of_libraries_are_failures_whatever_their_class(z, words):
    failure = compute(Atoms("HO", positions=[[0, 0, z], [0, 0, 1]]), ReferenceSettings("stub_calculators:Odd"))
    assert (failure.reason, words in failure.detail) == ("engine failed", True)


def test_a_full_disk_stops_the_run_and_is_recorded_for_no_structure():
    with pytest.raises(OSError, match="No space left"):
        compute(Atoms("HO", positions=[[0, 0, 9], [0, 0, 1]]), ReferenceSettings("stub_calculators:Odd"))


def test_charge_and_multiplicity_reach_a_function_that_takes_them(pair):
    asked = ReferenceSettings("stub_calculators:charged", charge=-1, multiplicity=3)
    check_reference(asked, pair)
    assert compute(pair, asked).energy == -97.0
    pair.info["charge"] = 2
    assert compute(pair, ReferenceSettings("stub_calculators:charged")).energy == 200.0


@pytest.mark.parametrize("asked", [{"charge": 1}, {"multiplicity": 3}, {"moments": {"O": 2}}])
def test_what_a_function_would_ignore_is_refused_beforehand(asked):
    with pytest.raises(InputError, match=r"takes no (charge|multiplicity) and would ignore it"):
        check_reference(ReferenceSettings("stub_calculators:Springs", **asked))


def test_a_charge_of_one_structure_that_a_function_would_ignore_is_no_label(pair):
    pair.info["charge"] = 1
    assert compute(pair, ReferenceSettings("stub_calculators:Springs")).reason == "not supported"


def test_the_parity_of_electrons_is_checked_for_foreign_calculators_too(pair):
    failure = compute(pair, ReferenceSettings("stub_calculators:charged", multiplicity=3))
    assert failure.reason == "electron count"


@pytest.mark.parametrize(
    ("engine", "settings", "words"),
    [
        ("stub_calculators:Springs", {"slep": 1}, "no setting 'slep'.*did you mean 'sleep'"),
        ("stub_calculators:charged", {"charge": 1}, "gets its charge from reference.charge"),
        ("stub_calculators:refusing", {"method": "bad"}, "does not accept.*NotImplementedError: no method bad"),
        ("stub_calculators:Tidy", {"crsh": True}, "no setting 'crsh'.*did you mean 'crash'"),
        ("ase.calculators.lj:LennardJones", {"epsilonn": 1.0}, "no setting 'epsilonn'.*did you mean 'epsilon'"),
        ("builtins:dict", {}, "returned dict; expected an ASE calculator"),
    ],
)
def test_a_wrong_setting_is_found_before_the_first_label(engine, settings, words):
    with pytest.raises(InputError, match=words):
        check_reference(ReferenceSettings(engine, settings))


def test_a_required_setting_that_is_missing_is_named(monkeypatch):
    import stub_calculators

    monkeypatch.setattr(stub_calculators, "needs", lambda model: stub_calculators.Springs(), raising=False)
    with pytest.raises(InputError, match="needs a setting 'model'"):
        check_reference(ReferenceSettings("stub_calculators:needs"))


def test_a_folder_of_its_own_is_gone_after_success_and_kept_and_named_after_failure(pair, tmp_path):
    tidy = ReferenceSettings("stub_calculators:Tidy", scratch=str(tmp_path / "scratch"))
    assert compute(pair, tidy).energy == 2.5
    assert list((tmp_path / "scratch").iterdir()) == []
    failure = compute(Atoms("HO", positions=[[6, 0, 0], [0, 0, 2]]), tidy)
    assert next(iter(Path(failure.files).rglob("output"))).read_text() == "so far so good"


def test_the_next_try_removes_what_a_killed_one_left(pair, tmp_path):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        pass
    host = platform.node().partition(".")[0].replace("-", "_")
    for name in (f"abc-{host}-{process.pid}-x", f"abc-{host}-{os.getpid()}-x", f"other-{host}-{process.pid}-x"):
        (tmp_path / name).mkdir()
    compute(pair, ReferenceSettings("stub_calculators:Tidy", scratch=str(tmp_path)), name="abc")
    left = sorted(p.name.partition("-")[0] + p.name[-3:] for p in tmp_path.iterdir())
    assert left == [f"abc{str(os.getpid())[-1]}-x", f"other{str(process.pid)[-1]}-x"]


def test_a_scratch_folder_that_cannot_be_made_is_an_input_error(pair, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"scratch folder .*labels.scratch"):
        compute(pair, ReferenceSettings("stub_calculators:Tidy", scratch=str(tmp_path / "file" / "below")))
