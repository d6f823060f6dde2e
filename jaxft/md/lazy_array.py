"""An array that stays in its file: slices are read when they are asked for. For trajectories longer than the memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxft.md.h5md import open_file


class LazyArray:
    """The first ``length`` rows of a dataset in a trajectory file.

    Index it by frame with an integer, a slice or a sequence of integers (negative ones count from the end): what comes
    back is a NumPy array. ``np.asarray`` reads everything.
    """

    def __init__(self, path: Path, name: str, length: int) -> None:
        self.path, self.name, self._length = path, name, length
        with open_file(path) as file:
            self.dtype: np.dtype = file[name].dtype
            self.shape: tuple[int, ...] = (length, *file[name].shape[1:])

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, frames: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        rows = np.arange(self._length)[frames]
        if rows.ndim > 1:
            raise IndexError("a trajectory is indexed by frames: an integer, a slice or a sequence of integers")
        # HDF5 reads increasing rows; a slice in the file is much faster than a list of them
        wanted, place = np.unique(rows, return_inverse=True)
        if len(wanted) == 0:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)
        steps = np.diff(wanted)
        with open_file(self.path) as file:
            data = file[self.name]
            if (steps == steps[:1]).all():
                step = int(steps[0]) if len(steps) else 1
                found = data[int(wanted[0]) : int(wanted[-1]) + 1 : step]
            else:
                found = data[wanted]
        return found[place.reshape(rows.shape)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an array in a file can't be had without reading it")
        return self[:].astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"LazyArray({self.name}, shape={self.shape}, dtype={self.dtype}, path={self.path})"
