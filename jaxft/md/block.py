"""The compiled block: a fixed number of steps of R replicas, with neighbor lists and guards inside. One of three jits.

Traced: parameters, positions, momenta, keys, cell, temperature, timestep, friction, limits, how many frames. Static:
the network's settings and the shapes (atoms, replicas, capacities, steps per frame, room for frames). New weights,
another temperature, a shorter block or another box of the same shape never recompile. The force at the first position
is computed anew with the block's parameters, so that a state can go on under another model.
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
from jaxft.pytree import pytree, static
from jaxft.structures.graph import Graph, edge_vectors

COMPILATIONS: Counter[tuple[Any, ...]] = Counter()
"""How often a block was traced, by its static shape: part of a run's record, and held to one per shape by a test."""


@pytree
class Shape:
    """What decides compilation besides the number of atoms and replicas: capacities, and how many frames at most."""

    edges: int = static()
    candidates: int = static()
    frames: int = static()
    steps_per_frame: int = static()


@pytree
class System:
    """What does not change during a block: species and radii of the atoms, cell, images to search, limits."""

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

    A replica whose status is not 0 keeps its last good state, with the energy that it had, and counts no more steps.
    """

    dynamics: Any
    energy: Float[Array, "replicas"]
    status: Int[Array, "replicas"]
    steps: Int[Array, "replicas"]


@pytree
class Frames:
    """What a block records at the end of each interval; arrays start with (frames, replicas).

    positions (Å), momenta (√(eV·u)), interaction energy and kinetic energy (eV), status, steps done. A frame of a
    stopped replica repeats its last good state.
    """

    positions: Float[Array, "frames replicas atoms 3"]
    momenta: Float[Array, "frames replicas atoms 3"]
    energy: Float[Array, "frames replicas"]
    kinetic: Float[Array, "frames replicas"]
    status: Int[Array, "frames replicas"]
    steps: Int[Array, "frames replicas"]


@pytree
class Met:
    """What the force met: how many edges, and the shortest relative to covalent radii."""

    edges: Int[Array, ""]
    closest: Float[Array, ""]


_Carry = tuple[Replicas, Candidates, Int[Array, "2"]]
"""What goes from step to step: state, candidates, the largest need of edges and candidates so far."""


@partial(jax.jit, static_argnums=(0, 1))
def run_block(
    network: nn.Module,
    shape: Shape,
    params: Any,
    system: System,
    drive: Drive,
    replicas: Replicas,
    count: Int[Array, ""],
) -> tuple[Replicas, Frames, Int[Array, "2"]]:
    """Advance all replicas by ``count × steps_per_frame`` steps; ``count`` is at most ``shape.frames``.

    Returns the new state, the frames (zeros after the first ``count``), and the largest numbers of edges and candidates
    that were needed. Where these exceed the capacities of ``shape``, edges were missing: the block gave up at that
    frame and the whole result must be thrown away. The state that a block begins with is guarded like every other.
    """
    COMPILATIONS[(network, shape, replicas.dynamics.position.shape, str(replicas.dynamics.position.dtype))] += 1
    evaluate = jax.vmap(partial(_evaluate, network, shape, params, system))
    search = jax.vmap(partial(_search, network, shape, system))
    stale = jax.vmap(partial(moved_too_far, skin=system.skin))  # type: ignore[arg-type]
    move = jax.vmap(langevin.before_force, in_axes=(0, None, 0, None))
    finish = jax.vmap(langevin.after_force, in_axes=(0, 0, None))

    def fits(most: Int[Array, "2"]) -> Bool[Array, ""]:
        return jnp.all(most <= jnp.array([shape.edges, shape.candidates]))

    def one_step(carry: _Carry, _: None) -> tuple[_Carry, None]:
        old, candidates, most = carry
        running = old.status == 0
        # a stopped replica stays where it is: where it was heading must not ask for room or for a new list
        moved = _choose(running, move(old.dynamics, drive.timestep, drive.kT, drive.friction), old.dynamics)
        # one decision for all replicas: a real branch, taken only when some replica needs it
        rebuild = jnp.any(stale(moved.position, candidates))
        candidates = jax.lax.cond(rebuild, search, lambda _: candidates, moved.position)
        energy, forces, met = evaluate(moved.position, candidates)
        new = finish(moved, forces, drive.timestep)
        status = jnp.where(running, _status(system, new, energy, met), old.status)
        dynamics, energy, steps = _choose(
            status == 0, (new, energy, old.steps + 1), (old.dynamics, old.energy, old.steps)
        )
        # once edges were missing the trajectory is wrong, and so is what it needs
        most = jnp.where(fits(most), jnp.maximum(most, _need(met, candidates)), most)
        return (Replicas(dynamics, energy, status, steps), candidates, most), None

    def one_frame(state: tuple[Int[Array, ""], _Carry, Frames]) -> tuple[Int[Array, ""], _Carry, Frames]:
        k, carry, frames = state
        carry, _ = jax.lax.scan(one_step, carry, None, length=shape.steps_per_frame)
        return k + 1, carry, jax.tree.map(lambda all, now: all.at[k].set(now), frames, _frame(carry[0]))

    def unfinished(state: tuple[Int[Array, ""], _Carry, Frames]) -> Bool[Array, ""]:
        k, (_, _, most), _ = state
        return (k < count) & fits(most)

    candidates = search(replicas.dynamics.position)
    energy, forces, met = evaluate(replicas.dynamics.position, candidates)
    renewed = replicas.dynamics.set(force=forces)
    running = replicas.status == 0
    dynamics, energy = _choose(running, (renewed, energy), (replicas.dynamics, replicas.energy))
    status = jnp.where(running, _status(system, renewed, energy, met), replicas.status)
    start = Replicas(dynamics, energy, status, replicas.steps)
    empty = jax.tree.map(lambda now: jnp.zeros((shape.frames, *now.shape), now.dtype), _frame(start))
    carry = (start, candidates, _need(met, candidates))
    _, (replicas, _, most), frames = jax.lax.while_loop(unfinished, one_frame, (jnp.int32(0), carry, empty))
    return replicas, frames, most


def _search(network: nn.Module, shape: Shape, system: System, positions: Float[Array, "atoms 3"]) -> Candidates:
    reach = network.cutoff + system.skin
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
    cutoff: float = network.cutoff
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


def _need(met: Met, candidates: Candidates) -> Int[Array, "2"]:
    """Edges and candidates of the replica that has most."""
    return jnp.stack([met.edges.max(), candidates.count.max()])


def _frame(r: Replicas) -> Frames:
    """What is recorded of a state."""
    kinetic = jax.vmap(langevin.kinetic_energy)(r.dynamics)
    return Frames(r.dynamics.position, r.dynamics.momentum, r.energy, kinetic, r.status, r.steps)


def _choose(which: Bool[Array, "replicas"], a: Any, b: Any) -> Any:
    """Replica by replica, ``a`` where ``which`` is true, else ``b``; trees of arrays, replicas first, keys too."""
    return jax.tree.map(lambda x, y: jnp.where(which.reshape(which.shape + (1,) * (x.ndim - 1)), x, y), a, b)
