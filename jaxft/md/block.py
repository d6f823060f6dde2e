"""The compiled block: a fixed number of steps of R replicas, with neighbor lists and guards inside. One of three jits.

Traced: parameters, positions, momenta, keys, cells, temperatures (one for each frame), pressure, timestep, friction, limits,
how many frames. Static: the network's settings, the ensemble, and the shapes (atoms, replicas, capacities, grid of the
neighbor search, steps per frame, room for frames), and whether a monitor watches. New weights, another temperature, a shorter
block, another box of the same shape or the monitor of another training set never recompile. The force at the first position is
computed anew with the block's parameters, so that a state can go on under another model.
"""

from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from jaxft import pytree, units
from jaxft.compilation import compiled
from jaxft.md.dynamics import Bath, Dynamics, kinetic_energy, pressure, volume
from jaxft.md.ensembles import ENSEMBLES, conserved_energy, degrees_of_freedom
from jaxft.md.guards import Limits, Met, Status, status_of
from jaxft.md.monitor import Reading, Watch, farthest_cutoff, look, must_stop
from jaxft.md.neighbors import Candidates, Grid, filter_edges, find_candidates, is_stale, reach_needed
from jaxft.potential.derivatives import predict
from jaxft.structures.graph import Graph, edge_vectors

COMPILATIONS: Counter[tuple[Any, ...]] = Counter()
"""How often a block was traced, by its static shape: part of a run's record, and held to one per shape by a test."""


class Shape(NamedTuple):
    """What decides compilation besides the number of atoms and replicas.

    edges, candidates  capacities, for each replica
    frames             how many at most
    stacked            whether each replica has parameters of its own
    one_graph          whether the network sees all replicas as one graph, or is mapped over them; same results, other speed
    """

    ensemble: str
    edges: int
    candidates: int
    grid: Grid
    frames: int
    steps_per_frame: int
    stacked: bool = False
    one_graph: bool = False


@pytree.pytree
class System:
    """What does not change during a block: species and radii of the atoms, periodicity, bonds, limits.

    bonds  (replicas, bonds, 5): two atoms and the image of the second, of the starting structure; atoms beyond the last: none
    """

    species: Int[Array, "atoms"]
    radii: Float[Array, "atoms"]
    pbc: Bool[Array, "3"]
    skin: Float[Array, ""]
    bonds: Int[Array, "replicas bonds 5"]
    limits: Limits


@pytree.pytree
class Replicas:
    """State of R replicas, stacked along the first axis: dynamics, potential energies (eV), statuses, steps done by each.

    A replica whose status is not 0 keeps its last good state, with the energy that it had, and counts no more steps.
    above: of a monitor's last ``Reading``; None where there is none.
    """

    dynamics: Dynamics
    energy: Float[Array, "replicas"]
    status: Int[Array, "replicas"]
    steps: Int[Array, "replicas"]
    above: Int[Array, "replicas"] | None = None


@pytree.pytree
class Frames:
    """What a block records at the end of each interval; arrays start with (frames, replicas).

    positions (Å), momenta (√(eV·u)), interaction energy, kinetic and conserved energy (eV), cells (Å), pressures (eV/Å³),
    status, steps done, and what the monitor says (None where there is none). A frame of a stopped replica repeats its last good
    state. The frame at which a monitor stops a replica is good itself, so only the next one carries the status.
    """

    positions: Float[Array, "frames replicas atoms 3"]
    momenta: Float[Array, "frames replicas atoms 3"]
    energy: Float[Array, "frames replicas"]
    kinetic: Float[Array, "frames replicas"]
    conserved: Float[Array, "frames replicas"]
    cells: Float[Array, "frames replicas 3 3"]
    pressure: Float[Array, "frames replicas"]
    status: Int[Array, "frames replicas"]
    steps: Int[Array, "frames replicas"]
    reading: Reading | None = None


@pytree.pytree
class Need:
    """The largest needs that were met: edges and candidates of a replica, atoms in a bin, bins to search on either side."""

    edges: Int[Array, ""]
    candidates: Int[Array, ""]
    per_bin: Int[Array, ""]
    reach: Int[Array, "3"]


