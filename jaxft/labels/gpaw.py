"""The GPAW engine: projector-augmented plane waves, periodic, with spin; the most robust one tried for open shells.

The default of 800 eV is for labels: at 400 eV forces are off by 0.4 eV/Å and the stress by its own size, because plane
waves that change with the cell are too few (Pulay stress). With smearing the label is the free energy.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from jaxft.errors import InputError
from jaxft.labels.ase_calculator import calculate, failures_recorded
from jaxft.labels.electrons import initial_moments, unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe, complete_settings
from jaxft.labels.program import without

DEFAULTS: dict[str, Any] = {
    "cutoff": 800.0,  # eV
    "xc": "PBE",
    "kpts": [1, 1, 1],
    "smearing": 0.05,  # eV, Fermi-Dirac; part of the energy
    "convergence": {"energy": 1e-5, "density": 1e-5, "eigenstates": 1e-7},  # eV per valence electron, e, eV²
    "max_iterations": 200,
    "setups": "",  # folder of the PAW setups; empty: $GPAW_SETUP_PATH, else Debian's
    "mixer": {},  # empty: GPAW's own choice
    "eigensolver": "",  # empty: GPAW's own choice
}
PATH_ONLY = ("max_iterations", "setups", "mixer", "eigensolver")
DEBIAN_SETUPS = "/usr/share/gpaw-setups"

INSTALL = (
    "apt-get install libxc-dev libopenblas-dev gpaw-data, then pip install 'jaxft[gpaw]' with a GPAW_CONFIG "
    "(docs/engines.md)"
)


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings; InputError for an unknown one or a value out of range."""
    settings = complete_settings("gpaw", given, DEFAULTS)
    for key in ("cutoff", "max_iterations"):
        if settings[key] <= 0:
            raise InputError(f"gpaw setting {key} is {settings[key]!r}; expected a positive number")
    if settings["smearing"] < 0:
        raise InputError("gpaw setting smearing is negative; expected a width in eV, or 0")
    kpts = settings["kpts"]
    if len(kpts) != 3 or not all(type(k) is int and k > 0 for k in kpts):
        raise InputError(f"gpaw setting kpts is {kpts!r}; expected three whole numbers, such as [1, 1, 1]")
    known = ("energy", "density", "eigenstates", "forces")
    for key in settings["convergence"]:
        if key not in known:
            raise InputError(f"gpaw setting convergence has {key!r}; expected some of {', '.join(known)}")
    return settings


def version(settings: Mapping[str, Any]) -> str:
    """Version of GPAW; InputError where it can't be loaded."""
    try:
        import gpaw
    except ImportError as error:
        raise InputError(f"the gpaw engine can't be loaded ({error}); {INSTALL}") from error
    return str(gpaw.__version__)


def ready(settings: Mapping[str, Any]) -> None:
    """InputError where the folder of the setups is not there."""
    folder = _setups(settings)
    if not folder.is_dir():
        raise InputError(
            f"gpaw finds no PAW setups in {folder}; apt-get install gpaw-data, or set reference.settings.setups"
        )


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All but where the setups are and how the SCF gets there."""
    return without(settings, PATH_ONLY)


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for what is not fully periodic, elements without a setup, and electrons that can't be."""
    if not atoms.pbc.all():
        raise NoLabelError(
            "not supported",
            f"gpaw labels are by plane waves, but pbc is {atoms.pbc.tolist()}; make it periodic in all three directions "
            "with enough vacuum",
        )
    folder = _setups(settings)
    if folder.is_dir():
        functional = "LDA" if settings["xc"].upper() == "LDA" else "PBE"
        for symbol in sorted({str(s) for s in atoms.symbols}):
            if not any((folder / f"{symbol}.{functional}{end}").is_file() for end in ("", ".gz")):
                raise NoLabelError("not supported", f"gpaw has no {functional} setup for {symbol} in {folder}")
    initial_moments(atoms, _unpaired(atoms, charge, multiplicity))


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One free energy, forces and stress; NoLabelError where the SCF did not converge."""
    import gpaw

    place = str(_setups(settings))
    if place not in gpaw.setup_paths:
        gpaw.setup_paths.insert(0, place)
    unpaired = _unpaired(atoms, charge, multiplicity)
    atoms.set_initial_magnetic_moments(initial_moments(atoms, unpaired) if unpaired else None)
    optional = {key: settings[key] for key in ("mixer", "eigensolver") if settings[key]}
    occupations = {"name": "fermi-dirac", "width": settings["smearing"], "fixmagmom": bool(unpaired)}
    try:
        with failures_recorded(foreign=True):
            calculator = gpaw.GPAW(
                mode={"name": "pw", "ecut": settings["cutoff"]},
                xc=settings["xc"],
                kpts=settings["kpts"],
                charge=charge,
                spinpol=bool(unpaired),
                symmetry="off",
                occupations=occupations,
                convergence=settings["convergence"],
                maxiter=settings["max_iterations"],
                txt=str(folder / "gpaw.txt"),
                **optional,
            )
            computed = calculate(atoms, calculator)
            steps = int(calculator.get_number_of_iterations())
    except NoLabelError as error:
        if error.reason != "not converged":
            raise
        detail = f"gpaw: SCF not converged in {settings['max_iterations']} cycles"  # its own error has no words
        raise NoLabelError("not converged", detail) from error
    if unpaired == 0:
        return Computed(computed.energy, computed.forces, computed.stress, 0.0, np.zeros(len(atoms)), scf_steps=steps)
    return Computed(
        computed.energy, computed.forces, computed.stress, computed.n_unpaired, computed.moments, scf_steps=steps
    )


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """Slower mixing with a longer memory, and slower still by another eigensolver."""
    return (
        Recipe("beta 0.05", {"mixer": {"method": "difference", "beta": 0.05, "nmaxold": 8, "weight": 50}}),
        Recipe(
            "beta 0.02, Davidson",
            {"mixer": {"method": "separate", "beta": 0.02, "nmaxold": 8, "weight": 100}, "eigensolver": "davidson"},
        ),
    )


def _setups(settings: Mapping[str, Any]) -> Path:
    return Path(settings["setups"] or os.environ.get("GPAW_SETUP_PATH", "").split(os.pathsep)[0] or DEBIAN_SETUPS)


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    return unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)


ENGINE = Engine(complete, version, check, compute, identity, ready, recipes)
