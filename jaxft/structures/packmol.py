"""Placing molecules with the program packmol, where it is installed.

Source: L. Martínez, R. Andrade, E. Birgin, J. Martínez, J. Comput. Chem. 30 (2009) 2157.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from jaxft.errors import InputError
from jaxft.structures.composition import Body

TOLERANCE = 1.8
"""Å between atoms of different molecules: a hydrogen bond. What is nearer by element is pushed apart afterwards."""
TIME_LIMIT = 600
"""Seconds after which packmol is given up."""


def place(bodies: Sequence[Body], edge: float, seed: int) -> tuple[Float[np.ndarray, "bodies 3"], Rotation]:
    """Centres (Å) and orientations of the bodies in a cube of ``edge`` Å, as packmol places them; walls, not periodic.

    packmol writes few digits, so only its centres and best-fitting rotations are taken, never its geometry. Its packing
    is taken even where it says that contacts are left over. Raises InputError where it gives none.
    """
    with tempfile.TemporaryDirectory(prefix="jaxft-packmol-") as name:
        folder = Path(name)
        lines = [f"seed {seed}", f"tolerance {TOLERANCE}", "filetype xyz", "output packed.xyz"]
        runs = [list(run) for _, run in groupby(bodies, key=_identity)]
        for k, run in enumerate(runs):
            write(folder / f"{k}.xyz", Atoms(run[0].numbers, run[0].positions), format="xyz")
            inside = f"inside box 0. 0. 0. {edge:.6f} {edge:.6f} {edge:.6f}"
            lines += [f"structure {k}.xyz", f"number {len(run)}", inside, "end structure"]
        packed = folder / "packed.xyz"
        commands = folder / "packmol.inp"
        commands.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            with commands.open("rb") as file:  # packmol seeks in its input, so a pipe won't do
                done = subprocess.run(["packmol"], stdin=file, cwd=folder, capture_output=True, timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            raise InputError(f"packmol was still running after {TIME_LIMIT} s; use method 'built-in'") from None
        if not packed.exists():
            last = " ".join((done.stderr or done.stdout).decode(errors="replace").split()[:30])
            raise InputError(f"packmol gave no structure ({last}); use method 'built-in'")
        atoms = read(packed, format="xyz")
        assert isinstance(atoms, Atoms)
    parts = np.split(atoms.positions, np.cumsum([len(body.numbers) for body in bodies])[:-1])
    centres = np.array([part.mean(axis=0) for part in parts])
    turns = [_fit(body.positions, part - part.mean(axis=0)) for body, part in zip(bodies, parts, strict=True)]
    return centres, Rotation.concatenate(turns)


def _identity(body: Body) -> tuple[bytes, bytes]:
    return body.numbers.tobytes(), body.positions.tobytes()


def _fit(local: Float[np.ndarray, "atoms 3"], placed: Float[np.ndarray, "atoms 3"]) -> Rotation:
    """The rotation that best takes ``local`` to ``placed`` (Kabsch); any of them where an axis is free, as in N2."""
    left, _, right = np.linalg.svd(placed.T @ local)
    left[:, 2] *= np.sign(np.linalg.det(left @ right))
    return Rotation.from_matrix(left @ right)
