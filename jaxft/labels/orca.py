"""The ORCA engine: molecules, by ASE's calculator; its settings are passed through, its output is read for convergence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.orca import ORCA, OrcaProfile

from jaxft.labels.electrons import unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe, complete_settings
from jaxft.labels.program import find_program, first_word, last_number, run_program, without

DEFAULTS: dict[str, Any] = {
    "command": "orca",  # with its full path where it runs in parallel
    "orcasimpleinput": "PBE def2-SVP def2/J RI TightSCF DEFGRID3",
    "orcablocks": "%pal nprocs 1 end",
}
INSTALL = "install ORCA (orcaforum.kofo.mpg.de) and set reference.settings.command to its full path"


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings; the gradient is asked for where the simple input does not do so."""
    settings = complete_settings("orca", given, DEFAULTS)
    if "engrad" not in settings["orcasimpleinput"].lower().split():
        settings["orcasimpleinput"] += " EnGrad"
    return settings


def version(settings: Mapping[str, Any]) -> None:
    """Only its output tells."""


def ready(settings: Mapping[str, Any]) -> None:
    """InputError where the program is not there."""
    find_program("orca", settings["command"], INSTALL)


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All but the command."""
    return without(settings, ["command"])


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for periodic structures and electrons that can't be."""
    if atoms.pbc.any():
        raise NoLabelError("not supported", "ORCA computes molecules, but the structure is periodic; set pbc to none")
    _unpaired(atoms, charge, multiplicity)


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One energy and gradient; NoLabelError where the output does not say that the SCF converged."""
    unpaired = _unpaired(atoms, charge, multiplicity)
    computed, text = run_program(
        atoms,
        lambda: ORCA(
            profile=OrcaProfile(command=settings["command"]),
            directory=folder,
            charge=charge,
            mult=unpaired + 1,
            orcasimpleinput=settings["orcasimpleinput"],
            orcablocks=settings["orcablocks"],
        ),
        folder / "orca.out",
        engine="orca",
        command=settings["command"],
        converged=r"SCF CONVERGED AFTER|THE (?:DIIS|SOSCF|NRSCF|TRAH) CONVERGED|\*\s+SUCCESS\s+\*",
        unconverged=r"SCF NOT CONVERGED|[Ww]avefunction not fully converged|SERIOUS PROBLEM IN SOSCF",
        error=r"^((?:ORCA finished by error termination|\[file orca|Error|INPUT ERROR|UNRECOGNIZED)[^\n]*)",
    )
    steps = last_number(r"SCF CONVERGED AFTER\s+(\d+) CYCLES", text)
    return Computed(
        computed.energy,
        computed.forces,
        None,
        n_unpaired=float(unpaired),  # fixed by the determinant
        scf_steps=None if steps is None else int(steps),
        version=first_word(r"Program Version\s+(\S+)", text),
    )


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """Damped, then second order."""
    simple = settings["orcasimpleinput"]
    return tuple(Recipe(word, {"orcasimpleinput": f"{simple} {word}"}) for word in ("SlowConv", "VerySlowConv TRAH"))


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    return unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)


ENGINE = Engine(complete, version, check, compute, identity, ready, recipes)
