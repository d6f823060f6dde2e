"""The Quantum ESPRESSO engine: plane waves, by ASE's calculator; namelists are passed through, the output is read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.espresso import Espresso, EspressoProfile
from ase.io.espresso_namelist.keys import ALL_KEYS

from jaxft.errors import InputError, nearest
from jaxft.labels.electrons import initial_moments, unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe, complete_settings
from jaxft.labels.program import find_program, first_word, hash_files, last_number, run_program, without

DEFAULTS: dict[str, Any] = {
    "command": "pw.x",
    "pseudo_dir": "",  # must be given
    "pseudopotentials": {},  # must be given: {"O": "O.pbe-n-kjpaw_psl.1.0.0.UPF", ...}
    "input_data": {},  # namelists of pw.x: {"system": {"ecutwfc": 80}, ...}, or their keys without namelist
    "kpts": [1, 1, 1],
}
INPUT: dict[str, Any] = {"ecutwfc": 80.0, "conv_thr": 1e-9, "electron_maxstep": 100, "nosym": True}
"""Where the input says nothing else. The right cutoff depends on the pseudopotentials: see their own advice."""

OURS = {
    "tot_charge": "reference.charge",
    "nspin": "reference.multiplicity",
    "tot_magnetization": "reference.multiplicity",
    "starting_magnetization": "reference.moments",
    "tprnfor": "nothing (forces are always asked for)",
    "tstress": "nothing (stress is always asked for)",
    "calculation": "nothing (labels are single points)",
    "outdir": "nothing (each label has a folder of its own)",
    "pseudo_dir": "reference.settings.pseudo_dir",
}
INSTALL = "apt-get install quantum-espresso, or set reference.settings.command"


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings, the input as flat keys; InputError for a key that pw.x does not know."""
    settings = complete_settings("espresso", given, DEFAULTS)
    known = [key for keys in ALL_KEYS["pw"].values() for key in keys]
    flat: dict[str, Any] = {}
    for key, value in settings["input_data"].items():
        flat |= value if isinstance(value, Mapping) and str(key).lower() in ALL_KEYS["pw"] else {key: value}
    for key in flat:
        name = str(key).lower().split("(")[0]
        if name in OURS:
            raise InputError(f"espresso input {key} is set from {OURS[name]}; remove it from reference.settings")
        if name not in known:
            raise InputError(f"pw.x has no input {key!r}{nearest(name, known) or '; see its INPUT_PW page'}")
    if not settings["pseudo_dir"] or not settings["pseudopotentials"]:
        raise InputError(
            "the espresso engine needs pseudo_dir and pseudopotentials (element: file name); set them in "
            "reference.settings"
        )
    return {**settings, "input_data": {**INPUT, **flat}}


def version(settings: Mapping[str, Any]) -> None:
    """Only its output tells."""


def ready(settings: Mapping[str, Any]) -> None:
    """InputError where the program is not there."""
    find_program("espresso", settings["command"], INSTALL)


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The pseudopotentials' content in place of their names, and not the command."""
    folder = Path(settings["pseudo_dir"])
    pseudos = {
        element: hash_files([folder / name], f"the pseudopotential of {element}")
        for element, name in settings["pseudopotentials"].items()
    }
    return {**without(settings, ["command", "pseudo_dir"]), "pseudopotentials": pseudos}


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for what is not fully periodic, elements without a pseudopotential, impossible electrons."""
    if not atoms.pbc.all():
        raise NoLabelError(
            "not supported",
            f"pw.x repeats the cell in all three directions, but pbc is {atoms.pbc.tolist()}; make it periodic in all "
            "three with enough vacuum",
        )
    lacking = sorted({str(s) for s in atoms.symbols} - set(settings["pseudopotentials"]))
    if lacking:
        raise NoLabelError("not supported", f"espresso has no pseudopotential for {', '.join(lacking)}")
    initial_moments(atoms, _unpaired(atoms, charge, multiplicity))


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One energy (with smearing the free one), forces and stress; NoLabelError where the SCF did not converge."""
    unpaired = _unpaired(atoms, charge, multiplicity)
    data = {**settings["input_data"], "tot_charge": charge, "tprnfor": True, "tstress": True, "outdir": "out"}
    if unpaired:
        atoms.set_initial_magnetic_moments(initial_moments(atoms, unpaired))
        data |= {"nspin": 2, "tot_magnetization": unpaired}
    else:
        atoms.set_initial_magnetic_moments(None)
    computed, text = run_program(
        atoms,
        lambda: Espresso(
            profile=EspressoProfile(settings["command"], pseudo_dir=Path(settings["pseudo_dir"]).resolve()),
            directory=folder,
            input_data=data,
            pseudopotentials=settings["pseudopotentials"],
            kpts=tuple(settings["kpts"]) if settings["kpts"] else None,
        ),
        folder / "espresso.pwo",
        engine="espresso",
        command=settings["command"],
        converged=r"convergence has been achieved in[\s\S]*JOB DONE",
        unconverged=r"convergence NOT achieved",
        error=r"Error in routine[^\n]*\n\s*([^\n]*)\n",
    )
    steps = last_number(r"convergence has been achieved in\s+(\d+) iterations", text)
    moment = last_number(r"total magnetization\s*=\s*(-?[\d.]+)", text) if unpaired else 0.0
    return Computed(
        computed.energy,
        computed.forces,
        computed.stress,
        n_unpaired=moment,
        moments=np.zeros(len(atoms)) if unpaired == 0 else computed.moments,
        scf_steps=None if steps is None else int(steps),
        version=first_word(r"Program PWSCF v\.?(\S+)", text),
    )


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """Slower, local mixing; then conjugate gradients with slower mixing still."""
    data = settings["input_data"]
    return (
        Recipe("mixing_beta 0.2, local-TF", {"input_data": {**data, "mixing_beta": 0.2, "mixing_mode": "local-TF"}}),
        Recipe("mixing_beta 0.1, cg", {"input_data": {**data, "mixing_beta": 0.1, "diagonalization": "cg"}}),
    )


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    return unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)


ENGINE = Engine(complete, version, check, compute, identity, ready, recipes)
