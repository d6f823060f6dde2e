"""Validity: which labels must not be trained on, and why.

A property of a label's use, not of its storage: refused labels stay in the store, and in an evaluation they count.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from jaxft.errors import InputError
from jaxft.labels.electrons import OPEN_SHELLS
from jaxft.labels.label import Entry, Failure, Label
from jaxft.structures.neighbors import find_edges

OPPOSITE = 0.5
"""Unpaired electrons; a d or f atom that points against the whole by more is not merely polarised by its neighbours."""


@dataclass(frozen=True)
class LabelLimits:
    """Beyond these a label is no use for training.

    max_force      eV/Å, the largest |F_i|; bonds stretched in a hot liquid stay below 15
    min_distance   as a fraction of the sum of covalent radii; 0.5 is half a normal single bond
    max_net_force  eV/Å per atom, |Σ F_i| / N; forces that don't sum to zero are not converged (grid, basis, density
                   fitting)
    max_spin_error electrons between the spin reached and the spin asked for
    min_spin_share of the unpaired electrons that must sit on the d and f elements, where there are any and the engine
                   tells moments per atom; each of these atoms must also point the same way. Programs that fix only the
                   total spin may put it on ligands (protocol 1); high-spin Co(II) in water has 0.9 of it
    """

    max_force: float = 30.0
    min_distance: float = 0.5
    max_net_force: float = 0.005
    max_spin_error: float = 0.1
    min_spin_share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("max_force", "min_distance", "max_net_force", "max_spin_error"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"labels.{name} must be positive, got {getattr(self, name)}")
        if not 0.0 <= self.min_spin_share <= 1.0:
            raise InputError(f"labels.min_spin_share must lie between 0 (off) and 1, got {self.min_spin_share}")


DEFAULT_LIMITS = LabelLimits()


def refusal(entry: Entry, atoms: Atoms, limits: LabelLimits = DEFAULT_LIMITS) -> str | None:
    """Why this entry of ``atoms`` must not be trained on, in one line; None where it may."""
    if isinstance(entry, Failure):
        return str(entry)
    for test in (_too_close, _too_strong, _not_balanced, _other_spin, _spin_elsewhere):
        reason = test(entry, atoms, limits)
        if reason is not None:
            return reason
    return None


def _too_close(label: Label, atoms: Atoms, limits: LabelLimits) -> str | None:
    radii = covalent_radii[atoms.numbers] * limits.min_distance
    edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, 2.0 * float(radii.max()))
    i, j = edges.receivers, edges.senders
    distances = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + edges.shifts @ atoms.cell.array, axis=1)
    too_close = np.flatnonzero(distances < radii[i] + radii[j])
    if len(too_close) == 0:
        return None
    worst = too_close[np.argmin(distances[too_close])]
    first, second = sorted((int(i[worst]), int(j[worst])))
    return (
        f"{atoms.symbols[first]} {first} and {atoms.symbols[second]} {second} are {distances[worst]:.2f} Å apart, "
        f"below {limits.min_distance:g} of their covalent radii ({radii[i[worst]] + radii[j[worst]]:.2f} Å)"
    )


def _too_strong(label: Label, atoms: Atoms, limits: LabelLimits) -> str | None:
    sizes = np.linalg.norm(label.forces, axis=1)
    worst = int(np.argmax(sizes))
    if sizes[worst] <= limits.max_force:
        return None
    where = f"{atoms.symbols[worst]} {worst}"
    return f"the force on {where} is {sizes[worst]:.1f} eV/Å, over the limit of {limits.max_force:g}"


def _not_balanced(label: Label, atoms: Atoms, limits: LabelLimits) -> str | None:
    net = float(np.linalg.norm(label.forces.sum(axis=0))) / len(atoms)
    if net <= limits.max_net_force:
        return None
    return f"the forces sum to {net:.4f} eV/Å per atom instead of zero, over the limit of {limits.max_net_force:g}"


def _other_spin(label: Label, atoms: Atoms, limits: LabelLimits) -> str | None:
    multiplicity = label.provenance.multiplicity
    if multiplicity is None or label.n_unpaired is None:
        return None
    if abs(abs(label.n_unpaired) - (multiplicity - 1)) <= limits.max_spin_error:
        return None
    return f"the reference reached {label.n_unpaired:.2f} unpaired electrons, asked for were {multiplicity - 1:g}"


def _spin_elsewhere(label: Label, atoms: Atoms, limits: LabelLimits) -> str | None:
    metals = np.flatnonzero(np.isin(atoms.numbers, list(OPEN_SHELLS)))
    multiplicity = label.provenance.multiplicity
    if multiplicity is None or multiplicity < 2 or label.moments is None or len(metals) == 0:
        return None
    if limits.min_spin_share == 0.0:
        return None
    moments = label.moments[metals] * np.sign(label.moments.sum())
    least = metals[int(np.argmin(moments))]
    if moments.min() < -OPPOSITE:
        return (
            f"{atoms.symbols[least]} {least} has {label.moments[least]:.2f} unpaired electrons, against the spin of the "
            "whole; expected all moments to point one way"
        )
    if moments.sum() >= limits.min_spin_share * (multiplicity - 1):
        return None
    elements = ", ".join(sorted({str(atoms.symbols[i]) for i in metals}))
    return (
        f"only {moments.sum():.2f} of the {multiplicity - 1:g} unpaired electrons sit on {elements}, below the share of "
        f"{limits.min_spin_share:g}; another spin state than asked"
    )
