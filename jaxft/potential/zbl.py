"""Ziegler-Biersack-Littmark repulsion: screened nuclear repulsion that takes over where two atoms overlap."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxft.potential.radial import polynomial_cutoff

SCREENING_EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)
BOHR = 0.529
"""Å, as many digits as the potentials that were trained with it used."""
COULOMB = 14.3996
"""e²/(4πε₀) in eV·Å."""


@dataclass(frozen=True)
class ZBLSettings:
    """Constants of the repulsion; nuclear charge and covalent radius (Å) of each species.

    ``exponent`` and ``prefactor`` make the screening length, ``coefficients`` weigh the four exponentials, and
    ``cutoff_power`` is the p of the envelope that ends the repulsion at the sum of the radii.
    """

    coefficients: tuple[float, ...]
    exponent: float
    prefactor: float
    cutoff_power: int
    charges: tuple[int, ...]
    radii: tuple[float, ...]


def zbl_energy(
    r: Float[Array, "edges"],
    charges: tuple[Float[Array, "edges"], Float[Array, "edges"]],
    reach: Float[Array, "edges"],
    settings: ZBLSettings,
) -> Float[Array, "edges"]:
    """Energy of each directed edge in eV: half of the pair's, so that both directions make the whole.

    ½ (14.3996 Z_i Z_j / r) φ(r / a) u(r / reach),   a = prefactor · 0.529 Å / (Z_i^x + Z_j^x),
    with φ a sum of four exponentials and u the polynomial cutoff. r, reach (R_i + R_j) in Å.
    Source: Ziegler, Biersack & Littmark, The Stopping and Range of Ions in Matter (1985).
    """
    z_i, z_j = charges
    a = settings.prefactor * BOHR / (z_i**settings.exponent + z_j**settings.exponent)
    screening = sum(c * jnp.exp(-x * r / a) for c, x in zip(settings.coefficients, SCREENING_EXPONENTS, strict=True))
    return 0.5 * COULOMB * z_i * z_j / r * screening * polynomial_cutoff(r / reach, 1.0, settings.cutoff_power)
