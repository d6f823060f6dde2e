"""Agnesi transform: lengths of edges on a scale of their own for each pair of elements, from 1 (touching) towards 0 (far)."""

from dataclasses import dataclass

from jaxtyping import Array, Float


@dataclass(frozen=True)
class AgnesiSettings:
    """Constants of the transform, and the covalent radius (Å) of each species."""

    a: float
    q: float
    p: float
    radii: tuple[float, ...]


def agnesi_transform(
    r: Float[Array, "edges"], touching: Float[Array, "edges"], settings: AgnesiSettings
) -> Float[Array, "edges"]:
    """1 / (1 + a t^q / (1 + t^(q-p))) with t = r / touching, dimensionless, between 0 and 1.

    r: lengths in Å, greater than zero. touching: mean covalent radius of the two atoms, (R_i + R_j) / 2, in Å.
    Source: Witt et al., J. Chem. Phys. 159, 164101 (2023), section on radial transformations (ACEpotentials.jl).
    """
    t = r / touching
    return 1.0 / (1.0 + settings.a * t**settings.q / (1.0 + t ** (settings.q - settings.p)))
