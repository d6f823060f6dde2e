"""The PySCF engine: Kohn-Sham DFT in Gaussian orbitals, for molecules (density fitting) and periodic cells (Γ point).

It goes through PySCF's own interface: its ASE class returns the stress in other units (Ha/Bohr) and folded otherwise,
and the raw one returns a gradient whether the SCF converged or not, so convergence is asked for here. Crystals take one
k-point by the routines for many, because only those have forces and stress at once.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree

from jaxft.errors import InputError
from jaxft.labels.ase_calculator import failures_recorded
from jaxft.labels.electrons import unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe, complete_settings

DEFAULTS: dict[str, Any] = {
    "xc": "pbe",
    "basis": "def2-svp",  # of molecules; def2 bases bring their own core potentials for heavy elements
    "density_fit": True,
    "grid_level": 4,
    "periodic_basis": "gth-dzvp-molopt-sr",
    "pseudo": "gth-pbe",
    "ke_cutoff": 160.0,  # Ha, of the periodic density
    "conv_tol": 1e-9,  # Ha
    "max_cycle": 100,
    "max_memory": 4000,  # MB
    "level_shift": 0.0,  # Ha
    "damping": 0.0,
    "diis": True,
    "start": "minao",  # or "uhf": the density of a Hartree-Fock calculation
    "second_order": False,
}
PATH_ONLY = ("max_memory", "level_shift", "damping", "diis", "start", "second_order", "max_cycle")
"""How the SCF gets there; no part of what it finds."""

LAST_ALL_ELECTRON = 36
"""Z of krypton, the last element that def2 bases treat without a core potential."""

STARTS = ("minao", "atom", "1e", "huckel", "uhf")


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings; InputError for an unknown one or a value out of range."""
    settings = complete_settings("pyscf", given, DEFAULTS)
    for key in ("ke_cutoff", "conv_tol", "max_cycle", "max_memory"):
        if settings[key] <= 0:
            raise InputError(f"pyscf setting {key} is {settings[key]!r}; expected a positive number")
    if not 0 <= settings["grid_level"] <= 9:
        raise InputError(f"pyscf setting grid_level is {settings['grid_level']!r}; expected 0 to 9")
    if settings["start"] not in STARTS:
        raise InputError(f"pyscf setting start is {settings['start']!r}; expected one of {', '.join(STARTS)}")
    return settings


def version(settings: Mapping[str, Any]) -> str:
    """Version of PySCF; InputError where it can't be loaded."""
    try:
        import pyscf
    except ImportError as error:
        raise InputError(f"the pyscf engine can't be loaded ({error}); pip install 'jaxft[pyscf]'") from error
    return str(pyscf.__version__)


def ready(settings: Mapping[str, Any]) -> None:
    """InputError for a functional that PySCF does not know."""
    from pyscf.dft import libxc

    try:
        libxc.parse_xc(settings["xc"])
    except (KeyError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"pyscf knows no functional {settings['xc']!r} ({error}); see its list of functionals"
        ) from None


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the numbers; not memory, nor how the SCF gets there, but where it starts: that may decide the state."""
    return {key: value for key, value in settings.items() if key not in PATH_ONLY or key == "start"}


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Raise NoLabelError for slabs and wires, elements without a basis, and electrons that can't be."""
    if atoms.pbc.any() and not atoms.pbc.all():
        raise NoLabelError(
            "not supported",
            f"pyscf labels are of molecules and crystals, but pbc is {atoms.pbc.tolist()}; make it periodic in all "
            "three directions with enough vacuum, or in none",
        )
    for symbol in sorted({str(s) for s in atoms.symbols}):
        if atoms.pbc.all():
            known = _has_basis(settings["periodic_basis"], symbol) and _has_pseudo(settings["pseudo"], symbol)
            names = f"{settings['periodic_basis']} with {settings['pseudo']}"
        else:
            known, names = _has_basis(settings["basis"], symbol), settings["basis"]
        if not known:
            raise NoLabelError("not supported", f"pyscf has no {names} for {symbol}")
    if atoms.pbc.all() and charge:
        raise NoLabelError("not supported", f"pyscf labels of a periodic cell are neutral, but the charge is {charge}")
    _unpaired(atoms, charge, multiplicity)


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """One energy, forces and, where periodic, stress; NoLabelError where the SCF did not converge."""
    unpaired = _unpaired(atoms, charge, multiplicity)
    with failures_recorded():
        return (_crystal if atoms.pbc.all() else _molecule)(atoms, settings, charge, unpaired)


def _molecule(atoms: Atoms, settings: Mapping[str, Any], charge: int, unpaired: int) -> Computed:
    from pyscf import dft, gto, scf

    molecule = gto.M(
        atom=_places(atoms),
        unit="A",
        basis=settings["basis"],
        ecp=_core_potentials(atoms, settings["basis"]),
        charge=charge,
        spin=unpaired,
        verbose=0,
        max_memory=settings["max_memory"],
    )
    field = (dft.UKS if unpaired else dft.RKS)(molecule, xc=settings["xc"])
    start = scf.UHF(molecule) if settings["start"] == "uhf" else None
    if settings["density_fit"]:
        field, start = field.density_fit(), start and start.density_fit()
    field.grids.level = settings["grid_level"]
    if settings["second_order"]:
        field = field.newton()
    energy, steps = _converge(field, start, settings)
    gradient = field.nuc_grad_method()
    gradient.grid_response = True  # the grid moves with the atoms; without it forces don't sum to zero
    moments = _moments(field.make_rdm1(), molecule.intor("int1e_ovlp"), molecule) if unpaired else np.zeros(len(atoms))
    return Computed(
        energy=energy * Hartree,
        forces=-gradient.kernel() * Hartree / Bohr,
        stress=None,
        n_unpaired=float(moments.sum()),
        moments=moments,
        scf_steps=steps,
    )


