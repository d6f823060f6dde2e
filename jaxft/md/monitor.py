"""Does the potential still know where it is? How far each atom lies from a training set, looked at while dynamics runs.

For an atom of element e whose descriptor, in a fixed potential, is d:

    z = (d - mean_e)/SD_e on the columns kept,    Q = ‖(I - P_e P_eᵀ) z‖²,    ratio = Q / limit_e

with the principal components P_e of that element's atoms in the training set. The number of a frame is its largest ratio
(protocol 6); above ``frame_limit`` on several checks in a row is an alarm (protocol 9). How components and limits are found is not
decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import chemical_symbols
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from jaxft.errors import InputError
from jaxft.md.neighbors import Candidates, filter_edges
from jaxft.potential.descriptors import LAYERS, node_descriptors
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.pytree import pytree, static
from jaxft.stats.principal_components import PrincipalComponents
from jaxft.structures.graph import Graph
from jaxft.structures.species import species_of

ACTIONS = ("flag", "stop")


@dataclass(frozen=True, eq=False)
class Monitor:
    """What watches a run, and what it does about it.

    potential    whose descriptors are looked at: a fixed one, the base by default, whatever runs
    models       by atomic number: principal components of that element's descriptors in the training set
    limits       by atomic number: limit of Q, dimensionless
    frame_limit  limit of a frame's largest Q/limit
    layers       descriptors of the ``last`` layer, or of ``all``
    every        frames from check to check; that is ``every × frame_every`` steps
    checks       how many in a row above ``frame_limit`` are an alarm
    action       ``flag``: an alarm is recorded only; ``stop``: it stops its replica, as a guard does

    Raises InputError for values that could never alarm, or always would.
    """

    potential: Potential
    models: Mapping[int, PrincipalComponents]
    limits: Mapping[int, float]
    frame_limit: float
    layers: str = "last"
    every: int = 1
    checks: int = 3
    action: str = "flag"

    def __post_init__(self) -> None:
        if self.action not in ACTIONS or self.layers not in LAYERS:
            raise InputError(
                f"a monitor's action is one of {', '.join(ACTIONS)} and its layers one of {', '.join(LAYERS)}; got "
                f"{self.action!r} and {self.layers!r}"
            )
        if self.every < 1 or self.checks < 1:
            raise InputError(
                f"a monitor checks every 1 or more frames and alarms after 1 or more checks; got {self.every} and {self.checks}"
            )
        if set(self.models) != set(self.limits):
            raise InputError(
                f"a monitor needs a limit for each element that it has a model of; models of {_symbols(self.models)}, limits of "
                f"{_symbols(self.limits)}"
            )
        for what, limit in [("a frame", self.frame_limit), *((chemical_symbols[z], x) for z, x in self.limits.items())]:
            if not 0.0 < limit < np.inf:
                raise InputError(f"the monitor's limit of {what} is {limit}, expected a positive number")
        species_of(np.array(sorted(self.models), dtype=np.int64), self.potential.atomic_numbers)
        width = _width(self.potential, self.layers)
        for z, model in self.models.items():
            if len(model.mean) != width:
                raise InputError(
                    f"the monitor's model of {chemical_symbols[z]} has {len(model.mean)} columns, but its potential has {width} "
                    f"descriptors (layers {self.layers!r}); both must be of one potential and one choice of layers"
                )
            if model.retained >= model.axes.shape[1]:
                raise InputError(
                    f"the monitor's model of {chemical_symbols[z]} retains all its components, so Q is 0 wherever an atom is; "
                    "retain fewer"
                )


@pytree
class Watch:
    """A monitor as arrays, for the atoms of one system; only elements that are there have rows.

    species      (atoms,) in the table of the monitor's potential
    element      (atoms,) row in the arrays of elements
    inverse_sd   1/SD; 0 for columns that do not count
    left_out     the axes that are not retained, as columns; zero for those that are and for columns that do not count, so that
                 the monitor of another training set has the same shape
    stops        whether an alarm stops a replica
    """

    network: nn.Module = static()
    layers: str = static()
    params: Any
    species: Int[Array, "atoms"]
    element: Int[Array, "atoms"]
    mean: Float[Array, "elements columns"]
    inverse_sd: Float[Array, "elements columns"]
    left_out: Float[Array, "elements columns columns"]
    limit: Float[Array, "elements"]
    frame_limit: Float[Array, ""]
    every: Int[Array, ""]
    checks: Int[Array, ""]
    stops: Bool[Array, ""]


@pytree
class Reading:
    """What a monitor says of each replica after a frame.

    ratio  largest Q/limit; NaN where nothing was checked, or the replica had stopped
    atom   whose that is; -1 likewise
    above  checks in a row, up to and with the last one, whose ratio was above the frame limit
    """

    ratio: Float[Array, "*frames replicas"]
    atom: Int[Array, "*frames replicas"]
    above: Int[Array, "*frames replicas"]


def watch_over(monitor: Monitor, numbers: Int[np.ndarray, "atoms"], dtype: str) -> Watch:
    """A monitor for atoms of these atomic numbers. Raises InputError for elements that its training set lacks."""
    present = sorted(set(np.asarray(numbers).tolist()))
    missing = [z for z in present if z not in monitor.models]
    if missing:
        raise InputError(
            f"the monitor's training set has no {_symbols(missing)}, so it can't say whether such atoms are known; it has "
            f"{_symbols(monitor.models)}. Label structures with the missing elements, or run without a monitor"
        )
    models = [monitor.models[z] for z in present]
    row = {z: k for k, z in enumerate(present)}
    inverse = [np.divide(1.0, m.scale, out=np.zeros_like(m.scale), where=m.kept) for m in models]

    def as_array(values: Any) -> Array:
        return jnp.asarray(np.asarray(values), dtype=dtype)

    return Watch(
        network=monitor.potential.network,
        layers=monitor.layers,
        params=cast_parameters(monitor.potential.params, dtype),
        species=jnp.asarray(species_of(numbers, monitor.potential.atomic_numbers)),
        element=jnp.asarray([row[z] for z in np.asarray(numbers).tolist()], dtype=jnp.int32),
        mean=as_array([m.mean for m in models]),
        inverse_sd=as_array(inverse),
        left_out=as_array([_left_out(m) for m in models]),
        limit=as_array([monitor.limits[z] for z in present]),
        frame_limit=as_array(monitor.frame_limit),
        every=jnp.int32(monitor.every),
        checks=jnp.int32(monitor.checks),
        stops=jnp.asarray(monitor.action == "stop"),
    )


def farthest_cutoff(network: nn.Module, watch: Watch | None) -> float:
    """How far (Å) neighbors must be known: the larger cutoff of what runs and of what watches."""
    return float(network.cutoff) if watch is None else max(float(network.cutoff), float(watch.network.cutoff))


def extrapolation(watch: Watch, graph: Graph) -> Float[Array, "atoms"]:
    """Q/limit of each atom of one structure. Pure; ``graph`` has the species and edges of the monitor's potential."""
    described = node_descriptors(watch.network, watch.params, graph, watch.layers)
    z = (described - watch.mean[watch.element]) * watch.inverse_sd[watch.element]
    # each atom along the axes of every element, then its own: smaller than a matrix for each atom
    along = jnp.einsum("ac,ecx->aex", z, watch.left_out, precision="highest")
    own = jnp.take_along_axis(along, watch.element[:, None, None], axis=1)[:, 0]
    return jnp.sum(own**2, axis=-1) / watch.limit[watch.element]


