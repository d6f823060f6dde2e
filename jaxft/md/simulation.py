"""A simulation in progress: R replicas of one composition under one potential, advanced block by block from the host.

``start`` makes it, ``advance`` returns it some steps later together with the frames, ``under`` puts new weights under
it. Nothing is changed in place. A block whose arrays were too small is thrown away and done again with larger ones, so
results never contain a step with missing edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from flax import linen as nn
from jaxtyping import PRNGKeyArray

from jaxft import units
from jaxft.errors import InputError
from jaxft.md import langevin
from jaxft.md.block import Drive, Frames, Replicas, Shape, System, run_block
from jaxft.md.guards import radii_of
from jaxft.md.settings import MDSettings
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.batch import capacity
from jaxft.structures.cell import complete_cell, image_stencil
from jaxft.structures.checks import check_structure
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
    """Everything that the next block needs. ``reference_energy`` (eV) is added to network energies on the host."""

    network: nn.Module
    params: Any
    reference_energy: float
    template: Atoms
    settings: MDSettings
    system: System
    drive: Drive
    replicas: Replicas
    edges: int
    candidates: int

    @property
    def n_replicas(self) -> int:
        """How many replicas run side by side."""
        return int(self.replicas.status.shape[0])

    @property
    def status(self) -> np.ndarray:
        """Status of each replica (``guards.Status``)."""
        return np.asarray(self.replicas.status)

    def atoms(self, replica: int) -> Atoms:
        """The last good state of a replica, with momenta."""
        dynamics = self.replicas.dynamics
        return to_atoms(self.template, dynamics.position[replica], dynamics.momentum[replica])


def start(
    potential: Potential,
    structures: Sequence[Atoms],
    settings: MDSettings,
    key: PRNGKeyArray,
    dtype: str = "float32",
) -> Simulation:
    """Replicas at the given positions with fresh momenta; replica r draws from ``fold_in(key, r)``.

    Raises InputError for unusable structures, elements that the potential lacks, constraints (dynamics would not heed
    them), structures that differ in composition, order of atoms, masses, cell or periodicity, and float64 where JAX has
    it off.
    """
    _check(structures)
    params = cast_parameters(potential.params, dtype)
    template = structures[0]
    reach = potential.cutoff + settings.skin
    cell = complete_cell(template.cell.array, template.pbc, template.positions, 4.0 * reach)
    kT = jnp.full(len(structures), units.KELVIN * settings.temperature, dtype=dtype)
    masses = jnp.asarray(template.get_masses(), dtype=dtype)
    positions = jnp.asarray(np.stack([a.positions for a in structures]), dtype=dtype)
    keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(len(structures)))
    dynamics = jax.vmap(langevin.init, in_axes=(0, 0, None, 0))(keys, positions, masses, kT)
    zeros = jnp.zeros(len(structures), dtype=jnp.int32)
    return Simulation(
        network=potential.network,
        params=params,
        reference_energy=potential.reference_energy(template),
        template=_bare(template),
        settings=settings,
        system=System(
            species=jnp.asarray(species_of(template.numbers, potential.atomic_numbers)),
            radii=jnp.asarray(radii_of(template.numbers), dtype=dtype),
            cell=jnp.asarray(cell, dtype=dtype),
            pbc=jnp.asarray(template.pbc),
            stencil=jnp.asarray(image_stencil(cell, template.pbc, reach), dtype=jnp.int32),
            skin=jnp.asarray(settings.skin, dtype=dtype),
            max_temperature=jnp.asarray(settings.guards.max_temperature, dtype=dtype),
            min_distance=jnp.asarray(settings.guards.min_distance, dtype=dtype),
        ),
        drive=Drive(
            kT=kT,
            timestep=jnp.asarray(settings.timestep_fs * units.FEMTOSECOND, dtype=dtype),
            friction=jnp.asarray(settings.friction_per_ps / (1000.0 * units.FEMTOSECOND), dtype=dtype),
        ),
        replicas=Replicas(dynamics, jnp.zeros(len(structures), dtype=dtype), zeros, zeros),
        edges=_room(structures, potential.cutoff),
        candidates=_room(structures, reach),
    )


def under(simulation: Simulation, potential: Potential) -> Simulation:
    """The same state under other weights of the same network; nothing is compiled again."""
    if potential.network != simulation.network:
        raise InputError("a trajectory can only go on under a potential of the same architecture and settings")
    return replace(
        simulation,
        params=cast_parameters(potential.params, simulation.replicas.dynamics.position.dtype),
        reference_energy=potential.reference_energy(simulation.template),
    )


def at_temperature(simulation: Simulation, temperature: float) -> Simulation:
    """The same state coupled to a bath of another temperature (K)."""
    kT = jnp.full_like(simulation.drive.kT, units.KELVIN * temperature)
    return replace(simulation, drive=Drive(kT, simulation.drive.timestep, simulation.drive.friction))


def advance(simulation: Simulation, frames: int, longest: int | None = None) -> tuple[Simulation, Frames]:
    """Run one block of ``frames × settings.frame_every`` steps; frames come back as NumPy arrays.

    longest: blocks of up to this many frames share one compiled program (default: ``frames``).
    """
    longest = max(frames, longest or 0)
    while True:
        shape = Shape(simulation.edges, simulation.candidates, longest, simulation.settings.frame_every)
        replicas, recorded, most = run_block(
            simulation.network,
            shape,
            simulation.params,
            simulation.system,
            simulation.drive,
            simulation.replicas,
            np.int32(frames),
        )
        edges, candidates = (int(n) for n in most)
        if edges <= shape.edges and candidates <= shape.candidates:
            return replace(simulation, replicas=replicas), jax.tree.map(lambda all: np.asarray(all)[:frames], recorded)
        simulation = replace(
            simulation,
            edges=_enlarged(simulation.edges, edges),
            candidates=_enlarged(simulation.candidates, candidates),
        )


def to_atoms(template: Atoms, positions: Any, momenta: Any | None = None) -> Atoms:
    """Atoms at other positions (Å), with momenta (√(eV·u)) if given."""
    atoms = template.copy()
    atoms.positions = np.asarray(positions, dtype=np.float64)
    if momenta is not None:
        atoms.set_momenta(np.asarray(momenta, dtype=np.float64))
    return atoms


def _check(structures: Sequence[Atoms]) -> None:
    if not structures:
        raise InputError("a simulation needs at least one starting structure, got none")
    template = structures[0]
    for k, atoms in enumerate(structures):
        check_structure(atoms, f"starting structure {k}")
        if atoms.constraints:
            raise InputError(
                f"starting structure {k} has constraints ({type(atoms.constraints[0]).__name__}), which dynamics would "
                "not heed; remove them"
            )
        if not (
            np.array_equal(atoms.numbers, template.numbers)
            and np.array_equal(atoms.get_masses(), template.get_masses())
            and np.allclose(atoms.cell.array, template.cell.array, atol=1e-10)
            and np.array_equal(atoms.pbc, template.pbc)
        ):
            raise InputError(
                f"starting structure {k} differs from the first in atoms, order, masses, cell or periodicity "
                f"({atoms.get_chemical_formula()} and {template.get_chemical_formula()}); replicas must share all five"
            )


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


def _enlarged(now: int, need: int) -> int:
    return now if need <= now else capacity(int(ROOM * need), GRANULARITY)
