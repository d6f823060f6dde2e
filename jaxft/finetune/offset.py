"""The constant between the energies of two methods: one shift per element, fitted to labels minus base energies.

Two methods' total energies differ by hundreds of eV that mean nothing; what a network must learn is the rest. The fit
is made from scratch for each model, on exactly that model's labels, against the unmodified base (protocol 3). It says
what the labels don't determine instead of hiding it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers as number_of
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from jaxft.errors import InputError
from jaxft.potential.potential import Potential

RANK_TOLERANCE = 1e-9
"""Relative; element counts are whole numbers, so a singular value below this is a zero with rounding."""


@dataclass(frozen=True)
class CompositionOffset:
    """Shift of each element's reference energy: the energy of a composition n shifts by Σ_e n_e x_e.

    atomic_numbers   elements present in the labels, ascending; elements that are absent are not shifted
    shifts           (elements,) x in eV, float64
    row_space        (rank, elements) orthonormal: the compositions whose offset the labels determine
    singular_values  (rank,) of the matrix of counts A = U diag(s) V, with V the row space
    undetermined     symbols of elements whose shift alone is not determined: minimum-norm, good only within the row
                     space
    residual_sd      eV, of a frame's total energy about the fit; None where n_effective does not exceed the rank
    n_frames         labels fitted
    n_effective      how many of them count as independent
    """

    atomic_numbers: tuple[int, ...]
    shifts: Float[np.ndarray, "elements"]
    row_space: Float[np.ndarray, "rank elements"]
    singular_values: Float[np.ndarray, "rank"]
    undetermined: tuple[str, ...]
    residual_sd: float | None
    n_frames: int
    n_effective: float

    @property
    def rank(self) -> int:
        """Number of independent compositions among the labels; as many as elements where all is determined."""
        return len(self.singular_values)

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements in the order of ``shifts``."""
        return tuple(chemical_symbols[z] for z in self.atomic_numbers)

    def apply(self, base: Potential) -> Potential:
        """The potential with the shifts added to its reference energies.

        They belong to the reference energies that they were fitted against, the base's: applied to a potential that
        carries an offset already, they would count twice. Raises InputError where the potential lacks an element.
        """
        energies = np.array(base.reference_energies, dtype=np.float64)
        for symbol, number, shift in zip(self.elements, self.atomic_numbers, self.shifts, strict=True):
            if number not in base.atomic_numbers:
                raise InputError(f"the offset shifts {symbol}, but the potential knows only {' '.join(base.elements)}")
            energies[base.atomic_numbers.index(number)] += shift
        return replace(base, reference_energies=energies)

    def of(self, numbers: Int[np.ndarray, "atoms"]) -> float:
        """Offset of one composition in eV: the sum of its atoms' shifts, 0 for elements absent from the labels."""
        return float(_counts(numbers, self.atomic_numbers) @ self.shifts)

    def determines(self, numbers: Int[np.ndarray, "atoms"]) -> bool:
        """Whether the labels determine the offset of this composition: it is a combination of theirs."""
        return bool(np.isin(numbers, self.atomic_numbers).all()) and _inside(
            _counts(numbers, self.atomic_numbers), self.row_space
        )

    def standard_error(self, numbers: Int[np.ndarray, "atoms"]) -> float | None:
        """Standard error in eV of a composition's offset, √(nᵀ C n) with C = SD² (n_frames/n_effective) (AᵀA)⁺.

        For labels of a single composition that is SD/√n_effective. None where it can't be known: too few independent
        frames, or a composition outside the row space, whose offset the labels don't determine.
        """
        if self.residual_sd is None or not self.determines(numbers):
            return None
        counts = _counts(numbers, self.atomic_numbers)
        per_frame = np.linalg.norm(self.row_space @ counts / self.singular_values)
        return float(self.residual_sd * np.sqrt(self.n_frames / self.n_effective) * per_frame)

    def describe(self) -> str:
        """One sentence for reports: what the labels determine, and what not."""
        labels = "1 label" if self.n_frames == 1 else f"{self.n_frames} labels"
        if not self.undetermined:
            return f"{labels}: the energy offset of each of {', '.join(self.elements)} is determined"
        which = "one composition" if self.rank == 1 else f"{self.rank} independent compositions"
        where = "this composition" if self.rank == 1 else "combinations of these compositions"
        return (
            f"{labels} of {which}: the energy offsets of {', '.join(self.undetermined)} are not determined one by one "
            f"(minimum-norm shifts); energies are comparable only at {where}"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, elements by symbol."""
        return {
            "elements": list(self.elements),
            "shifts_ev": self.shifts.tolist(),
            "row_space": self.row_space.tolist(),
            "singular_values": self.singular_values.tolist(),
            "undetermined": list(self.undetermined),
            "residual_sd_ev": self.residual_sd,
            "n_frames": self.n_frames,
            "n_effective": self.n_effective,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CompositionOffset":
        """The inverse of ``to_json``."""
        n_elements = len(data["elements"])
        return cls(
            atomic_numbers=tuple(number_of[symbol] for symbol in data["elements"]),
            shifts=np.array(data["shifts_ev"], dtype=np.float64),
            row_space=np.array(data["row_space"], dtype=np.float64).reshape(-1, n_elements),
            singular_values=np.array(data["singular_values"], dtype=np.float64),
            undetermined=tuple(data["undetermined"]),
            residual_sd=data["residual_sd_ev"],
            n_frames=data["n_frames"],
            n_effective=data["n_effective"],
        )


def fit_offset(
    structures: Sequence[Atoms],
    differences: Float[np.ndarray, "structures"],
    n_effective: float | None = None,
) -> CompositionOffset:
    """Least squares of d = A x: d the labels minus base energies (eV), A the counts of each element, in float64.

    Where compositions don't determine x, the solution of minimum norm is taken, x = A⁺ d. At a single composition n
    that is x = n d̄/|n|²: elements are shifted in proportion to their number, and the composition as a whole by the
    mean d̄. n_effective: how many of the frames are independent (protocol 2), for the standard errors; default all.
    The residual variance is RSS/n_frames · n_effective/(n_effective - rank), unbiased for correlated frames of one
    composition. Raises InputError for an empty set, differences that are not finite, and an n_effective outside
    0..n_frames.
    """
    n_frames = len(structures)
    differences = np.asarray(differences, dtype=np.float64)
    if n_frames == 0:
        raise InputError("an energy offset needs at least one labelled structure; there is none")
    if not np.isfinite(differences).all():
        bad = int(np.flatnonzero(~np.isfinite(differences))[0])
        raise InputError(
            f"labelled structure {bad} differs from the base by {differences[bad]} eV; expected finite energies"
        )
    effective = float(n_frames) if n_effective is None else float(n_effective)
    if not 0.0 < effective <= n_frames:
        raise InputError(f"the effective number of frames is {effective}, expected more than 0 and at most {n_frames}")

    present = sorted({int(z) for atoms in structures for z in atoms.numbers})
    counts = np.stack([_counts(atoms.numbers, present) for atoms in structures])
    left, singular, right = np.linalg.svd(counts, full_matrices=False)
    rank = int((singular > RANK_TOLERANCE * singular[0]).sum())
    left, singular, right = left[:, :rank], singular[:rank], right[:rank]
    shifts = right.T @ ((left.T @ differences) / singular)
    squares = float(((differences - counts @ shifts) ** 2).sum())
    variance = squares / n_frames * effective / (effective - rank) if effective > rank else None
    alone = np.eye(len(present))
    return CompositionOffset(
        atomic_numbers=tuple(present),
        shifts=shifts,
        row_space=right,
        singular_values=singular,
        undetermined=tuple(chemical_symbols[z] for z, e in zip(present, alone, strict=True) if not _inside(e, right)),
        residual_sd=None if variance is None else float(np.sqrt(variance)),
        n_frames=n_frames,
        n_effective=effective,
    )


def _counts(numbers: Int[np.ndarray, "atoms"], elements: Sequence[int]) -> Float[np.ndarray, "elements"]:
    return np.array([np.count_nonzero(numbers == z) for z in elements], dtype=np.float64)


def _inside(counts: Float[np.ndarray, "elements"], row_space: Float[np.ndarray, "rank elements"]) -> bool:
    outside = counts - row_space.T @ (row_space @ counts)
    return bool(np.linalg.norm(outside) <= 1e-6 * np.linalg.norm(counts))
