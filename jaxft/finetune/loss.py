"""What training minimises: errors of energy per atom, forces and stress, of one batch of structures.

    L = Σ_g w_g [w_E mean_k c_k ρ(ΔE_k / N_k) + w_F mean_iα c_k(i) ρ(ΔF_iα) + w_S mean_kαβ c_k ρ(ΔS_kαβ)]

over the real structures k of group g in the batch, their atoms i, and Cartesian components. The groups are the labels (w = 1) and
replay structures, if any (w = replay_weight): each is averaged by itself, so that their numbers don't weigh. c_k is the weight of a
structure, 1 unless given. ρ is

    squared   x²
    huber     x²/2 where |x| ≤ δ, δ (|x| - δ/2) beyond
    l1        |x|; of a force, the length of the vector ΔF_i, averaged over atoms (so that no axis is special)

With weights in the inverse units of ρ, L has no unit. Source of the Huber loss: P. Huber, Ann. Math. Statist. 35 (1964) 73. Pure
arrays: which labels there are, and what precision, was decided when the targets were made.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
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
    weights   (structures,)       weight of each structure
    replay    (structures,)       whether it is a replay structure
    """

    energies: Float[Array, "structures"]
    forces: Float[Array, "atoms 3"]
    stresses: Float[Array, "structures 3 3"] | None
    volumes: Float[Array, "structures"]
    n_atoms: Int[Array, "structures"]
    weights: Float[Array, "structures"]
    replay: Bool[Array, "structures"]


@pytree
class LossWeighting:
    """Numbers of the loss: weights of its terms and of the replay group, and Huber's δ."""

    energy: Float[Array, ""]
    forces: Float[Array, ""]
    stress: Float[Array, ""]
    replay: Float[Array, ""]
    huber_delta: Float[Array, ""]


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
    prediction: Prediction, targets: Targets, structure: Int[Array, "atoms"], kind: str, weighting: LossWeighting
) -> LossTerms:
    """The loss of one batch. ``structure`` says which structure an atom belongs to, as in Graph; kind: ρ, see above.

    A stress without targets is no error of this function: it adds nothing, and ``check_labels.py`` sees to it that a
    weight above zero never meets structures without a stress.
    """
    real = targets.n_atoms > 0
    n_structures = real.shape[0]
    dtype = targets.energies.dtype
    size = rho(kind, weighting.huber_delta)
    per_atom = (prediction.energies - targets.energies) / jnp.maximum(targets.n_atoms, 1).astype(dtype)
    energy_errors = jnp.where(real, size(per_atom), 0.0)

    on_real_atom = structure < n_structures
    difference = jnp.where(on_real_atom[:, None], prediction.forces - targets.forces, 0.0)
    of_atoms = _length(difference) if kind == "l1" else size(difference).sum(axis=-1)
    forces_errors = jax.ops.segment_sum(of_atoms, structure, n_structures)
    components = 1 if kind == "l1" else 3

    stress_errors = jnp.zeros(n_structures, dtype)
    if targets.stresses is not None:
        stresses = prediction.virials / targets.volumes[:, None, None]
        stress_errors = jnp.where(real, size(stresses - targets.stresses).sum(axis=(-1, -2)), 0.0)

    def mean(errors: Float[Array, "structures"], counts: Int[Array, "structures"]) -> Float[Array, ""]:
        """Σ_g w_g Σ_k c_k errors_k / Σ_k counts_k over the structures k of group g."""
        group = targets.replay.astype(jnp.int32)
        count = jax.ops.segment_sum(jnp.where(real, counts, 0), group, 2)[group].astype(dtype)
        share = jnp.where(targets.replay, weighting.replay, 1.0) * targets.weights / jnp.maximum(count, 1.0)
        return (share * errors).sum()

    energy = weighting.energy * mean(energy_errors, jnp.ones_like(targets.n_atoms))
    forces = weighting.forces * mean(forces_errors, components * targets.n_atoms)
    stress = weighting.stress * mean(stress_errors, jnp.full_like(targets.n_atoms, 9))
    finite = jnp.isfinite(energy_errors) & jnp.isfinite(forces_errors) & jnp.isfinite(stress_errors)
    return LossTerms(energy + forces + stress, energy, forces, stress, finite)


def rho(kind: str, delta: Float[Array, ""]) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
    """The function of one error: ``squared``, ``huber`` or ``l1``."""
    return {
        "squared": jnp.square,
        "huber": lambda x: optax.losses.huber_loss(x, delta=delta),
        "l1": jnp.abs,
    }[kind]


def _length(vectors: Float[Array, "n 3"]) -> Float[Array, "n"]:
    """Length of each vector, with the derivative 0 where it is 0."""
    squares = (vectors**2).sum(axis=-1)
    return jnp.where(squares > 0.0, jnp.sqrt(jnp.where(squares > 0.0, squares, 1.0)), 0.0)
