"""``evaluation/atoms.json``: Q and force error of every atom of the labelled test frames, to look at one by one.

The proxy is judged from the same numbers (``proxy.py``); here they keep their frame and atom, so that a point of a figure leads to
its structure.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxft.analysis.proxy import LabelledAtoms
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-atoms", 1


@dataclass(frozen=True)
class AtomScores:
    """Atoms of one model's labelled test frames, row by row.

    frame        number of the frame in ``evaluation/frames/MODEL.extxyz``
    atom         number of the atom in it
    q            Q over its element's limit; None where there is none
    force_error  |F_model - F_ref| in eV/Å
    """

    model: str
    frame: tuple[int, ...]
    atom: tuple[int, ...]
    q: tuple[float | None, ...]
    force_error: tuple[float, ...]


@dataclass(frozen=True)
class AtomsRecord:
    """Of every model that has a Q model and labelled frames."""

    models: tuple[AtomScores, ...]


def atom_scores(of: LabelledAtoms, names: dict[int, str], labelled: dict[str, np.ndarray]) -> AtomsRecord:
    """From what proxies are judged on; its first signal is Q.

    names: model by its number. labelled: by model, numbers of its labelled frames in its file, in the order of ``of``.
    """
    q = next(iter(of.signals.values()))
    found = []
    for number, name in names.items():
        mine = np.flatnonzero(of.model == number)
        if not len(mine):
            continue
        rows = np.flatnonzero(np.isin(of.frame, mine))
        frame = np.searchsorted(mine, of.frame[rows])
        first = np.searchsorted(of.frame[rows], of.frame[rows])
        found.append(
            AtomScores(
                name,
                frame=tuple(labelled[name][frame].tolist()),
                atom=tuple((np.arange(len(rows)) - first).tolist()),
                q=tuple(float(value) if np.isfinite(value) else None for value in q[rows]),
                force_error=tuple(of.force_error[rows].tolist()),
            )
        )
    return AtomsRecord(tuple(found))


def write_atoms(path: str | Path, record: AtomsRecord) -> None:
    """Write ``atoms.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_atoms(path: str | Path) -> AtomsRecord:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, AtomsRecord)