def look(
    watch: Watch,
    room: int,
    due: Bool[Array, "replicas"],
    above: Int[Array, "replicas"],
    positions: Float[Array, "replicas atoms 3"],
    cells: Float[Array, "replicas 3 3"],
    candidates: Candidates,
) -> Reading:
    """Look at the replicas whose check is due; nothing is computed where none is.

    above: as the reading before this one has it. candidates: of each replica, holding all pairs within the monitor's cutoff;
    ``room`` is for those.
    """
    check = jax.vmap(partial(_largest, watch, room))
    ratio, atom = jax.lax.cond(jnp.any(due), check, _nothing, positions, cells, candidates)
    # written as what must hold, so that a NaN counts as above
    count = jnp.where(ratio <= watch.frame_limit, 0, above + 1)
    return Reading(jnp.where(due, ratio, jnp.nan), jnp.where(due, atom, -1), jnp.where(due, count, above))


def must_stop(watch: Watch, reading: Reading) -> Bool[Array, "replicas"]:
    """Which replicas the alarm stops."""
    return watch.stops & (reading.above >= watch.checks)


def _largest(
    watch: Watch, room: int, positions: Float[Array, "atoms 3"], cell: Float[Array, "3 3"], candidates: Candidates
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """Largest ratio of one replica, and whose."""
    senders, receivers, shifts, _ = filter_edges(positions, cell, candidates, watch.network.cutoff, room)
    one_structure = jnp.zeros(positions.shape[0], dtype=jnp.int32)
    graph = Graph(positions, watch.species, one_structure, cell[None], senders, receivers, shifts)
    ratios = extrapolation(watch, graph)
    return jnp.max(ratios), jnp.argmax(ratios).astype(jnp.int32)


def _nothing(
    positions: Float[Array, "replicas atoms 3"], cells: Float[Array, "replicas 3 3"], candidates: Candidates
) -> tuple[Float[Array, "replicas"], Int[Array, "replicas"]]:
    del cells, candidates
    n = positions.shape[0]
    return jnp.zeros(n, positions.dtype), jnp.zeros(n, jnp.int32)


def _left_out(model: PrincipalComponents) -> Float[np.ndarray, "columns columns"]:
    """The axes that are not retained, in all columns."""
    rest = model.axes[:, model.retained :]
    padded = np.zeros((len(model.mean), len(model.mean)))
    padded[np.flatnonzero(model.kept), : rest.shape[1]] = rest
    return padded


def _width(potential: Potential, layers: str) -> int:
    """How many descriptors an atom has."""
    one, padding = jnp.zeros(1, jnp.int32), jnp.ones(1, jnp.int32)
    graph = Graph(jnp.zeros((1, 3)), one, one, jnp.eye(3)[None], padding, padding, jnp.zeros((1, 3), jnp.int32))
    of_graph = partial(node_descriptors, potential.network, layers=layers)
    return int(jax.eval_shape(of_graph, potential.params, graph).shape[-1])


def _symbols(numbers: Any) -> str:
    """``H, O``; or ``nothing``."""
    return ", ".join(chemical_symbols[z] for z in sorted(numbers)) or "nothing"
