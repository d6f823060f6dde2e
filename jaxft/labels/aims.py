"""The FHI-aims engine: all-electron, by ASE's calculator; its keywords are passed through, its output is read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.aims import Aims, AimsProfile

from jaxft.errors import InputError
from jaxft.labels.electrons import initial_moments, unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe
from jaxft.labels.program import find_program, first_word, hash_files, last_number, run_program, without

DEFAULTS: dict[str, Any] = {
    "command": "aims.x",
    "species_dir": "",  # must be given: which basis, and how tight
    "xc": "pbe",
    "relativistic": "atomic_zora scalar",
    "sc_accuracy_rho": 1e-5,
    "sc_iter_limit": 100,
    "k_grid": [1, 1, 1],  # of periodic structures
}
OURS = {
    "charge": "reference.charge",
    "spin": "reference.multiplicity",
    "fixed_spin_moment": "reference.multiplicity",
    "compute_forces": "nothing (forces are always asked for)",
    "compute_analytical_stress": "nothing (stress is asked for where the cell is periodic)",
}
INSTALL = "install FHI-aims (fhi-aims.org) and set reference.settings.command"


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings: ours, and any other keyword of control.in, which only FHI-aims itself can check."""
    for key, place in OURS.items():
        if key in given:
            raise InputError(f"aims setting {key} is set from {place}; remove it from reference.settings")
    settings = {**DEFAULTS, **given}
    if not settings["species_dir"] or not isinstance(settings["species_dir"], str):
        raise InputError(
            "the aims engine needs species_dir, a folder of FHI-aims's species_defaults (such as "
            "defaults_2020/tight); set reference.settings.species_dir"
        )
    return settings


def version(settings: Mapping[str, Any]) -> None:
    """Only its output tells."""


def ready(settings: Mapping[str, Any]) -> None:
    """InputError where the program is not there."""
    find_program("aims", settings["command"], INSTALL)


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The species' content in place of its folder, and not the command."""
    folder = Path(settings["species_dir"])
    files = [path for path in folder.glob("*_default") if path.is_file()]
    if not files:
        raise InputError(f"aims setting species_dir {folder} has no species files (01_H_default ...); correct it")
    return {**without(settings, ["command", "species_dir"]), "species_sha256": hash_files(files, "an aims species")}


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for slabs and wires, elements without a species file, and electrons that can't be."""
    if atoms.pbc.any() and not atoms.pbc.all():
        raise NoLabelError(
            "not supported",
            f"FHI-aims knows molecules and crystals, but pbc is {atoms.pbc.tolist()}; make it periodic in all three "
            "directions with enough vacuum, or in none",
        )
    folder = Path(settings["species_dir"])
    for number, symbol in {(int(z), str(s)) for z, s in zip(atoms.numbers, atoms.symbols, strict=True)}:
        if not (folder / f"{number:02d}_{symbol}_default").is_file():
            raise NoLabelError("not supported", f"FHI-aims has no species for {symbol} in {folder}")
    initial_moments(atoms, _unpaired(atoms, charge, multiplicity))


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One energy, forces and stress; NoLabelError where the output does not say that the SCF converged."""
    unpaired = _unpaired(atoms, charge, multiplicity)
    parameters = without(settings, ["command", *([] if atoms.pbc.all() else ["k_grid"])])
    parameters["charge"] = charge
    if unpaired:
        atoms.set_initial_magnetic_moments(initial_moments(atoms, unpaired))
        parameters |= {"spin": "collinear", "fixed_spin_moment": unpaired}
    else:
        atoms.set_initial_magnetic_moments(None)
        parameters["spin"] = "none"
    computed, text = run_program(
        atoms,
        lambda: Aims(profile=AimsProfile(settings["command"]), directory=folder, **parameters),
        folder / "aims.out",
        engine="aims",
        command=settings["command"],
        converged=r"Self-consistency cycle converged[\s\S]*Have a nice day",
        unconverged=r"SELF-CONSISTENCY CYCLE DID NOT CONVERGE|Self-consistency cycle not converged",
        error=r"^\s*((?:\* )?(?:Error|\*\*\*)[^\n]*)",
    )
    steps = last_number(r"Number of self-consistency cycles\s*:\s*(\d+)", text)
    moment = last_number(r"N = N_up - N_down[^:]*:\s*(-?[\d.]+)", text) if unpaired else 0.0
    return Computed(
        computed.energy,
        computed.forces,
        computed.stress,
        n_unpaired=moment,
        moments=np.zeros(len(atoms)) if unpaired == 0 else None,
        scf_steps=None if steps is None else int(steps),
        version=first_word(r"FHI-aims version\s*:\s*(\S+)", text),
    )


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """Slower mixing, and slower still."""
    return tuple(Recipe(f"charge_mix_param {value}", {"charge_mix_param": value}) for value in (0.05, 0.01))


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    return unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)


ENGINE = Engine(complete, version, check, compute, identity, ready, recipes)
