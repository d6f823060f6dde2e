"""A structure and what the reference says of it, taken from an ASE object and checked once.

The rest of the package trusts a ``LabelledStructure``: finite numbers, right shapes, one convention for the stress.
Whether a label is any good (converged SCF, forces of a sane size) is decided where labels are made, not here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry.minkowski_reduction import minkowski_reduce
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from jaxtyping import Float

from jaxft.errors import InputError

ISOLATED_ATOM = "IsolatedAtom"
"""MACE's ``config_type`` for a frame whose energy is the reference energy of its element."""

FAR = 8.0
"""Å; a periodic image that is further away than this is taken for none: cutoffs of potentials are 5 to 6 Å."""


@dataclass(frozen=True)
class LabelKeys:
    """Names of the labels in a file (the MACE convention). ASE's own (energy, forces, stress) work too."""

    energy: str = "REF_energy"
    forces: str = "REF_forces"
    stress: str = "REF_stress"


REF_KEYS = LabelKeys()


@dataclass(frozen=True, eq=False)
class LabelledStructure:
    """One structure and its label.

    atoms    no calculator, no constraints; charge, multiplicity, config_type and the like stay in ``atoms.info``
    energy   eV, total
    forces   (atoms, 3) eV/Å
    stress   (3, 3) eV/Å³, ASE's sign (positive in tension), symmetric; None where there is none
    where    the file and the frame that it came from, for messages; empty where it came from none
    """

    atoms: Atoms
    energy: float
    forces: Float[np.ndarray, "atoms 3"]
    stress: Float[np.ndarray, "3 3"] | None = None
    where: str = ""

    @property
    def info(self) -> dict[str, Any]:
        """``atoms.info``: everything that is said of this structure beside its label."""
        return self.atoms.info


def label_of(atoms: Atoms, keys: LabelKeys = REF_KEYS, what: str = "the structure") -> LabelledStructure:
    """The labelled structure in an ASE object, whose label is in ``info`` and ``arrays`` or in a calculator's results.

    Nothing is computed: only results that are already there count. ``atoms`` is copied, never changed. An isolated atom
    needs no forces (they are zero). Stress may be 3 by 3, 9 numbers, or 6 in ASE's Voigt order xx yy zz yz xz xy.
    A stress where the cell is not periodic in all directions is left out: it is no quantity of the material there.
    Raises InputError, which names ``what``, for labels that are missing, misshapen or not finite, and for a stress that
    is not symmetric.
    """
    energy, forces, stress = (find_value(atoms, key) for key in (keys.energy, keys.forces, keys.stress))
    bare = atoms.copy()
    bare.calc = None
    bare.set_constraint()
    bare.info.pop(keys.energy, None)
    bare.info.pop(keys.stress, None)
    bare.arrays.pop(keys.forces, None)
    if energy is None:
        raise InputError(f"{what} has no {keys.energy}; label it, or name the key that holds the energy (eV)")
    if forces is None and is_isolated_atom(bare):
        forces = np.zeros((1, 3))
    if forces is None:
        raise InputError(f"{what} has no {keys.forces}; label it, or name the key that holds the forces (eV/Å)")
    return LabelledStructure(
        bare,
        _checked_energy(energy, f"{what}: {keys.energy}"),
        _checked_forces(forces, len(bare), f"{what}: {keys.forces}"),
        None if stress is None or not bare.pbc.all() else _checked_stress(stress, f"{what}: {keys.stress}"),
    )


def find_value(atoms: Atoms, key: str) -> Any:
    """A value by name, or None. ASE moves ``energy``, ``forces``, ``stress`` into a calculator while it reads."""
    results: Mapping[str, Any] = getattr(atoms.calc, "results", {})
    for place in (atoms.info, atoms.arrays, results):
        if key in place:
            return place[key]
    return None


def is_isolated_atom(atoms: Atoms) -> bool:
    """Whether this is one atom by itself: marked as such, not periodic, or further than ``FAR`` from its nearest image."""
    return len(atoms) == 1 and (is_marked_isolated(atoms) or _nearest_image(atoms) > FAR)


def is_marked_isolated(atoms: Atoms) -> bool:
    """Whether ``config_type`` says so, however it is spelled: IsolatedAtom, isolated_atom, "isolated atom" ..."""
    letters = re.sub(r"[^a-z]", "", str(atoms.info.get("config_type", "")).lower())
    return letters == ISOLATED_ATOM.lower()


def _nearest_image(atoms: Atoms) -> float:
    """Length (Å) of the shortest lattice vector among the periodic directions: infinite without any, 0 in a cell that is none."""
    periodic = atoms.cell.array[atoms.pbc]
    if len(periodic) == 0:
        return float("inf")
    if not np.isfinite(atoms.cell.array).all() or np.linalg.matrix_rank(periodic) < len(periodic):
        return 0.0
    # directions that are not periodic get a vector of their own: the file may give none
    reduced, _ = minkowski_reduce(atoms.cell.complete(), atoms.pbc)
    return float(np.linalg.norm(np.asarray(reduced)[atoms.pbc], axis=1).min())


def _floats(value: Any, what: str) -> Float[np.ndarray, "..."]:
    if np.asarray(value).dtype.kind not in "iuf":
        raise InputError(f"{what} is {value!r}; expected numbers")
    array = np.array(value, dtype=np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"{what} is not finite everywhere; label this structure again or remove it")
    return array


def _checked_energy(value: Any, what: str) -> float:
    energy = _floats(value, what)
    if energy.size != 1:
        raise InputError(f"{what} has shape {energy.shape}; expected one number, the total energy in eV")
    return float(energy.reshape(()))


def _checked_forces(value: Any, n_atoms: int, what: str) -> Float[np.ndarray, "atoms 3"]:
    forces = _floats(value, what)
    if forces.shape != (n_atoms, 3):
        raise InputError(f"{what} has shape {forces.shape}; expected ({n_atoms}, 3), the force on each atom in eV/Å")
    return forces


def _checked_stress(value: Any, what: str) -> Float[np.ndarray, "3 3"]:
    stress = _floats(value, what)
    if stress.shape not in ((3, 3), (9,), (6,)):
        raise InputError(f"{what} has shape {stress.shape}; expected 3 by 3, or the 6 numbers xx yy zz yz xz xy")
    stress = voigt_6_to_full_3x3_stress(stress) if stress.shape == (6,) else stress.reshape(3, 3)
    if np.abs(stress - stress.T).max() > 1e-5 * max(np.abs(stress).max(), 1e-3):
        raise InputError(f"{what} is not symmetric ({stress.ravel().tolist()}); expected a symmetric stress in eV/Å³")
    if (stress != stress.T).any():  # by rounding: keep the mean of both halves, as Voigt notation does
        stress = voigt_6_to_full_3x3_stress(full_3x3_to_voigt_6_stress(stress))
    return stress
