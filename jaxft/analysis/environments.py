"""Atoms of a set as rows of descriptors: which element, which frame. What every question about a set is asked of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Bool, Float, Int

from jaxft.errors import InputError
from jaxft.potential.describe import describe
from jaxft.potential.potential import Potential


@dataclass(frozen=True, eq=False)
class Environments:
    """Every atom of every frame of a set.

    numbers  (rows,) atomic numbers
    frame    (rows,) which frame of the set, from 0
    values   (rows, features) descriptors, float32 or float64
    frames   how many frames the set has
    """

    numbers: Int[np.ndarray, "rows"]
    frame: Int[np.ndarray, "rows"]
    values: Float[np.ndarray, "rows features"]
    frames: int

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that occur, ascending."""
        return tuple(int(z) for z in np.unique(self.numbers))

    def of_element(self, number: int) -> "Environments":
        """The rows of one element."""
        return self.where(self.numbers == number)

    def where(self, chosen: Bool[np.ndarray, "rows"]) -> "Environments":
        """The chosen rows; frames keep their numbers."""
        return Environments(self.numbers[chosen], self.frame[chosen], self.values[chosen], self.frames)

    def frames_where(self, chosen: Bool[np.ndarray, "frames"]) -> "Environments":
        """The chosen frames, numbered anew."""
        rows = chosen[self.frame]
        number = np.cumsum(chosen) - 1
        return Environments(self.numbers[rows], number[self.frame[rows]], self.values[rows], int(chosen.sum()))

    def halves(self, blocks: Int[np.ndarray, "frames"] | None = None) -> tuple["Environments", "Environments"]:
        """Two disjoint halves of the frames that share no block of time: first half and second half of the frames in order.

        blocks: a group for each frame (its trajectory); whole groups go to either half, those of even rank to the first. With
        one group, or without, the order of the frames decides.
        """
        if blocks is not None and len(np.unique(blocks)) > 1:
            rank = np.unique(blocks, return_inverse=True)[1]
            first = rank % 2 == 0
        else:
            first = np.arange(self.frames) < self.frames / 2
        return self.where(first[self.frame]), self.where(~first[self.frame])


def environments(
    potential: Potential, structures: Iterable[Atoms], *, layers: str = "last", dtype: str = "float32"
) -> Environments:
    """Descriptors of all atoms of a set that fits into memory. Raises InputError for a set without structures."""
    kept: list[Atoms] = []

    def remembered() -> Iterable[Atoms]:
        for atoms in structures:
            kept.append(atoms)
            yield atoms

    values = list(describe(potential, remembered(), layers=layers, dtype=dtype))
    if not values:
        raise InputError("there is no structure to describe; expected at least one")
    return Environments(
        numbers=np.concatenate([a.numbers for a in kept]),
        frame=np.repeat(np.arange(len(kept)), [len(a) for a in kept]),
        values=np.concatenate(values),
        frames=len(kept),
    )


def join(sets: Sequence[Environments]) -> Environments:
    """The rows of several sets, frames numbered on."""
    starts = np.cumsum([0, *(one.frames for one in sets)])
    return Environments(
        numbers=np.concatenate([one.numbers for one in sets]),
        frame=np.concatenate([one.frame + start for one, start in zip(sets, starts, strict=False)]),
        values=np.concatenate([one.values for one in sets]),
        frames=int(starts[-1]),
    )


def symbols(numbers: Iterable[int]) -> str:
    """Element symbols for a message."""
    return ", ".join(chemical_symbols[z] for z in numbers)
