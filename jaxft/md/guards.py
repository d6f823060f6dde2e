"""Guards: what stops a replica. Inside compiled code a guard is a bit in a status; the host turns it into words.

A bit stops its replica at the last good state, while the others go on unchanged. Arrays that were too small for the
edges are no guard: nothing physical happened, and the host does the block again with larger ones (``simulation.py``).
"""

from dataclasses import dataclass
from enum import IntFlag

import jax.numpy as jnp
import numpy as np
from ase.data import covalent_radii
from jaxtyping import Array, Bool, Float, Int

from jaxft.errors import InputError
from jaxft.pytree import pytree


class Status(IntFlag):
    """Why a replica stopped; 0 while it runs."""

    RUNNING = 0
    NOT_FINITE = 1
    TOO_HOT = 2
    TOO_CLOSE = 4
    BOND_STRETCHED = 8
    CELL_RUNAWAY = 16
    EXTRAPOLATING = 32


REASONS = {
    Status.NOT_FINITE: "energy, force or position not finite",
    Status.TOO_HOT: "runaway temperature",
    Status.TOO_CLOSE: "two atoms too close",
    Status.BOND_STRETCHED: "a bond stretched beyond its limit",
    Status.CELL_RUNAWAY: "the cell shrank or grew beyond its limit",
    Status.EXTRAPOLATING: "an atom unlike any in the training set (Q over its limit)",
}


@dataclass(frozen=True)
class GuardSettings:
    """Limits beyond which a replica is stopped.

    max_temperature    K (kinetic, of the moment)
    min_distance       as a fraction of the sum of covalent radii
    max_bond_stretch   likewise: bonds of the starting structure may not get longer than this; None: bonds may break
    max_volume_change  factor by which the volume may shrink or grow, where there is a barostat
    """

    max_temperature: float = 5000.0
    min_distance: float = 0.5
    max_bond_stretch: float | None = None
    max_volume_change: float = 2.0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("max_temperature", self.max_temperature, 0.0),
            ("min_distance", self.min_distance, None),
            ("max_bond_stretch", self.max_bond_stretch, 0.0),
            ("max_volume_change", self.max_volume_change, 1.0),
        ):
            if value is not None and not (value >= 0.0 if least is None else value > least):
                expected = "0 or more" if least is None else f"more than {least:g}"
                raise InputError(f"md.{name} is {value}, expected {expected}")


@pytree
class Limits:
    """The same as arrays; ``volume`` is that of the start in Å³ (per replica in a simulation)."""

    max_temperature: Float[Array, ""]
    min_distance: Float[Array, ""]
    max_bond_stretch: Float[Array, ""]
    max_volume_change: Float[Array, ""]
    volume: Float[Array, "*replicas"]


@pytree
class Met:
    """What a step met, as the guards want it.

    energy eV; temperature K; closest and longest: shortest edge and longest bond over the sum of covalent radii; volume Å³
    """

    energy: Float[Array, ""]
    forces: Float[Array, "atoms 3"]
    positions: Float[Array, "atoms 3"]
    temperature: Float[Array, ""]
    closest: Float[Array, ""]
    longest: Float[Array, ""]
    volume: Float[Array, ""]


def describe(status: int) -> str:
    """The reasons in a status, in words."""
    return "; ".join(text for bit, text in REASONS.items() if status & bit) or "running"


def radii_of(numbers: Int[np.ndarray, "atoms"]) -> Float[np.ndarray, "atoms"]:
    """Covalent radii in Å (Cordero et al., Dalton Trans. 2008, 2832; as ASE tabulates them)."""
    return covalent_radii[np.asarray(numbers)]


def status_of(met: Met, limits: Limits) -> Int[Array, ""]:
    """Status of a state."""
    finite = jnp.isfinite(met.energy) & jnp.isfinite(met.forces).all() & jnp.isfinite(met.positions).all()
    change = met.volume / limits.volume
    # written as what must hold, so that a NaN counts as broken
    must_hold: dict[Status, Bool[Array, ""]] = {
        Status.NOT_FINITE: finite,
        Status.TOO_HOT: met.temperature < limits.max_temperature,
        Status.TOO_CLOSE: met.closest >= limits.min_distance,
        Status.BOND_STRETCHED: met.longest <= limits.max_bond_stretch,
        Status.CELL_RUNAWAY: jnp.maximum(change, 1.0 / change) <= limits.max_volume_change,
    }
    status = jnp.int32(0)
    for bit, holds in must_hold.items():
        status |= jnp.where(holds, 0, int(bit)).astype(jnp.int32)
    return status
