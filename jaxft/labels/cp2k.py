"""The CP2K engine: Gaussians and plane waves, by ASE's calculator for the CP2K shell.

The shell hands over energies of an SCF that did not converge without a word, and dies of a mistake with words that only
its output has; so the output is read. Every label gets a shell of its own: one that is kept starts from the last
wavefunction, and a label would depend on the one before. Open shells of cobalt did not converge in any recipe tried.
"""

import os
import re
import shlex
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.calculators.cp2k import CP2K, InputSection, parse_input
from ase.units import Rydberg

from jaxft.errors import InputError
from jaxft.labels.electrons import initial_moments, unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe, complete_settings
from jaxft.labels.program import find_program, first_word, last_number, run_program, without

DEFAULTS: dict[str, Any] = {
    "command": "cp2k.psmp -s",
    "data_dir": "",  # of basis sets and pseudopotentials; empty: $CP2K_DATA_DIR, else Debian's
    "xc": "PBE",
    "basis_set": "DZVP-MOLOPT-SR-GTH",
    "basis_set_file": "BASIS_MOLOPT",
    "pseudo_potential": "GTH-PBE",
    "potential_file": "GTH_POTENTIALS",
    "cutoff": 900.0,  # Ry; the forces of one water sum to 0.027 eV/Å at 600 and to 0.015 at 900
    "rel_cutoff": 60.0,  # Ry
    "eps_default": 1e-14,
    "eps_scf": 1e-6,
    "max_scf": 100,
    "solver": "diagonalization",  # or "ot", orbital transformation, for systems with a gap
    "alpha": 0.2,  # of the mixing, with diagonalization
    "input": "",  # more of CP2K's own input, as text; what it says itself is not said again
}
PATH_ONLY = ("command", "data_dir", "max_scf", "solver", "alpha")
OURS = {
    "CUTOFF": "reference.settings.cutoff",
    "BASIS_SET_FILE_NAME": "reference.settings.basis_set_file",
    "POTENTIAL_FILE_NAME": "reference.settings.potential_file",
    "CHARGE": "reference.charge",
    **dict.fromkeys(("MULTIPLICITY", "UKS", "UNRESTRICTED_KOHN_SHAM", "LSD"), "reference.multiplicity"),
    **dict.fromkeys(("PROJECT", "PRINT_LEVEL", "METHOD", "STRESS_TENSOR"), "nothing (labels are single points)"),
}
DEBIAN_DATA = "/usr/share/cp2k"
SOLVERS = ("ot", "diagonalization")
INSTALL = "apt-get install cp2k cp2k-data, or set reference.settings.command"


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings; InputError for an unknown one or a value out of range."""
    settings = complete_settings("cp2k", given, DEFAULTS)
    for key in ("cutoff", "rel_cutoff", "eps_default", "eps_scf", "max_scf"):
        if settings[key] <= 0:
            raise InputError(f"cp2k setting {key} is {settings[key]!r}; expected a positive number")
    if settings["solver"] not in SOLVERS:
        raise InputError(f"cp2k setting solver is {settings['solver']!r}; expected {' or '.join(SOLVERS)}")
    words = {line.split()[0].upper() for line in settings["input"].splitlines() if line.strip()}
    for key, place in OURS.items():
        if key in words:
            raise InputError(f"cp2k input {key} is set from {place}; remove it from reference.settings.input")
    return settings


def version(settings: Mapping[str, Any]) -> None:
    """Only its output tells."""


def ready(settings: Mapping[str, Any]) -> None:
    """InputError where the program or its data are not there."""
    find_program("cp2k", settings["command"], INSTALL)
    for name in ("basis_set_file", "potential_file"):
        if not (_data(settings) / settings[name]).is_file():
            raise InputError(
                f"cp2k finds no {settings[name]} in {_data(settings)}; apt-get install cp2k-data, or set "
                "reference.settings.data_dir"
            )


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All but where things are and how the SCF gets there."""
    return without(settings, PATH_ONLY)


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for a molecule without a cell, elements without a basis, and electrons that can't be."""
    if atoms.cell.rank < 3:
        raise NoLabelError("not supported", "CP2K needs a cell with three lattice vectors, for a molecule too")
    for name, file, wanted in (
        ("basis set", settings["basis_set_file"], settings["basis_set"]),
        ("pseudopotential", settings["potential_file"], settings["pseudo_potential"]),
    ):
        path = _data(settings) / file
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
        for symbol in sorted({str(s) for s in atoms.symbols}) if text is not None else ():
            if not re.search(rf"^\s*{symbol}\s(?:.*\s)?{re.escape(wanted)}(?:\s|-q\d|$)", text or "", re.M):
                raise NoLabelError("not supported", f"cp2k has no {name} {wanted} for {symbol} in {file}")
    initial_moments(atoms, _unpaired(atoms, charge, multiplicity))


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One energy, forces and stress; NoLabelError where the output does not say that the SCF converged."""
    find_program("cp2k", settings["command"], INSTALL)  # a shell that can't start leaves ASE's object half made
    unpaired = _unpaired(atoms, charge, multiplicity)
    moments = initial_moments(atoms, unpaired)
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    # in the folder, since CP2K cuts long paths off; its last words go to the output, not to the terminal
    command = (
        f"cd {shlex.quote(str(folder))} && export CP2K_DATA_DIR={shlex.quote(str(_data(settings)))} "
        f"OMP_NUM_THREADS={threads} && exec {settings['command']} 2> stderr.txt"
    )

    def make() -> "_Shell":
        return _Shell(
            command=command,
            label="label",
            xc=settings["xc"],
            basis_set=settings["basis_set"],
            basis_set_file=settings["basis_set_file"],
            pseudo_potential=settings["pseudo_potential"],
            potential_file=settings["potential_file"],
            cutoff=settings["cutoff"] * Rydberg,
            max_scf=settings["max_scf"],
            charge=charge,
            uks=unpaired > 0,
            multiplicity=unpaired + 1,
            stress_tensor=bool(atoms.pbc.all()),
            print_level="MEDIUM",
            inp=_input(settings, atoms, moments),
        )

    computed, text = run_program(
        atoms,
        make,
        folder / "label.out",
        engine="cp2k",
        command=settings["command"],
        converged=r"SCF run converged in|outer SCF loop converged in",
        unconverged=r"SCF run NOT converged|outer SCF loop FAILED to converge",
        error=r"\\___/\s+([^\n]*?)\s*\*$",
    )
    steps = last_number(r"SCF run converged in\s+(\d+) (?:steps|iterations)", text)
    populations = _populations(text, len(atoms)) if unpaired else np.zeros(len(atoms))
    return Computed(
        computed.energy,
        computed.forces,
        computed.stress,
        n_unpaired=None if populations is None else float(populations.sum()),
        moments=populations,
        scf_steps=None if steps is None else int(steps),
        version=first_word(r"CP2K\| version string:\s+CP2K version (\S+)", text),
    )


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """Orbital transformation, which finds its way where mixing does not; then the slowest mixing."""
    return (
        Recipe("orbital transformation", {"solver": "ot"}),
        Recipe("diagonalization, alpha 0.05", {"solver": "diagonalization", "alpha": 0.05}),
    )


class _Shell(CP2K):
    """ASE's calculator, which ends its shell with the calculation and says nothing when that has died already."""

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = tuple(all_changes)) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                super().calculate(atoms, properties, system_changes)
                if "stress" in self.results and not self.parameters["stress_tensor"]:
                    del self.results["stress"]
            finally:
                self.close()

    def close(self) -> None:
        """End the shell, whatever state it is in."""
        shell, self._shell, self._force_env_id = self._shell, None, None
        if shell is None or getattr(shell, "_child", None) is None:
            return
        if shell.isready and shell._child.poll() is None:
            shell.close()
            return
        shell._child.kill()
        shell._child.communicate()
        shell.isready = False
        del shell._child  # or it would be ended once more when it is forgotten


