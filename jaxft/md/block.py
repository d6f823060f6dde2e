"""The compiled block: a fixed number of steps of R replicas, with neighbor lists and guards inside. One of three jits.

Traced: parameters, positions, momenta, keys, cell, temperature, timestep, friction, limits. Static: the network's settings and
the shapes (atoms, replicas, capacities, steps, frames). New weights, another temperature or another box of the same shape
never recompile. The force at the first position is computed anew with the block's parameters, so that a state can go on
under another model.
"""

from collections import Counter
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from jaxft import units
from jaxft.md import langevin
from jaxft.md.guards import status_of
from jaxft.md.neighbors import Candidates, filter_edges, find_candidates, moved_too_far
from jaxft.potential.derivatives import predict
from jaxft.pytree import pytree, replace, static
from jaxft.structures.graph import Graph, edge_vectors

COMPILATIONS: Counter[tuple[Any, ...]] = Counter()
"""How often a block was traced, by its static shape: part of a run's record, and held to one per shape by a test."""


@pytree
class Shape:
    """What decides compilation besides the number of atoms and replicas."""

    edges: int = static()
    candidates: int = static()
    frames: int = static()
    steps_per_frame: int = static()


@pytree
class System:
    """What does not change during a block: species and radii of the atoms, the cell, the images to search, the limits."""

    species: Int[Array, "atoms"]
    radii: Float[Array, "atoms"]
    cell: Float[Array, "3 3"]
    pbc: Bool[Array, "3"]
    stencil: Int[Array, "images 3"]
    skin: Float[Array, ""]
    max_temperature: Float[Array, ""]
    min_distance: Float[Array, ""]


@pytree
class Drive:
    """Thermostat: kT (eV) per replica, timestep in Å·√(u/eV), friction in its inverse."""

    kT: Float[Array, "replicas"]
    timestep: Float[Array, ""]
    friction: Float[Array, ""]


@pytree
class Replicas:
    """State of R replicas: jax-md states stacked along the first axis, energies, statuses, steps done by each.

    A replica whose status is not 0 keeps its last good state and counts no more steps.
    """

    dynamics: Any
    energy: Float[Array, "replicas"]
    status: Int[Array, "replicas"]
    steps: Int[Array, "replicas"]


@pytree
class Frames:
    """What a block records at the end of each interval; arrays start with (frames, replicas).

    positions (Å), momenta (√(eV·u)), interaction energy and kinetic energy (eV), status, steps done. A frame of a stopped
    replica repeats its last good state.
    """

    positions: Float[Array, "frames replicas atoms 3"]
    momenta: Float[Array, "frames replicas atoms 3"]
    energy: Float[Array, "frames replicas"]
    kinetic: Float[Array, "frames replicas"]
    status: Int[Array, "frames replicas"]
    steps: Int[Array, "frames replicas"]


