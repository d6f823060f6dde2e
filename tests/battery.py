"""Physical checks that every potential must pass, whatever its architecture. Used by the tests of each of them."""

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation


def check_rotation_and_translation(calculate, atoms: Atoms, tolerance: float = 1e-9) -> None:
    """Energy invariant, forces and stress covariant under a rotation and a translation; descriptors invariant."""
    rotation = Rotation.from_euler("zyx", [0.3, -1.1, 2.0]).as_matrix()
    turned = atoms.copy()
    turned.positions = atoms.positions @ rotation.T + [0.3, -0.7, 1.9]
    turned.cell = atoms.cell.array @ rotation.T
    a, b = calculate(atoms), calculate(turned)
    assert abs(a.energy - b.energy) < tolerance
    np.testing.assert_allclose(b.forces, a.forces @ rotation.T, atol=tolerance)
    if a.stress is not None:
        np.testing.assert_allclose(b.stress, rotation @ a.stress @ rotation.T, atol=tolerance)


def check_inversion(calculate, atoms: Atoms, tolerance: float = 1e-9) -> None:
    """Energy invariant and forces odd under inversion."""
    inverted = atoms.copy()
    inverted.positions, inverted.cell = -atoms.positions, -atoms.cell.array
    a, b = calculate(atoms), calculate(inverted)
    assert abs(a.energy - b.energy) < tolerance
    np.testing.assert_allclose(b.forces, -a.forces, atol=tolerance)


def check_permutation(calculate, atoms: Atoms, tolerance: float = 1e-9) -> None:
    """Renaming atoms renames their forces and energies."""
    order = np.random.default_rng(1).permutation(len(atoms))
    a, b = calculate(atoms), calculate(atoms[order])
    np.testing.assert_allclose(b.forces, a.forces[order], atol=tolerance)
    np.testing.assert_allclose(b.energies, a.energies[order], atol=tolerance)


def check_extensivity(calculate, atoms: Atoms, tolerance: float = 1e-9) -> None:
    """A supercell has the energy of its parts, the same forces and the same stress."""
    repeats = tuple(2 if p else 1 for p in atoms.pbc)
    n = int(np.prod(repeats))
    a, b = calculate(atoms), calculate(atoms.repeat(repeats))
    assert abs(b.energy - n * a.energy) < n * tolerance
    np.testing.assert_allclose(b.forces, np.tile(a.forces, (n, 1)), atol=tolerance)
    if a.stress is not None:
        np.testing.assert_allclose(b.stress, a.stress, atol=tolerance)


def check_forces(calculate, atoms: Atoms, tolerance: float = 1e-6, step: float = 1e-4) -> None:
    """Forces are minus the central difference of the energy; their sum vanishes."""
    forces = calculate(atoms).forces
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-9)
    for i in range(min(3, len(atoms))):
        for axis in range(3):
            difference = _difference(calculate, atoms, lambda a, h, i=i, axis=axis: _moved(a, i, axis, h), step)
            assert abs(forces[i, axis] + difference) < tolerance * max(1.0, np.abs(forces).max())


def check_stress(calculate, atoms: Atoms, tolerance: float = 1e-7, step: float = 1e-5) -> None:
    """Stress is (1/V) dE/dε: positive when stretching costs energy."""
    stress = calculate(atoms).stress
    for i in range(3):
        for j in range(i, 3):
            difference = _difference(calculate, atoms, lambda a, h, i=i, j=j: _strained(a, i, j, h), step)
            assert abs(stress[i, j] - difference / atoms.get_volume()) < tolerance * max(1.0, np.abs(stress).max())


def _difference(calculate, atoms, change, step):
    return (calculate(change(atoms, step)).energy - calculate(change(atoms, -step)).energy) / (2 * step)


def _moved(atoms, i, axis, step):
    moved = atoms.copy()
    moved.positions[i, axis] += step
    return moved


def _strained(atoms, i, j, step):
    strain = np.eye(3)
    strain[i, j] += 0.5 * step
    strain[j, i] += 0.5 * step
    strained = atoms.copy()
    strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    return strained