def _input(settings: Mapping[str, Any], atoms: Atoms, moments: np.ndarray) -> str:
    """The user's own input with what the settings say where it does not say so itself; ASE adds the rest."""
    root = parse_input(settings["input"])
    scf = "FORCE_EVAL/DFT/SCF"
    lines = [
        ("FORCE_EVAL/DFT/MGRID", f"REL_CUTOFF [Ry] {settings['rel_cutoff']}"),
        ("FORCE_EVAL/DFT/QS", f"EPS_DEFAULT {settings['eps_default']}"),
        (scf, "SCF_GUESS ATOMIC"),
        (scf, f"EPS_SCF {settings['eps_scf']}"),
    ]
    if settings["solver"] == "ot":
        lines += [
            (f"{scf}/OT", "MINIMIZER DIIS"),
            (f"{scf}/OT", "PRECONDITIONER FULL_SINGLE_INVERSE"),
            (f"{scf}/OUTER_SCF", "MAX_SCF 5"),
            (f"{scf}/OUTER_SCF", f"EPS_SCF {settings['eps_scf']}"),
        ]
    else:
        lines += [
            (f"{scf}/DIAGONALIZATION", "ALGORITHM STANDARD"),
            (f"{scf}/MIXING", "METHOD BROYDEN_MIXING"),
            (f"{scf}/MIXING", f"ALPHA {settings['alpha']}"),
            (f"{scf}/MIXING", "NBROYDEN 8"),
        ]
    for path, line in lines:
        _add(root.get_subsection(path), line)
    solver = root.get_subsection(f"{scf}/{'OT' if settings['solver'] == 'ot' else 'DIAGONALIZATION'}")
    solver.params = solver.params or "ON"
    kinds = root.get_subsection("FORCE_EVAL/SUBSYS").subsections
    for symbol in sorted({str(s) for s in atoms.symbols}):
        if moments[atoms.symbols == symbol].any():
            known = [section for section in kinds if section.name == "KIND" and section.params == symbol]
            if not known:
                kinds.append(InputSection("KIND", params=symbol))
            _add((known or kinds[-1:])[0], f"MAGNETIZATION {moments[atoms.symbols == symbol].mean():.6f}")
    return "\n".join(root.write())


def _add(section: InputSection, line: str) -> None:
    if line.split()[0] not in [keyword.split()[0].upper() for keyword in section.keywords]:
        section.keywords.append(line)


def _populations(text: str, n_atoms: int) -> np.ndarray | None:
    """Spin moments of the last Mulliken analysis in the output."""
    block = text.rpartition("Mulliken Population Analysis")[2]
    rows = re.findall(r"^\s*\d+\s+[A-Z][a-z]?\s+\d+(?:\s+-?[\d.]+){3}\s+(-?[\d.]+)\s*$", block, re.M)
    return np.array(rows[:n_atoms], dtype=np.float64) if len(rows) >= n_atoms else None


def _data(settings: Mapping[str, Any]) -> Path:
    return Path(settings["data_dir"] or os.environ.get("CP2K_DATA_DIR", "") or DEBIAN_DATA)


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    return unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)


ENGINE = Engine(complete, version, check, compute, identity, ready, recipes)