class _Forces(NamedTuple):
    """What one evaluation gives for each replica."""

    energy: Float[Array, ""]
    forces: Float[Array, "atoms 3"]
    virial: Float[Array, ""]
    closest: Float[Array, ""]
    edges: Int[Array, ""]


class _Edges(NamedTuple):
    """Edges of one replica, padded, and how many there are."""

    senders: Int[Array, "edges"]
    receivers: Int[Array, "edges"]
    shifts: Int[Array, "edges 3"]
    needed: Int[Array, ""]


_Carry = tuple[Replicas, Candidates, Need]


def fits(need: Need, shape: Shape) -> Bool[Array, ""]:
    """Whether the arrays of ``shape`` hold what was needed."""
    return (
        (need.edges <= shape.edges)
        & (need.candidates <= shape.candidates)
        & (need.per_bin <= shape.grid.per_bin)
        & (need.reach <= jnp.array(shape.grid.reach)).all()
    )


@partial(compiled, static_argnums=(0, 1))
def run_block(
    network: nn.Module,
    shape: Shape,
    params: Any,
    system: System,
    bath: Bath,
    heating: Float[Array, "frames"],
    replicas: Replicas,
    count: Int[Array, ""],
    watch: Watch | None = None,
) -> tuple[Replicas, Frames, Need]:
    """Advance all replicas by ``count × steps_per_frame`` steps; ``count`` is at most ``shape.frames``.

    bath.kT holds for the replica, ``heating`` is a factor on it for each frame's interval (1: none). Returns the new state, the
    frames (zeros after the first ``count``), and the largest needs. Where these do not fit into ``shape``, edges were missing:
    the block gave up at that frame and the whole result must be thrown away. The state that a block begins with is guarded like
    every other. ``watch`` looks at frames; where it is None the program has no trace of it.
    """
    positions, of_watch = replicas.dynamics.position, () if watch is None else (watch.network, watch.layers)
    COMPILATIONS[(network, shape, positions.shape, str(positions.dtype), *of_watch)] += 1
    ensemble, n_atoms = ENSEMBLES[shape.ensemble], replicas.dynamics.position.shape[1]
    n_dof = degrees_of_freedom(shape.ensemble, n_atoms)
    per_replica = Bath(0, None, None, None, None, None)  # type: ignore[arg-type]
    evaluate = partial(_evaluate, network, shape, system)
    cutoff = farthest_cutoff(network, watch)
    search = jax.vmap(partial(_search, cutoff, shape, system))
    stale = jax.vmap(lambda d, c: is_stale(d.position, d.cell, c, cutoff, system.skin))
    move = jax.vmap(lambda state, warm: ensemble.before_force(state, warm, n_dof), in_axes=(0, per_replica))
    finish = jax.vmap(lambda state, warm: ensemble.after_force(state, warm, n_dof), in_axes=(0, per_replica))
    conserved = jax.vmap(partial(conserved_energy, shape.ensemble), in_axes=(0, 0, per_replica))
    judge = jax.vmap(
        partial(_status, system, n_dof),
        in_axes=(0, 0, 0, Limits(None, None, None, None, 0)),  # type: ignore[arg-type]
    )

    def needed(found: _Forces, candidates: Candidates, cells: Float[Array, "replicas 3 3"], status: Any) -> Need:
        reach = jax.vmap(lambda cell: reach_needed(cell, system.pbc, shape.grid, cutoff + system.skin))
        asked = Need(found.edges, candidates.count, candidates.fullest, reach(cells))
        # what a replica that is stopped would have needed (atoms on top of each other, a collapsed cell) counts for nothing
        return jax.tree.map(
            lambda n: jnp.max(n * (status == 0).reshape(-1, *[1] * (n.ndim - 1)).astype(n.dtype), axis=0), asked
        )

    def one_step(warm: Bath, carry: _Carry, _: None) -> tuple[_Carry, None]:
        old, candidates, need = carry
        running = old.status == 0
        # a stopped replica stays where it is: where it was heading must not ask for room or for a new list
        moved = _choose(running, move(old.dynamics, warm), old.dynamics)
        # one decision for all replicas: a real branch, taken only when some replica needs it
        candidates = jax.lax.cond(jnp.any(stale(moved, candidates)), search, lambda _: candidates, moved)
        found = evaluate(params, moved, candidates)
        new = finish(moved.set(force=found.forces, virial=found.virial), warm)
        status = jnp.where(running, judge(new, found, system.bonds, system.limits), old.status)
        dynamics, energy, steps = _choose(
            status == 0, (new, found.energy, old.steps + 1), (old.dynamics, old.energy, old.steps)
        )
        # once edges were missing the trajectory is wrong, and so is what it needs
        more = jax.tree.map(jnp.maximum, need, needed(found, candidates, dynamics.cell, status))
        need = jax.tree.map(partial(jnp.where, fits(need, shape)), more, need)
        return (Replicas(dynamics, energy, status, steps, old.above), candidates, need), None

    def read(r: Replicas, candidates: Candidates) -> Reading | None:
        if watch is None or r.above is None:
            return None
        # edges within a larger cutoff have no capacity of their own, but are never more than the candidates
        room = shape.edges if watch.network.cutoff <= network.cutoff else shape.candidates
        due = (r.status == 0) & (r.steps // shape.steps_per_frame % watch.every == 0)
        return look(watch, room, due, r.above, r.dynamics.position, r.dynamics.cell, candidates)

    def heed(r: Replicas, reading: Reading | None) -> Replicas:
        if watch is None or reading is None:
            return r
        alarmed = (r.status == 0) & must_stop(watch, reading)
        status = jnp.where(alarmed, jnp.int32(Status.EXTRAPOLATING), r.status)
        return pytree.replace(r, status=status, above=reading.above)

    def frame_of(r: Replicas, warm: Bath, reading: Reading | None) -> Frames:
        d = r.dynamics
        return Frames(
            d.position,
            d.momentum,
            r.energy,
            jax.vmap(kinetic_energy)(d),
            conserved(d, r.energy, warm),
            d.cell,
            jax.vmap(pressure)(d),
            r.status,
            r.steps,
            reading,
        )

    def one_frame(state: tuple[Int[Array, ""], _Carry, Frames]) -> tuple[Int[Array, ""], _Carry, Frames]:
        k, carry, frames = state
        warm = pytree.replace(bath, kT=bath.kT * heating[k])
        (now, candidates, need), _ = jax.lax.scan(partial(one_step, warm), carry, None, length=shape.steps_per_frame)
        reading = read(now, candidates)
        onward = (heed(now, reading), candidates, need)
        return k + 1, onward, jax.tree.map(lambda all, one: all.at[k].set(one), frames, frame_of(now, warm, reading))

    def unfinished(state: tuple[Int[Array, ""], _Carry, Frames]) -> Bool[Array, ""]:
        k, (_, _, need), _ = state
        return (k < count) & fits(need, shape)

    candidates = search(replicas.dynamics)
    found = evaluate(params, replicas.dynamics, candidates)
    renewed = replicas.dynamics.set(force=found.forces, virial=found.virial)
    running = replicas.status == 0
    dynamics, energy = _choose(running, (renewed, found.energy), (replicas.dynamics, replicas.energy))
    status = jnp.where(running, judge(renewed, found, system.bonds, system.limits), replicas.status)
    start = Replicas(dynamics, energy, status, replicas.steps, replicas.above)
    unread = None if watch is None else Reading(energy, status, status)
    empty = jax.tree.map(lambda now: jnp.zeros((shape.frames, *now.shape), now.dtype), frame_of(start, bath, unread))
    carry = (start, candidates, needed(found, candidates, dynamics.cell, status))
    _, (replicas, _, need), frames = jax.lax.while_loop(unfinished, one_frame, (jnp.int32(0), carry, empty))
    return replicas, frames, need


def _search(cutoff: float, shape: Shape, system: System, dynamics: Dynamics) -> Candidates:
    reach = cutoff + system.skin
    return find_candidates(dynamics.position, dynamics.cell, system.pbc, shape.grid, reach, shape.candidates)


def _evaluate(
    network: nn.Module, shape: Shape, system: System, params: Any, dynamics: Dynamics, candidates: Candidates
) -> _Forces:
    """Interaction energies, forces and virials of all replicas."""
    one = partial(_evaluate_one, network, shape, system)
    if not shape.one_graph:
        return jax.vmap(one, in_axes=(0 if shape.stacked else None, 0, 0))(params, dynamics, candidates)
    edges = jax.vmap(partial(_edges, network, shape))(dynamics, candidates)
    n_replicas, n_atoms = dynamics.position.shape[:2]
    first = n_atoms * jnp.arange(n_replicas, dtype=jnp.int32)[:, None]
    # padding of one replica must not become an edge of the next
    real = edges.receivers < n_atoms
    graph = Graph(
        dynamics.position.reshape(-1, 3),
        jnp.tile(system.species, n_replicas),
        jnp.repeat(jnp.arange(n_replicas, dtype=jnp.int32), n_atoms),
        dynamics.cell,
        jnp.where(real, edges.senders + first, n_replicas * n_atoms).reshape(-1),
        jnp.where(real, edges.receivers + first, n_replicas * n_atoms).reshape(-1),
        edges.shifts.reshape(-1, 3),
    )
    prediction = predict(network, params, graph)
    virials = jnp.trace(prediction.virials, axis1=-2, axis2=-1)
    closest = jax.vmap(partial(_closest, network, system))(dynamics, edges)
    return _Forces(
        prediction.energies, prediction.forces.reshape(dynamics.position.shape), virials, closest, edges.needed
    )


def _evaluate_one(
    network: nn.Module, shape: Shape, system: System, params: Any, dynamics: Dynamics, candidates: Candidates
) -> _Forces:
    """The same for one replica."""
    edges = _edges(network, shape, dynamics, candidates)
    prediction = predict(network, params, _graph(system, dynamics, edges))
    virial = jnp.trace(prediction.virials[0])
    return _Forces(
        prediction.energies[0], prediction.forces, virial, _closest(network, system, dynamics, edges), edges.needed
    )


def _edges(network: nn.Module, shape: Shape, dynamics: Dynamics, candidates: Candidates) -> _Edges:
    return _Edges(*filter_edges(dynamics.position, dynamics.cell, candidates, network.cutoff, shape.edges))


def _graph(system: System, dynamics: Dynamics, edges: _Edges) -> Graph:
    one_structure = jnp.zeros(dynamics.position.shape[0], dtype=jnp.int32)
    return Graph(
        dynamics.position,
        system.species,
        one_structure,
        dynamics.cell[None],
        edges.senders,
        edges.receivers,
        edges.shifts,
    )


def _closest(network: nn.Module, system: System, dynamics: Dynamics, edges: _Edges) -> Float[Array, ""]:
    """Shortest edge over the sum of covalent radii."""
    lengths = jnp.linalg.norm(edge_vectors(_graph(system, dynamics, edges), network.cutoff), axis=-1)
    touching = system.radii[edges.senders] + system.radii[edges.receivers]
    return jnp.where(edges.receivers < dynamics.position.shape[0], lengths / touching, jnp.inf).min()


def _status(
    system: System,
    n_dof: int,
    dynamics: Dynamics,
    found: _Forces,
    bonds: Int[Array, "bonds 5"],
    limits: Limits,
) -> Int[Array, ""]:
    """What the guards say of a replica now."""
    met = Met(
        energy=found.energy,
        forces=found.forces,
        positions=dynamics.position,
        temperature=2.0 * kinetic_energy(dynamics) / (n_dof * units.KELVIN),
        closest=found.closest,
        longest=_longest_bond(system, dynamics, bonds),
        volume=volume(dynamics),
    )
    return status_of(met, limits)


def _longest_bond(system: System, dynamics: Dynamics, bonds: Int[Array, "bonds 5"]) -> Float[Array, ""]:
    """Longest bond relative to the sum of covalent radii; 0 where there is none."""
    one, other, images = bonds[:, 0], bonds[:, 1], bonds[:, 2:].astype(dynamics.cell.dtype)
    vectors = dynamics.position[other] + images @ dynamics.cell - dynamics.position[one]
    relative = jnp.linalg.norm(vectors, axis=-1) / (system.radii[one] + system.radii[other])
    return jnp.max(jnp.where(one < dynamics.position.shape[0], relative, 0.0), initial=0.0)


def _choose(which: Bool[Array, "replicas"], a: Any, b: Any) -> Any:
    """Replica by replica, ``a`` where ``which`` is true, else ``b``; trees of arrays, replicas first, keys too."""
    return jax.tree.map(lambda x, y: jnp.where(which.reshape(which.shape + (1,) * (x.ndim - 1)), x, y), a, b)
