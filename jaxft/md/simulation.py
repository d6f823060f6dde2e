"""A simulation in progress: R replicas of one composition, under one potential or one each, advanced block by block.

``start`` makes it, ``advance`` returns it some steps later together with the frames, ``under`` puts new weights under
it, ``watched`` another monitor over it. Nothing is changed in place. A block whose arrays were too small is thrown away and done
again with larger ones, so results never contain a step with missing edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from flax import linen as nn
from jaxtyping import Float, PRNGKeyArray

from jaxft import pytree, units
from jaxft.errors import InputError
from jaxft.md.block import Frames, Need, Replicas, Shape, System, fits, run_block
from jaxft.md.bonds import find_bonds
from jaxft.md.check_start import check_ensemble, check_start
from jaxft.md.dynamics import Bath, begin
from jaxft.md.ensembles import ENSEMBLES, degrees_of_freedom
from jaxft.md.guards import Limits, Status, radii_of
from jaxft.md.monitor import Monitor, Watch, farthest_cutoff, watch_over
from jaxft.md.neighbors import Grid, choose_grid
from jaxft.md.settings import MDSettings
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.batch import capacity
from jaxft.structures.cell import complete_cell
from jaxft.structures.neighbors import find_edges
from jaxft.structures.species import species_of

GRANULARITY = 64
"""Capacities are multiples of this."""

ROOM = 1.04
"""Capacities over the need that was met, so that thermal motion does not overflow them at once."""

CARRIED = ("charge", "multiplicity")
"""Entries of ``Atoms.info`` that every frame keeps: they belong to the system, not to one geometry."""


@dataclass(frozen=True)
class Simulation:
    """Everything that the next block needs.

    params             of the network; with ``stacked`` each leaf has a first axis of replicas
    reference_energy   (replicas,) eV, added to network energies on the host
    template           what holds for every frame of every replica; its cell is that of the first one at the start
    edges, candidates, grid  capacities
    one_graph          how the network sees replicas (``block.Shape``)
    watch              the monitor, if there is one
    """

    network: nn.Module
    params: Any
    stacked: bool
    reference_energy: Float[np.ndarray, "replicas"]
    template: Atoms
    settings: MDSettings
    system: System
    bath: Bath
    replicas: Replicas
    edges: int
    candidates: int
    grid: Grid
    one_graph: bool = False
    watch: Watch | None = None

    @property
    def n_replicas(self) -> int:
        """How many replicas run side by side."""
        return int(self.replicas.status.shape[0])

    @property
    def n_dof(self) -> int:
        """Thermal degrees of freedom of a replica."""
        return degrees_of_freedom(self.settings.ensemble, len(self.template))

    @property
    def status(self) -> np.ndarray:
        """Status of each replica (``guards.Status``)."""
        return np.asarray(self.replicas.status)

    def shape(self, frames: int) -> Shape:
        """The static shape of a block of up to so many frames."""
        every = self.settings.frame_every
        return Shape(
            self.settings.ensemble,
            self.edges,
            self.candidates,
            self.grid,
            frames,
            every,
            self.stacked,
            self.one_graph and not self.stacked,
        )

    def atoms(self, replica: int) -> Atoms:
        """The last good state of a replica, with momenta."""
        d = self.replicas.dynamics
        return to_atoms(self.frame(replica), d.position[replica], d.momentum[replica])

    def frame(self, replica: int) -> Atoms:
        """The template in the present cell of a replica."""
        if not self.template.pbc.any():
            return self.template
        atoms = self.template.copy()
        # rows of directions that are not periodic stay as they were given: the search has put others in their place
        cell = np.asarray(self.replicas.dynamics.cell[replica], dtype=np.float64)
        atoms.set_cell(np.where(atoms.pbc[:, None], cell, atoms.cell.array))
        return atoms


def start(
    potential: Potential | Sequence[Potential],
    structures: Sequence[Atoms],
    settings: MDSettings,
    key: PRNGKeyArray,
    dtype: str = "float32",
    momenta_at: float | None = None,
    monitor: Monitor | None = None,
) -> Simulation:
    """Replicas at the given positions with fresh momenta; replica r draws from ``fold_in(key, r)``.

    potential   one for all replicas, or one each (of one architecture), whose parameters are stacked and run in one program
    momenta_at  K, where momenta are drawn at another temperature than that of the settings (heating)
    monitor     looks at recorded frames, of all replicas; its potential need not be the one that runs

    Raises InputError for unusable structures, elements that the potential lacks, constraints (dynamics would not heed
    them), structures that differ in composition, order of atoms, masses or periodicity, a barostat on a cell that is not
    periodic, a single atom in an ensemble without centre-of-mass motion, positions that float32 can't resolve, float64
    where JAX has it off, and elements that the monitor's training set lacks.
    """
    check_start(structures, settings, dtype)
    potentials = [potential] if isinstance(potential, Potential) else list(potential)
    params, stacked = _stack(potentials, len(structures), dtype, isinstance(potential, Potential))
    first, template = potentials[0], structures[0]
    watch = None if monitor is None else watch_over(monitor, template.numbers, dtype)
    reach = farthest_cutoff(first.network, watch) + settings.skin
    n = len(structures)
    whole = np.stack([complete_cell(a.cell.array, a.pbc, a.positions, 4.0 * reach) for a in structures])
    kT = jnp.full(n, units.KELVIN * settings.temperature, dtype=dtype)
    begin_at = kT if momenta_at is None else jnp.full(n, units.KELVIN * momenta_at, dtype=dtype)
    masses = jnp.asarray(template.get_masses(), dtype=dtype)
    positions = jnp.asarray(np.stack([a.positions for a in structures]), dtype=dtype)
    keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(n))
    cells = jnp.asarray(whole, dtype=dtype)
    return Simulation(
        network=first.network,
        params=params,
        stacked=stacked,
        reference_energy=_reference_energy(potentials, template, n),
        template=_bare(template),
        settings=settings,
        system=System(
            species=jnp.asarray(species_of(template.numbers, first.atomic_numbers)),
            radii=jnp.asarray(radii_of(template.numbers), dtype=dtype),
            pbc=jnp.asarray(template.pbc),
            skin=jnp.asarray(settings.skin, dtype=dtype),
            bonds=jnp.asarray(_bonds(structures, settings)),
            limits=_limits(settings, whole, dtype),
        ),
        bath=_bath(settings, kT, dtype),
        replicas=Replicas(
            jax.vmap(begin, in_axes=(0, 0, None, 0, 0))(keys, positions, masses, cells, begin_at),
            jnp.zeros(n, dtype=dtype),
            jnp.zeros(n, dtype=jnp.int32),
            jnp.zeros(n, dtype=jnp.int32),
            None if watch is None else jnp.zeros(n, dtype=jnp.int32),
        ),
        edges=_room(structures, first.cutoff),
        candidates=_room(structures, reach),
        grid=choose_grid(np.stack([a.positions for a in structures]), whole, template.pbc, reach),
        watch=watch,
    )


def under(simulation: Simulation, potential: Potential) -> Simulation:
    """The same state of all replicas under other weights of the same network; nothing is compiled again."""
    if potential.network != simulation.network:
        raise InputError("a trajectory can only go on under a potential of the same architecture and settings")
    dtype = simulation.replicas.dynamics.position.dtype
    potentials = [potential] * simulation.n_replicas if simulation.stacked else [potential]
    params, _ = _stack(potentials, simulation.n_replicas, dtype, not simulation.stacked)
    energy = _reference_energy(potentials, simulation.template, simulation.n_replicas)
    return replace(simulation, params=params, reference_energy=energy)


def watched(simulation: Simulation, monitor: Monitor | None) -> Simulation:
    """The same state under another monitor, or none: checks are counted anew, and replicas that only a monitor stopped go on.

    The monitor of another training set, in the same descriptors, compiles nothing again.
    """
    watch = None
    if monitor is not None:
        dtype = str(simulation.replicas.dynamics.position.dtype)
        watch = watch_over(monitor, simulation.template.numbers, dtype)
    old = simulation.replicas
    above = None if watch is None else jnp.zeros_like(old.steps)
    status = jnp.where(old.status == Status.EXTRAPOLATING, 0, old.status)
    return replace(simulation, watch=watch, replicas=pytree.replace(old, status=status, above=above))


def select(simulation: Simulation, replicas: Sequence[int]) -> Simulation:
    """Some of the replicas, as if the others had never been: each keeps its positions, momenta, keys and parameters."""
    which = np.asarray(replicas, dtype=np.int64)

    def pick(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[which], tree)

    system, bath = simulation.system, simulation.bath
    return replace(
        simulation,
        params=pick(simulation.params) if simulation.stacked else simulation.params,
        reference_energy=simulation.reference_energy[which],
        system=pytree.replace(
            system, bonds=system.bonds[which], limits=pytree.replace(system.limits, volume=system.limits.volume[which])
        ),
        bath=pytree.replace(bath, kT=bath.kT[which]),
        replicas=pick(simulation.replicas),
    )


def at_temperature(simulation: Simulation, temperature: float) -> Simulation:
    """The same state coupled to a bath of another temperature (K)."""
    kT = jnp.full_like(simulation.bath.kT, units.KELVIN * temperature)
    return replace(simulation, bath=pytree.replace(simulation.bath, kT=kT))


def in_ensemble(simulation: Simulation, settings: MDSettings) -> Simulation:
    """The same positions, momenta, cell and keys under other settings: what a next stage of a run begins with.

    The same ensemble goes on as it is. In another one, thermostat and barostat begin at rest, and where it conserves total
    momentum, what there is of it is removed and the temperature kept.
    """
    check_ensemble(simulation.template, settings.ensemble)
    d = simulation.replicas.dynamics
    if settings.ensemble != simulation.settings.ensemble:
        d = d.set(
            heat=jnp.zeros_like(d.heat),
            chain_position=jnp.zeros_like(d.chain_position),
            chain_momentum=jnp.zeros_like(d.chain_momentum),
            strain_momentum=jnp.zeros_like(d.strain_momentum),
        )
        if ENSEMBLES[settings.ensemble].conserves_momentum:
            # a replica that a guard stopped keeps its last good state
            running = (simulation.replicas.status == 0)[:, None, None]
            d = d.set(momentum=jnp.where(running, jax.vmap(_at_rest)(d.momentum, d.mass), d.momentum))
    dtype = str(d.position.dtype)
    kT = jnp.full_like(simulation.bath.kT, units.KELVIN * settings.temperature)
    limits = _limits(settings, np.asarray(d.cell, dtype=np.float64), dtype)
    return replace(
        simulation,
        settings=settings,
        bath=_bath(settings, kT, dtype),
        system=pytree.replace(simulation.system, skin=jnp.asarray(settings.skin, dtype=dtype), limits=limits),
        replicas=pytree.replace(simulation.replicas, dynamics=d),
    )


def advance(
    simulation: Simulation, frames: int, longest: int | None = None, heating: Float[np.ndarray, "frames"] | None = None
) -> tuple[Simulation, Frames]:
    """Run one block of ``frames × settings.frame_every`` steps; frames come back as NumPy arrays.

    longest: blocks of up to this many frames share one compiled program (default: ``frames``). heating: factor on the bath's
    temperature during each frame's interval.
    """
    longest = max(frames, longest or 0)
    factors = np.ones(longest, dtype=simulation.bath.kT.dtype)
    if heating is not None:
        factors[:frames] = heating
    while True:
        shape = simulation.shape(longest)
        replicas, recorded, need = run_block(
            simulation.network,
            shape,
            simulation.params,
            simulation.system,
            simulation.bath,
            factors,
            simulation.replicas,
            np.int32(frames),
            simulation.watch,
        )
        if fits(need, shape):
            return replace(simulation, replicas=replicas), jax.tree.map(lambda all: np.asarray(all)[:frames], recorded)
        simulation = _enlarge(simulation, need)


def to_atoms(template: Atoms, positions: Any, momenta: Any | None = None) -> Atoms:
    """Atoms at other positions (Å), with momenta (√(eV·u)) if given."""
    atoms = template.copy()
    atoms.positions = np.asarray(positions, dtype=np.float64)
    if momenta is not None:
        atoms.set_momenta(np.asarray(momenta, dtype=np.float64))
    return atoms


def _stack(potentials: Sequence[Potential], n_replicas: int, dtype: Any, shared: bool) -> tuple[Any, bool]:
    """Parameters for a block, and whether each replica has its own."""
    if shared:
        return cast_parameters(potentials[0].params, dtype), False
    first = potentials[0] if potentials else None
    if len(potentials) != n_replicas:
        raise InputError(f"{n_replicas} replicas need one potential, or {n_replicas}; got {len(potentials)}")
    assert first is not None
    for k, other in enumerate(potentials):
        if other.network != first.network or other.atomic_numbers != first.atomic_numbers:
            raise InputError(
                f"potential {k} has another architecture, settings or elements than the first; only potentials of one kind "
                "run in one program"
            )
    cast = [cast_parameters(p.params, dtype) for p in potentials]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *cast), True


def _reference_energy(potentials: Sequence[Potential], template: Atoms, n: int) -> Float[np.ndarray, "replicas"]:
    energies = np.array([p.reference_energy(template) for p in potentials], dtype=np.float64)
    return np.broadcast_to(energies, (n,)).copy()


def _bath(settings: MDSettings, kT: Any, dtype: Any) -> Bath:
    """Settings in internal units; what the ensemble does not use is 1 and is never read."""

    def value(setting: float | None, unit: float) -> Any:
        return jnp.asarray(1.0 if setting is None else setting * unit, dtype=dtype)

    fs = units.FEMTOSECOND
    return Bath(
        kT=kT,
        timestep=value(settings.timestep_fs, fs),
        friction=value(settings.friction_per_ps, 1.0 / (1000.0 * fs)),
        thermostat_time=value(settings.thermostat_time_fs, fs),
        barostat_time=value(settings.barostat_time_fs, fs),
        pressure=value(settings.pressure_gpa, units.GPA),
    )


def _limits(settings: MDSettings, cells: Float[np.ndarray, "replicas 3 3"], dtype: Any) -> Limits:
    guards = settings.guards
    stretch = np.inf if guards.max_bond_stretch is None else guards.max_bond_stretch
    volumes = np.abs(np.linalg.det(cells))
    return Limits(
        *(
            jnp.asarray(v, dtype=dtype)
            for v in (guards.max_temperature, guards.min_distance, stretch, guards.max_volume_change, volumes)
        )
    )


def _bonds(structures: Sequence[Atoms], settings: MDSettings) -> np.ndarray:
    """Bonds of each structure, padded with atoms that don't exist; none where nobody asked for the guard."""
    if settings.guards.max_bond_stretch is None:
        return np.zeros((len(structures), 0, 5), dtype=np.int32)
    found = [find_bonds(a.numbers, a.positions, a.cell.array, a.pbc) for a in structures]
    padded = np.full((len(structures), max(len(b) for b in found), 5), len(structures[0]), dtype=np.int32)
    for k, bonds in enumerate(found):
        padded[k, : len(bonds)] = bonds
    return padded


