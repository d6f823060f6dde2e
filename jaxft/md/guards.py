"""Guards: what stops a replica. Inside compiled code a guard is a bit in a status; the host turns it into words.

A bit stops its replica at the last good state, while the others go on unchanged. Arrays that were too small for the
edges are no guard: nothing physical happened, and the host does the block again with larger ones (``simulation.py``).
"""

from dataclasses import dataclass
from enum import IntFlag

import jax.numpy as jnp
import numpy as np
from ase.data import covalent_radii
from jaxtyping import Array, Float, Int


class Status(IntFlag):
    """Why a replica stopped; 0 while it runs."""

    RUNNING = 0
    NOT_FINITE = 1
    TOO_HOT = 2
    TOO_CLOSE = 4


REASONS = {
    Status.NOT_FINITE: "energy, force or position not finite",
    Status.TOO_HOT: "runaway temperature",
    Status.TOO_CLOSE: "two atoms too close",
}


@dataclass(frozen=True)
class GuardSettings:
    """Limits beyond which a replica is stopped.

    max_temperature in K (kinetic, of the moment); min_distance as a fraction of the sum of covalent radii.
    """

    max_temperature: float = 5000.0
    min_distance: float = 0.5


def describe(status: int) -> str:
    """The reasons in a status, in words."""
    return "; ".join(text for bit, text in REASONS.items() if status & bit) or "running"


def radii_of(numbers: Int[np.ndarray, "atoms"]) -> Float[np.ndarray, "atoms"]:
    """Covalent radii in Å (Cordero et al., Dalton Trans. 2008, 2832; as ASE tabulates them)."""
    return covalent_radii[np.asarray(numbers)]


def status_of(
    energy: Float[Array, ""],
    forces: Float[Array, "atoms 3"],
    positions: Float[Array, "atoms 3"],
    temperature: Float[Array, ""],
    closest: Float[Array, ""],
    max_temperature: Float[Array, ""] | float,
    min_distance: Float[Array, ""] | float,
) -> Int[Array, ""]:
    """Status of a state. closest: shortest edge relative to the sum of its covalent radii; temperature in K."""
    finite = jnp.isfinite(energy) & jnp.isfinite(forces).all() & jnp.isfinite(positions).all()
    status = jnp.where(finite, 0, int(Status.NOT_FINITE))
    # written as "not below" so that a NaN temperature counts as too hot
    status |= jnp.where(temperature < max_temperature, 0, int(Status.TOO_HOT))
    status |= jnp.where(closest >= min_distance, 0, int(Status.TOO_CLOSE))
    return status.astype(jnp.int32)