@partial(jax.jit, static_argnums=(0, 1))
def run_block(
    network: nn.Module, shape: Shape, params: Any, system: System, drive: Drive, replicas: Replicas
) -> tuple[Replicas, Frames, Int[Array, "2"]]:
    """Advance all replicas by ``frames × steps_per_frame`` steps.

    Returns the new state, the frames, and the largest numbers of edges and candidates that were needed. Where these exceed
    the capacities of ``shape``, edges were missing and the whole result must be thrown away.
    """
    COMPILATIONS[(network, shape, replicas.dynamics.position.shape, str(replicas.dynamics.position.dtype))] += 1
    evaluate = jax.vmap(partial(_evaluate, network, shape, params, system))
    search = jax.vmap(partial(_search, network, shape, system))
    stale = jax.vmap(partial(moved_too_far, skin=system.skin))  # type: ignore[arg-type]
    move = jax.vmap(langevin.before_force, in_axes=(0, None, 0, None))
    finish = jax.vmap(langevin.after_force, in_axes=(0, 0, None))

    def one_step(carry: tuple[Replicas, Candidates, Array], _: None) -> tuple[tuple[Replicas, Candidates, Array], None]:
        old, candidates, most = carry
        moved = move(old.dynamics, drive.timestep, drive.kT, drive.friction)
        # one decision for all replicas: a real branch, taken only when some replica needs it
        rebuild = jnp.any(stale(moved.position, candidates))
        candidates = jax.lax.cond(rebuild, search, lambda _: candidates, moved.position)
        energy, forces, met = evaluate(moved.position, candidates)
        new = finish(moved, forces, drive.timestep)
        status = old.status | _status(system, new, energy, met)
        good = status == 0
        kept = jax.tree.map(
            lambda a, b: jnp.where(good.reshape(good.shape + (1,) * (a.ndim - 1)), a, b),
            (_raw(new), energy, old.steps + 1),
            (_raw(old.dynamics), old.energy, old.steps),
        )
        dynamics = _typed(kept[0], new)
        most = jnp.maximum(most, jnp.stack([met.edges.max(), candidates.count.max()]))
        return (Replicas(dynamics, kept[1], status, kept[2]), candidates, most), None

    def one_frame(
        carry: tuple[Replicas, Candidates, Array], _: None
    ) -> tuple[tuple[Replicas, Candidates, Array], Frames]:
        carry, _ = jax.lax.scan(one_step, carry, None, length=shape.steps_per_frame)
        r = carry[0]
        kinetic = jax.vmap(langevin.kinetic_energy)(r.dynamics)
        frame = Frames(r.dynamics.position, r.dynamics.momentum, r.energy, kinetic, r.status, r.steps)
        return carry, frame

    candidates = search(replicas.dynamics.position)
    energy, forces, met = evaluate(replicas.dynamics.position, candidates)
    start = replace(replicas, dynamics=replicas.dynamics.set(force=forces), energy=energy)
    most = jnp.stack([met.edges.max(), candidates.count.max()])
    (replicas, _, most), frames = jax.lax.scan(one_frame, (start, candidates, most), None, length=shape.frames)
    return replicas, frames, most


@pytree
class Met:
    """What the force met: how many edges, and the shortest relative to covalent radii."""

    edges: Int[Array, ""]
    closest: Float[Array, ""]


def _search(network: nn.Module, shape: Shape, system: System, positions: Float[Array, "atoms 3"]) -> Candidates:
    reach = network.cutoff + system.skin  # type: ignore[attr-defined]
    return find_candidates(positions, system.cell, system.pbc, system.stencil, reach, shape.candidates)


def _evaluate(
    network: nn.Module,
    shape: Shape,
    params: Any,
    system: System,
    positions: Float[Array, "atoms 3"],
    candidates: Candidates,
) -> tuple[Float[Array, ""], Float[Array, "atoms 3"], Met]:
    """Interaction energy and forces of one replica."""
    cutoff: float = network.cutoff  # type: ignore[attr-defined]
    n_atoms = positions.shape[0]
    senders, receivers, shifts, count = filter_edges(positions, system.cell, candidates, cutoff, shape.edges)
    one_structure = jnp.zeros(n_atoms, dtype=jnp.int32)
    graph = Graph(positions, system.species, one_structure, system.cell[None], senders, receivers, shifts)
    prediction = predict(network, params, graph)
    lengths = jnp.linalg.norm(edge_vectors(graph, cutoff), axis=-1)
    touching = system.radii[senders] + system.radii[receivers]
    relative = jnp.where(receivers < n_atoms, lengths / touching, jnp.inf)
    return prediction.energies[0], prediction.forces, Met(count, relative.min())


def _status(system: System, dynamics: Any, energy: Float[Array, "replicas"], met: Met) -> Int[Array, "replicas"]:
    """What the guards say of each replica now."""
    temperature = jax.vmap(langevin.kinetic_energy)(dynamics) / (1.5 * system.species.shape[0] * units.KELVIN)
    return jax.vmap(status_of, in_axes=(0, 0, 0, 0, 0, None, None))(
        energy,
        dynamics.force,
        dynamics.position,
        temperature,
        met.closest,
        system.max_temperature,
        system.min_distance,
    )


def _raw(dynamics: Any) -> Any:
    """The state with its keys as plain numbers, which ``where`` can choose between."""
    return dynamics.set(rng=jax.random.key_data(dynamics.rng))


def _typed(raw: Any, like: Any) -> Any:
    return raw.set(rng=jax.random.wrap_key_data(raw.rng, impl=jax.random.key_impl(like.rng)))