def _at_rest(momenta: Any, masses: Any) -> Any:
    """Momenta without that of the centre of mass, of the same kinetic energy per degree of freedom."""
    rest = momenta - masses * momenta.sum(axis=0) / masses.sum()
    n = momenta.shape[0]
    before, after = jnp.sum(momenta**2 / masses), jnp.sum(rest**2 / masses)
    return rest * jnp.sqrt(before / after * (n - 1) / n) if n > 1 else rest


def _bare(atoms: Atoms) -> Atoms:
    """Elements, masses, cell, charge, multiplicity: what holds for every frame. A label of the start holds for none."""
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if atoms.has("masses"):
        bare.set_masses(atoms.get_masses())
    bare.info = {name: atoms.info[name] for name in CARRIED if name in atoms.info}
    return bare


def _room(structures: Sequence[Atoms], reach: float) -> int:
    need = max(len(find_edges(a.positions, a.cell.array, a.pbc, reach).senders) for a in structures)
    return capacity(int(ROOM * need), GRANULARITY)


def _enlarge(simulation: Simulation, need: Need) -> Simulation:
    """Room for what was needed."""
    reach = np.maximum(simulation.grid.reach, np.asarray(need.reach))
    grid = Grid(
        simulation.grid.bins,
        (int(reach[0]), int(reach[1]), int(reach[2])),
        max(simulation.grid.per_bin, int(need.per_bin) + 2 if int(need.per_bin) > simulation.grid.per_bin else 0),
    )
    return replace(
        simulation,
        edges=_enlarged(simulation.edges, int(need.edges)),
        candidates=_enlarged(simulation.candidates, int(need.candidates)),
        grid=grid,
    )


def _enlarged(now: int, need: int) -> int:
    return now if need <= now else capacity(int(ROOM * need), GRANULARITY)
