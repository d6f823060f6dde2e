"""Rows of the labelled atoms keep their frame and atom."""

import numpy as np

from jaxft.analysis.atom_scores import atom_scores, read_atoms, write_atoms
from jaxft.analysis.proxy import LabelledAtoms


def labelled():
    """Two models; the second has two labelled frames of three atoms, the first one of two."""
    frame = np.array([0, 0, 1, 1, 1, 2, 2, 2])
    n = len(frame)
    return LabelledAtoms(
        numbers=np.ones(n, dtype=int),
        frame=frame,
        force_error=np.arange(n) * 0.1,
        signals={"Q residual": np.array([1.0, np.nan, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "force": np.zeros(n)},
        run=np.array([0, 1000, 1000]),
        seed=np.array([0, 0, 0]),
        model=np.array([0, 1, 1]),
        energy_error=np.zeros(3),
    )


def test_frames_are_numbered_as_in_their_file_and_atoms_within_their_frame(tmp_path):
    record = atom_scores(labelled(), {0: "N", 1: "FT", 2: "untested"}, {"N": np.array([4]), "FT": np.array([0, 7])})
    write_atoms(tmp_path / "atoms.json", record)
    first, second = read_atoms(tmp_path / "atoms.json").models
    assert (first.model, first.frame, first.atom, first.q) == ("N", (4, 4), (0, 1), (1.0, None))
    assert (second.frame, second.atom) == ((0, 0, 0, 7, 7, 7), (0, 1, 2, 0, 1, 2))
    assert second.q == (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    assert np.allclose(second.force_error, np.arange(2, 8) * 0.1)