def _crystal(atoms: Atoms, settings: Mapping[str, Any], charge: int, unpaired: int) -> Computed:
    from pyscf.pbc import dft, gto, scf

    cell = gto.Cell()
    cell.build(
        atom=_places(atoms),
        unit="A",
        a=atoms.cell.array,
        basis=settings["periodic_basis"],
        pseudo=settings["pseudo"],
        ke_cutoff=settings["ke_cutoff"],
        spin=unpaired,
        verbose=0,
        max_memory=settings["max_memory"],
    )
    gamma = np.zeros((1, 3))
    field = (dft.KUKS if unpaired else dft.KRKS)(cell, kpts=gamma, xc=settings["xc"])
    start = scf.KUHF(cell, kpts=gamma) if settings["start"] == "uhf" else None
    if settings["second_order"]:
        field = field.newton()
    energy, steps = _converge(field, start, settings)
    gradient = field.nuc_grad_method()
    forces = -gradient.kernel() * Hartree / Bohr
    stress = gradient.get_stress() * Hartree / Bohr**3  # (1/V) dE/dε already, the sign that ASE has
    density = np.asarray(field.make_rdm1())
    moments = _moments(density[:, 0].real, cell.pbc_intor("int1e_ovlp"), cell) if unpaired else np.zeros(len(atoms))
    return Computed(
        energy=energy * Hartree,
        forces=forces,
        stress=(stress + stress.T) / 2,
        n_unpaired=float(moments.sum()),
        moments=moments,
        scf_steps=steps,
    )


def recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """Shifted and damped; then from a Hartree-Fock density by second order."""
    return (
        Recipe("level_shift 0.2, damping 0.3", {"level_shift": 0.2, "damping": 0.3}),
        Recipe("from UHF, second order", {"start": "uhf", "second_order": True}),
    )


def _converge(field: Any, start: Any, settings: Mapping[str, Any]) -> tuple[float, int | None]:
    for each in (field, start):
        if each is None:
            continue
        each.chkfile = None
        each.max_cycle = settings["max_cycle"]
        if not settings["second_order"]:
            each.level_shift, each.damp, each.diis = settings["level_shift"], settings["damping"], settings["diis"]
    field.conv_tol = settings["conv_tol"]
    density = None
    if start is not None:
        start.conv_tol = 1e-6  # only a start
        start.kernel()
        density = start.make_rdm1()
        if np.ndim(field.get_init_guess()) < np.ndim(density):
            density = density[0] + density[1]
    elif settings["start"] != "minao":
        density = field.get_init_guess(key=settings["start"])
    energy = field.kernel(dm0=density)
    if not field.converged:
        raise NoLabelError("not converged", f"pyscf: SCF not converged in {settings['max_cycle']} cycles")
    steps = getattr(field, "cycles", 0)  # second order counts otherwise, and leaves 0
    return float(energy), int(steps) or None


def _moments(densities: Any, overlap: Any, molecule: Any) -> np.ndarray:
    """Mulliken spin population of each atom, Σ_μ∈i ((P↑ - P↓) S)_μμ, in electrons."""
    difference = densities[0] - densities[1]
    orbital = np.einsum("mn,nm->m", difference, np.asarray(overlap)).real
    return np.array([orbital[first:last].sum() for _, _, first, last in molecule.aoslice_by_atom()])


def _core_potentials(atoms: Atoms, basis: str) -> dict[str, str]:
    if not basis.lower().startswith("def2"):
        return {}
    return {str(symbol): basis for symbol in atoms.symbols[atoms.numbers > LAST_ALL_ELECTRON]}


def _places(atoms: Atoms) -> list[tuple[str, list[float]]]:
    return [(str(symbol), place.tolist()) for symbol, place in zip(atoms.symbols, atoms.positions, strict=True)]


@lru_cache(maxsize=512)
def _has_basis(name: str, symbol: str) -> bool:
    from pyscf.gto import basis
    from pyscf.lib.exceptions import BasisNotFoundError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its advice to install another collection of bases
            return bool(basis.load(name, symbol))
    except (BasisNotFoundError, KeyError, RuntimeError):
        return False


@lru_cache(maxsize=512)
def _has_pseudo(name: str, symbol: str) -> bool:
    from pyscf.lib.exceptions import BasisNotFoundError
    from pyscf.pbc.gto import pseudo

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its advice to install another collection of bases
            return bool(pseudo.load(name, symbol))
    except (BasisNotFoundError, KeyError, RuntimeError):
        return False


def _unpaired(atoms: Atoms, charge: int, multiplicity: int | None) -> int:
    return unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)


ENGINE = Engine(complete, version, check, compute, identity, ready, recipes)
