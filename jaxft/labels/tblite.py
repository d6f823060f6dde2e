"""The tblite engine: GFN1-xTB and GFN2-xTB, the embedded reference; installed with jaxft, periodic, exact derivatives.

It goes through tblite's own interface, not its ASE class, because only there the spin density and the SCF steps can be
read (the numbers are the same, see the tests). Every structure gets a new calculator: a label must not depend on the
one before.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import Bohr, Hartree, kB
from jaxtyping import Float

from jaxft.errors import InputError, nearest
from jaxft.labels.electrons import unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe, complete_settings
from jaxft.labels.label import Reason

METHODS = ("GFN1-xTB", "GFN2-xTB")

DEFAULTS: dict[str, Any] = {
    "method": "GFN1-xTB",
    "accuracy": 1.0,  # tblite's scale of all thresholds; smaller is tighter
    "electronic_temperature": 300.0,  # K; the energy is then the electronic free energy
    "max_iterations": 250,
    "mixer_damping": 0.4,
    # Scale of the spin-spin interaction, used where electrons are unpaired. Without it (0) tblite does not prefer the
    # right spin state: singlet O2 comes out below the triplet.
    "spin_polarization": 1.0,
}

HEAVIEST = 86

# GFN puts the f electrons of the lanthanides into the core and leaves three outside, so Z alone would give the wrong
# parity.
_LANTHANIDES = range(58, 72)
_LANTHANIDE_ELECTRONS = 3

_SCF_STEP = re.compile(r"^\s*(\d+)\s+-?\d+\.\d+\s+-?\d")


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings; InputError for an unknown one, an unknown method, or a value out of range."""
    settings = complete_settings("tblite", given, DEFAULTS)
    if settings["method"] not in METHODS:
        raise InputError(
            f"tblite has no method {settings['method']!r}; expected {' or '.join(METHODS)}"
            f"{nearest(settings['method'], METHODS)}"
        )
    for key in ("accuracy", "electronic_temperature", "max_iterations", "mixer_damping"):
        if settings[key] <= 0:
            raise InputError(f"tblite setting {key} is {settings[key]!r}; expected a positive number")
    if settings["spin_polarization"] < 0:
        raise InputError("tblite setting spin_polarization is negative; expected 1.0, or 0 to switch it off")
    return settings


def version(settings: Mapping[str, Any]) -> str:
    """Version of the compiled library; InputError where it can't be loaded."""
    try:
        from tblite.library import get_version
    except ImportError as error:
        raise InputError(
            f"the tblite engine can't be loaded ({error}); pip install tblite, and where libgomp is missing: "
            "apt-get install libgomp1"
        ) from error
    return ".".join(str(part) for part in get_version())


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for elements beyond radon, slabs and wires, and electrons that can't be."""
    if (atoms.numbers > HEAVIEST).any():
        heavy = sorted({chemical_symbols[z] for z in atoms.numbers[atoms.numbers > HEAVIEST]})
        raise NoLabelError(
            "not supported", f"GFN-xTB knows elements up to {chemical_symbols[HEAVIEST]}; here is {', '.join(heavy)}"
        )
    if atoms.pbc.any() and not atoms.pbc.all():
        raise NoLabelError(
            "not supported",
            f"tblite would silently repeat the cell in all three directions, but pbc is {atoms.pbc.tolist()}; make it "
            "periodic in all three with enough vacuum, or in none",
        )
    _unpaired(atoms, charge, multiplicity)


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One single-point calculation; NoLabelError where it does not converge or fails otherwise."""
    from tblite.exceptions import TBLiteRuntimeError
    from tblite.interface import Calculator

    unpaired = _unpaired(atoms, charge, multiplicity)
    output: list[str] = []
    periodic = bool(atoms.pbc.all())
    try:
        calculator = Calculator(
            settings["method"],
            atoms.numbers,
            atoms.positions / Bohr,
            float(charge),
            unpaired,
            atoms.cell.array / Bohr if periodic else None,
            atoms.pbc if periodic else None,
            logger=output.append,
        )
        calculator.set("accuracy", settings["accuracy"])
        calculator.set("temperature", settings["electronic_temperature"] * kB / Hartree)
        calculator.set("max-iter", settings["max_iterations"])
        calculator.set("mixer-damping", settings["mixer_damping"])
        calculator.set("save-integrals", 1)
        polarized = unpaired > 0 and settings["spin_polarization"] > 0
        if polarized:
            calculator.add("spin-polarization", settings["spin_polarization"])
        result = calculator.singlepoint()
        # a closed shell has none by construction; open shells without polarization share one set of orbitals
        moments = _moments(calculator, result) if polarized else np.zeros(len(atoms)) if unpaired == 0 else None
    except TBLiteRuntimeError as error:
        reason: Reason = "not converged" if "not converged" in str(error) else "engine failed"
        raise NoLabelError(reason, f"tblite: {error}") from error
    stress = result["virial"] * Hartree / atoms.get_volume() if periodic else None
    return Computed(
        energy=float(result["energy"]) * Hartree,
        forces=-result["gradient"] * Hartree / Bohr,
        stress=stress,
        n_unpaired=None if moments is None else float(moments.sum()),
        moments=moments,
        scf_steps=max((int(m[1]) for line in output if (m := _SCF_STEP.match(line))), default=None),
    )


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    lanthanide = np.isin(atoms.numbers, _LANTHANIDES)
    n_electrons = int(np.where(lanthanide, _LANTHANIDE_ELECTRONS, atoms.numbers).sum()) - charge
    return unpaired_electrons(atoms.numbers, n_electrons, multiplicity)


def _moments(calculator: Any, result: Any) -> Float[np.ndarray, "atoms"]:
    """Mulliken spin population of each atom, Σ_μ∈i ((P↑ - P↓) S)_μμ, in electrons."""
    up, down = result["density-matrix"]
    orbital = np.einsum("mn,nm->m", up - down, result["overlap-matrix"])
    atom = calculator.get("shell-map")[calculator.get("orbital-map")]
    return np.bincount(atom, weights=orbital, minlength=len(calculator))


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """Two rungs: slower mixing, and slower still. The limit on the cycles stays: whoever sets it means it."""
    return tuple(Recipe(f"mixer_damping {value}", {"mixer_damping": value}) for value in (0.15, 0.05))


ENGINE = Engine(complete, version, check, compute, recipes=recipes)
