"""The NequIP-type network: from edges to one energy and invariant descriptors per atom.

With the settings of a Nequix file it computes exactly what Nequix computes. It knows nothing of reference energies: those
are added on the host in float64 (``potential.py``), since one float32 step at -17 660 eV is 2 meV.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import e3nn_jax as e3nn
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxft.potential.features import Features, regroup, scalars_of
from jaxft.potential.interaction import Interaction
from jaxft.potential.linear import EquivariantLinear
from jaxft.potential.radial import bessel_basis, polynomial_cutoff


class NodeOutputs(NamedTuple):
    """What a network says of each atom.

    energies     (nodes,)  interaction energy in eV, reference energies not included
    descriptors  per layer (nodes, channels): the even scalars after that layer
    """

    energies: Float[Array, "nodes"]
    descriptors: tuple[Float[Array, "nodes channels"], ...]


@dataclass(frozen=True)
class NequIPSettings:
    """Hyperparameters; together with the parameters they are the whole network.

    cutoff in Å; scale in eV. ``embedding`` channels stand between the one-hot species and the first layer (None: the
    one-hot itself, as in Nequix); ``skip_per_species`` gives each species skip weights of its own.
    """

    n_species: int
    cutoff: float
    hidden_irreps: str
    lmax: int
    n_layers: int
    n_basis: int = 8
    radial_hidden: tuple[int, ...] = (64, 64)
    radial_init_gain: float = 4.0
    cutoff_power: float = 6.0
    average_neighbors: float = 1.0
    scale: float = 1.0
    embedding: int | None = None
    skip_per_species: bool = False
    layer_norm: bool = True

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, strings and lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "NequIPSettings":
        """The inverse of ``to_json``."""
        return cls(**{**data, "radial_hidden": tuple(data["radial_hidden"])})


class NequIP(nn.Module):
    """NequIP-type network (Batzner et al., arXiv 2101.03164; Koker et al., arXiv 2508.16067)."""

    settings: NequIPSettings

    @property
    def cutoff(self) -> float:
        """Interaction cutoff of one layer in Å."""
        return self.settings.cutoff

    @nn.compact
    def __call__(
        self,
        vectors: Float[Array, "edges 3"],
        species: Int[Array, "nodes"],
        senders: Int[Array, "edges"],
        receivers: Int[Array, "edges"],
    ) -> NodeOutputs:
        """Atomic interaction energies and descriptors from edge vectors r_j - r_i (Å, receiver i, sender j).

        An edge at or beyond the cutoff contributes exactly nothing; its length must not be zero.
        """
        s = self.settings
        lengths = jnp.linalg.norm(vectors, axis=-1)
        radial = bessel_basis(lengths, s.n_basis, s.cutoff)
        radial = radial * polynomial_cutoff(lengths, s.cutoff, s.cutoff_power)[:, None]
        harmonics = e3nn.spherical_harmonics(
            e3nn.s2_irreps(s.lmax), vectors, normalize=True, normalization="component"
        ).array

        irreps = e3nn.Irreps(f"{s.n_species}x0e")
        features: Features = (jax.nn.one_hot(species, s.n_species, dtype=vectors.dtype)[:, None, :],)
        if s.embedding is not None:
            embedded = e3nn.Irreps(f"{s.embedding}x0e")
            features = EquivariantLinear(irreps, embedded, name="embedding")(features)
            irreps = embedded

        hidden = regroup(s.hidden_irreps)
        descriptors = []
        for layer in range(s.n_layers):
            last = layer == s.n_layers - 1
            irreps_out = hidden.filter("0e") if last else hidden
            features = Interaction(
                irreps_in=irreps,
                irreps_out=irreps_out,
                lmax=s.lmax,
                radial_hidden=s.radial_hidden,
                radial_init_gain=s.radial_init_gain,
                average_neighbors=s.average_neighbors,
                n_species=s.n_species,
                skip_per_species=s.skip_per_species,
                layer_norm=s.layer_norm,
                name=f"layer_{layer}",
            )(features, species, harmonics, radial, senders, receivers)
            irreps = irreps_out
            descriptors.append(scalars_of(features, irreps))

        energies = EquivariantLinear(irreps, e3nn.Irreps("1x0e"), name="readout")(features)[0]
        return NodeOutputs(energies[:, 0, 0] * s.scale, tuple(descriptors))
