"""Which neighbors cause a high Q: the atoms whose displacement would change it most.

    share_j = |∂Q_i/∂r_j| / Σ_k |∂Q_i/∂r_k|        over all atoms k but i itself

A first-order answer: it names the neighbors that the descriptor of atom i is sensitive to along the directions that the
training set does not have. For a fixed atom i the gradients of all atoms sum to zero (nothing changes when all move together).
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from jaxft.potential.descriptor_gradient import quadratic_gradient
from jaxft.potential.potential import Potential
from jaxft.stats.principal_components import PrincipalComponents


@dataclass(frozen=True)
class Cause:
    """A neighbor's part in an atom's Q: its number, element, distance in Å (nearest image), and share of the gradient."""

    atom: int
    element: str
    distance: float
    share: float


def causes(
    potential: Potential,
    subspace: PrincipalComponents,
    atoms: Atoms,
    atom: int,
    layers: str = "last",
    at_most: int = 3,
) -> list[Cause]:
    """The neighbors with the largest shares in the Q of ``atom``, largest first; ``subspace`` is that of its element."""
    center = np.where(subspace.kept, subspace.mean, 0.0)
    axes = np.zeros((len(subspace.mean), subspace.axes.shape[1] - subspace.retained))
    axes[subspace.kept] = subspace.axes[:, subspace.retained :] / subspace.scale[subspace.kept][:, None]
    _, gradient = quadratic_gradient(potential, atoms, atom, center, axes, layers)
    sizes = np.linalg.norm(gradient, axis=1)
    sizes[atom] = 0.0
    total = sizes.sum()
    if total == 0.0:
        return []
    largest = np.argsort(-sizes, kind="stable")[:at_most]
    return [
        Cause(
            atom=int(k),
            element=str(atoms.symbols[k]),
            distance=float(atoms.get_distance(atom, int(k), mic=True)),
            share=float(sizes[k] / total),
        )
        for k in largest
        if sizes[k] > 0.0
    ]
