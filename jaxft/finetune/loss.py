"""What training minimises: squared errors of energy per atom, forces and stress, of one batch of structures.

    L = w_E mean_k (ΔE_k / N_k)² + w_F mean_iα (ΔF_iα)² + w_S mean_kαβ (ΔS_kαβ)²

over the real structures k of the batch, their atoms i, and Cartesian components. With the weights in 1/(eV/atom)²,
1/(eV/Å)² and 1/(eV/Å³)², L has no unit. Pure arrays: which labels there are, and what precision, was decided when the
targets were made.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxft.potential.derivatives import Prediction
from jaxft.pytree import pytree


@pytree
class Targets:
    """What the network should say of a graph of ``structures`` structures; padding holds zeros and counts for nothing.

    energies  (structures,)       interaction energy in eV: label minus all reference energies, subtracted in float64
    forces    (atoms, 3)          eV/Å
    stresses  (structures, 3, 3)  eV/Å³, ASE's sign; None where the loss has no stress
    volumes   (structures,)       Å³, above zero (1 for padding and where nothing is periodic)
    n_atoms   (structures,)       0 marks a padding structure
    """

    energies: Float[Array, "structures"]
    forces: Float[Array, "atoms 3"]
    stresses: Float[Array, "structures 3 3"] | None
    volumes: Float[Array, "structures"]
    n_atoms: Int[Array, "structures"]


@pytree
class LossTerms:
    """The loss and what it is made of: each term weighted, so that they add up to the total.

    finite  (structures,) whether the structure's own errors are finite: names the one at fault
    """

    total: Float[Array, ""]
    energy: Float[Array, ""]
    forces: Float[Array, ""]
    stress: Float[Array, ""]
    finite: Bool[Array, "structures"]


def loss_terms(
    prediction: Prediction,
    targets: Targets,
    structure: Int[Array, "atoms"],
    *,
    energy_weight: Float[Array, ""],
    forces_weight: Float[Array, ""],
    stress_weight: Float[Array, ""],
) -> LossTerms:
    """The loss of one batch. ``structure`` says which structure an atom belongs to, as in Graph.

    A stress without targets is no error of this function: it adds nothing, and ``check_labels.py`` sees to it that a
    weight above zero never meets structures without a stress.
    """
    real = targets.n_atoms > 0
    n_structures = real.shape[0]
    dtype = targets.energies.dtype
    count = real.sum().astype(dtype)
    per_atom = (prediction.energies - targets.energies) / jnp.maximum(targets.n_atoms, 1).astype(dtype)
    energy_squares = jnp.where(real, per_atom**2, 0.0)

    on_real_atom = (structure < n_structures)[:, None]
    squares = jnp.where(on_real_atom, (prediction.forces - targets.forces) ** 2, 0.0).sum(axis=-1)
    forces_squares = jax.ops.segment_sum(squares, structure, n_structures)

    stress_squares = jnp.zeros(n_structures, dtype)
    if targets.stresses is not None:
        stresses = prediction.virials / targets.volumes[:, None, None]
        squares = ((stresses - targets.stresses) ** 2).sum(axis=(-1, -2))
        stress_squares = jnp.where(real, squares, 0.0)

    energy = energy_weight * energy_squares.sum() / count
    forces = forces_weight * forces_squares.sum() / (3 * targets.n_atoms.sum()).astype(dtype)
    stress = stress_weight * stress_squares.sum() / (9 * count)
    finite = jnp.isfinite(energy_squares) & jnp.isfinite(forces_squares) & jnp.isfinite(stress_squares)
    return LossTerms(energy + forces + stress, energy, forces, stress, finite)
