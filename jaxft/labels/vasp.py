"""The VASP engine: plane waves, by ASE's calculator; INCAR keys are passed through, OUTCAR is read for convergence."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.vasp import Vasp

from jaxft.errors import InputError, nearest
from jaxft.labels.electrons import initial_moments, unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe
from jaxft.labels.program import find_program, first_word, run_program, without

DEFAULTS: dict[str, Any] = {
    "command": "vasp_std",
    "pp_path": "",  # folder of the POTCARs, as ASE wants it (potpaw_PBE inside); empty: $VASP_PP_PATH
    "xc": "pbe",
    "encut": 520.0,
    "prec": "Accurate",
    "ediff": 1e-6,
    "nelm": 100,
    "ismear": 0,
    "sigma": 0.05,
    "lasph": True,
    "lreal": False,
    "isym": 0,
    "lorbit": 11,  # moments per atom
    "lwave": False,
    "lcharg": False,
}
OURS = {
    **dict.fromkeys(("charge", "net_charge", "nelect"), "reference.charge"),
    **dict.fromkeys(("ispin", "nupdown"), "reference.multiplicity"),
    "magmom": "reference.moments",
    **dict.fromkeys(("nsw", "ibrion", "isif"), "nothing (labels are single points)"),
    **dict.fromkeys(("directory", "label", "atoms", "restart", "txt"), "nothing (each label has a folder of its own)"),
}
NOT_PASSED = ("command", "pp_path")
INSTALL = "install VASP (vasp.at) and set reference.settings.command"


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings; InputError for a key that ASE's calculator does not know."""
    for key in given:
        if str(key).lower() in OURS:
            raise InputError(f"vasp setting {key} is set from {OURS[str(key).lower()]}; remove it")
    settings = {**DEFAULTS, **given}
    known = _known_keys()
    for key in settings:
        if key not in known and key not in NOT_PASSED:
            raise InputError(f"vasp has no setting {key!r} in ASE{nearest(str(key), known)}")
    return settings


def version(settings: Mapping[str, Any]) -> None:
    """Only its output tells."""


def ready(settings: Mapping[str, Any]) -> None:
    """InputError where the program or the folder of pseudopotentials is not there."""
    find_program("vasp", settings["command"], INSTALL)
    folder = settings["pp_path"] or os.environ.get("VASP_PP_PATH", "")
    if not folder or not Path(folder).is_dir():
        raise InputError(
            f"the vasp engine needs the folder of the POTCARs, got {folder!r}; set reference.settings.pp_path or "
            "VASP_PP_PATH"
        )


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All but where things are."""
    return without(settings, NOT_PASSED)


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for what is not fully periodic, and electrons that can't be."""
    if not atoms.pbc.all():
        raise NoLabelError(
            "not supported",
            f"VASP repeats the cell in all three directions, but pbc is {atoms.pbc.tolist()}; make it periodic in all "
            "three with enough vacuum",
        )
    initial_moments(atoms, _unpaired(atoms, charge, multiplicity))


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One free energy, forces and stress; NoLabelError where OUTCAR does not say that the SCF converged."""
    unpaired = _unpaired(atoms, charge, multiplicity)
    keys = without(settings, NOT_PASSED) | {"nsw": 0, "ibrion": -1, "isif": 2}
    if charge:
        keys["charge"] = charge
    if unpaired:
        atoms.set_initial_magnetic_moments(initial_moments(atoms, unpaired))
        keys |= {"ispin": 2, "nupdown": unpaired}
    else:
        atoms.set_initial_magnetic_moments(None)
        keys["ispin"] = 1
    made: list[Vasp] = []

    def make() -> Vasp:
        made.append(Vasp(directory=str(folder), command=settings["command"], **keys))
        return made[0]

    with _pseudopotentials(settings["pp_path"]):
        computed, text = run_program(
            atoms,
            make,
            folder / "OUTCAR",
            engine="vasp",
            command=settings["command"],
            converged=r"aborting loop because EDIFF is reached[\s\S]*General timing",
            unconverged=r"aborting loop EDIFF was not reached[^\n]*|EDIFF was not reached \(unconverged\)",
            error=r"(?:ERROR|VERY BAD NEWS!)[:\s]*([^\n]*)",
        )
    return Computed(
        computed.energy,
        computed.forces,
        computed.stress,
        n_unpaired=computed.n_unpaired if unpaired else 0.0,
        # below 10 VASP writes none, and ASE reads zeros
        moments=np.zeros(len(atoms)) if not unpaired else computed.moments if settings["lorbit"] >= 10 else None,
        scf_steps=made[0].read_number_of_iterations(),
        version=first_word(r"^\s*vasp\.(\S+)", text),
    )


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """All bands at once (damped), then slow linear mixing."""
    return (
        Recipe("algo All", {"algo": "All"}),
        Recipe("amix 0.1, bmix 1e-4", {"algo": "Normal", "amix": 0.1, "bmix": 1e-4}),
    )


@contextmanager
def _pseudopotentials(folder: str) -> Iterator[None]:
    """ASE looks for POTCARs in an environment variable."""
    before = os.environ.get("VASP_PP_PATH")
    if folder:
        os.environ["VASP_PP_PATH"] = str(Path(folder).resolve())
    try:
        yield
    finally:
        if folder and before is None:
            del os.environ["VASP_PP_PATH"]
        elif folder and before is not None:
            os.environ["VASP_PP_PATH"] = before


def _known_keys() -> list[str]:
    calculator = Vasp()
    return [
        key
        for name, keys in vars(calculator).items()
        if name.endswith("_params") and isinstance(keys, dict)
        for key in keys
    ]


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    return unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)


ENGINE = Engine(complete, version, check, compute, identity, ready, recipes)
