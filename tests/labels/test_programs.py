"""Engines that run programs through files: numbers in our units, and no label unless the output says it converged."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree, Rydberg

from jaxft.errors import InputError
from jaxft.labels.key import settings_key
from jaxft.labels.label import Failure, Label
from jaxft.labels.reference import ReferenceSettings, check_reference, compute

STUBS = Path(__file__).with_name("stub_programs.py")

UNITS = {
    "espresso": (Rydberg, Rydberg / Bohr, Rydberg / Bohr**3 * -1e-4),
    "vasp": (1.0, 1.0, -0.01),  # stress from kbar
    "aims": (1.0, 1.0, None),
    "orca": (Hartree, Hartree / Bohr, None),
}
VERSIONS = {"espresso": "6.7MaX", "vasp": "6.4.2", "aims": "240507", "orca": "5.0.4"}
STEPS = {"espresso": 13, "vasp": 14, "aims": 14, "orca": 12}


def radical(engine):
    atoms = Atoms("OH", positions=[[2, 2, 2], [2, 2, 3]])
    if engine in ("espresso", "vasp"):
        atoms.cell, atoms.pbc = [4, 4, 4], True
    return atoms


@pytest.fixture
def reference(tmp_path):
    """Function (engine, mode) → a reference that runs a stub; ``changes`` to its settings."""
    for name in ("01_H_default", "08_O_default"):
        (tmp_path / "species").mkdir(exist_ok=True)
        (tmp_path / "species" / name).write_text(name)
    for name in ("H", "O"):
        (tmp_path / f"{name}.UPF").write_text(f'<UPF><PP_HEADER z_valence="1.0" element="{name}"/></UPF>')
        folder = tmp_path / "pp" / "potpaw_PBE" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "POTCAR").write_text(
            f"  PAW_PBE {name} 08Apr2002\n   1.000\n VRHFIN ={name}: s\n   POMASS =   1.000; ZVAL   =    1.000\n End of Dataset\n"
        )
    own = {
        "espresso": {"pseudo_dir": str(tmp_path), "pseudopotentials": {"H": "H.UPF", "O": "O.UPF"}},
        "vasp": {"pp_path": str(tmp_path / "pp")},
        "aims": {"species_dir": str(tmp_path / "species")},
        "orca": {},
    }

    def make(engine, mode, multiplicity=2, **changes):
        command = shlex.join([sys.executable, str(STUBS), engine, mode])
        settings = {**own[engine], "command": command, **changes}
        return ReferenceSettings(engine, settings, multiplicity=multiplicity, scratch=str(tmp_path / "scratch"))

    return make


@pytest.mark.parametrize("engine", UNITS)
def test_a_converged_calculation_is_a_label_in_our_units(engine, reference):
    energy, force, stress = UNITS[engine]
    check_reference(reference(engine, "converged"), radical(engine))
    label = compute(radical(engine), reference(engine, "converged"))
    assert isinstance(label, Label), label
    assert label.energy == pytest.approx(-2.0 * energy, rel=1e-6)
    np.testing.assert_allclose(label.forces, [[0.1 * force, 0, 0], [-0.1 * force, 0, 0]], rtol=1e-6)
    if stress is None:
        assert label.stress is None
    else:
        np.testing.assert_allclose(label.stress, np.diag([1, 1, 2]) * stress, rtol=1e-4)
    assert label.provenance.version == VERSIONS[engine]
    assert (label.scf_steps, label.n_unpaired) == (STEPS[engine], 1.0)


@pytest.mark.parametrize("engine", UNITS)
def test_an_output_that_does_not_say_converged_is_no_label_whatever_numbers_it_has(engine, reference):
    failure = compute(radical(engine), reference(engine, "unconverged"))
    assert isinstance(failure, Failure)
    assert failure.reason == "not converged"
    assert "nor with" in failure.detail  # the ladder was climbed
    assert "\n" not in str(failure)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("espresso", "too many bands are not converged"),
        ("vasp", "returned an error: 1"),
        ("aims", "the species H is not known to me"),
        ("orca", "ORCA finished by error termination in GTOInt"),
    ],
)
def test_a_crash_is_a_failure_in_the_programs_words_with_its_files_kept(engine, words, reference):
    failure = compute(radical(engine), reference(engine, "crashed"))
    assert isinstance(failure, Failure)
    assert failure.reason in ("engine failed", "not converged")
    assert words in failure.detail
    assert any(Path(failure.files).rglob("*"))


@pytest.mark.parametrize("engine", UNITS)
def test_a_program_that_is_not_there_is_said_beforehand(engine, reference):
    with pytest.raises(InputError, match=r"needs the program no-such-program.*install"):
        check_reference(reference(engine, "converged", command="no-such-program -in x"))


@pytest.mark.parametrize("engine", UNITS)
def test_a_program_that_is_not_there_where_labels_are_computed_is_nobodys_failure(engine, reference):
    with pytest.raises(InputError, match=r"can't run no-such-program"):
        compute(radical(engine), reference(engine, "converged", command="no-such-program -in x"))


@pytest.mark.parametrize("engine", UNITS)
def test_the_command_is_no_part_of_what_a_label_is(engine, reference):
    assert settings_key(reference(engine, "converged")) == settings_key(reference(engine, "unconverged"))


@pytest.mark.parametrize("engine", UNITS)
def test_a_multiplicity_that_the_electrons_exclude_is_no_label(engine, reference):
    assert compute(radical(engine), reference(engine, "converged", multiplicity=1)).reason == "electron count"


@pytest.mark.parametrize(
    ("engine", "changes", "words"),
    [
        ("espresso", {"input_data": {"ecutwfk": 40}}, "no input 'ecutwfk'.*did you mean 'ecutwfc'"),
        ("espresso", {"input_data": {"system": {"nspin": 2}}}, "nspin is set from reference.multiplicity"),
        ("espresso", {"pseudopotentials": {"H": "nowhere.UPF"}}, "pseudopotential of H can't be read"),
        ("vasp", {"encutt": 400}, "no setting 'encutt'.*did you mean 'encut'"),
        ("vasp", {"nsw": 10}, "nsw is set from nothing"),
        ("aims", {"species_dir": ""}, "needs species_dir"),
        ("aims", {"spin": "collinear"}, "spin is set from reference.multiplicity"),
        ("orca", {"orcasimpleinputs": "PBE"}, "no setting 'orcasimpleinputs'.*did you mean"),
        ("orca", {"command": "'orca"}, "can't be read as a command line"),
    ],
)
def test_a_wrong_setting_is_an_input_error(engine, changes, words, reference):
    with pytest.raises(InputError, match=words):
        check_reference(reference(engine, "converged", **changes))


@pytest.mark.parametrize("engine", ["espresso", "vasp"])
def test_plane_waves_want_a_periodic_cell(engine, reference):
    atoms = radical(engine)
    atoms.pbc = False
    assert compute(atoms, reference(engine, "converged")).reason == "not supported"


def test_orca_wants_a_molecule(reference):
    assert compute(radical("vasp"), reference("orca", "converged")).reason == "not supported"


def test_an_element_without_data_is_not_supported(reference):
    for engine in ("espresso", "aims"):
        atoms = radical(engine)
        atoms.symbols[0] = "N"
        failure = compute(atoms, reference(engine, "converged", multiplicity=1))
        assert (failure.reason, " N" in failure.detail) == ("not supported", True)


def test_initial_moments_and_the_total_reach_the_input(reference, tmp_path):
    compute(radical("espresso"), reference("espresso", "crashed"))
    text = next((tmp_path / "scratch").rglob("espresso.pwi")).read_text()
    assert "tot_magnetization = 1" in text
    assert "starting_magnetization(1)" in text
    compute(radical("vasp"), reference("vasp", "crashed"))
    text = next((tmp_path / "scratch").rglob("INCAR")).read_text().replace(" ", "")
    assert "ISPIN=2" in text
    assert "NUPDOWN=1" in text
