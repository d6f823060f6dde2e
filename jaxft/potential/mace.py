"""The MACE network: from edges to one energy and invariant descriptors per atom.

With the settings and parameters of a MACE-torch file (``mace_file.py``) it computes what MACE-torch computes. Each layer sums
messages over neighbors and multiplies them with themselves (``symmetric_contraction.py``); the energy is read from the scalars
after every layer. Reference energies and shifts are added on the host in float64 (``potential.py``).
"""

from dataclasses import asdict, dataclass
from typing import Any

import e3nn_jax as e3nn
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxft.potential.agnesi import AgnesiSettings, agnesi_transform
from jaxft.potential.features import Features, regroup, scalars_of
from jaxft.potential.linear import EquivariantLinear
from jaxft.potential.mace_interaction import Edges, MACEMessage
from jaxft.potential.mace_radial import mace_bessel_basis
from jaxft.potential.mace_readout import MACEReadout
from jaxft.potential.nequip import NodeOutputs
from jaxft.potential.radial import polynomial_cutoff
from jaxft.potential.symmetric_contraction import SymmetricContraction
from jaxft.potential.zbl import ZBLSettings, zbl_energy


@dataclass(frozen=True)
class MACELayerSettings:
    """One layer.

    kind               of interaction: ``agnostic``, ``density`` or ``non-linear`` (``mace_interaction.py``)
    residual           whether the message goes on as it is, instead of being mixed by weights per species
    skip               whether the features before the layer are added, through a linear map, to those after it
    irreps_edge        of the features that are sent along edges
    irreps_out         of the features after the layer
    correlation        highest degree of the products, so many neighbors are seen at once
    average_neighbors  in the training data; divides the sum over neighbors of the agnostic kind
    readout            ``linear``, ``non-linear``, ``non-linear-bias`` or ``none``: how an energy is read after this layer
    """

    kind: str
    residual: bool
    skip: bool
    irreps_edge: str
    irreps_out: str
    correlation: int
    radial_hidden: tuple[int, ...]
    average_neighbors: float
    readout: str


@dataclass(frozen=True)
class MACESettings:
    """Hyperparameters; together with the parameters they are the whole network.

    cutoff in Å, scale in eV; ``bessel_frequencies`` in 1/Å. ``cutoff_in_basis``: the envelope multiplies the radial basis,
    otherwise path weights and densities. ``products_per_species``: whether each species has product weights of its own.
    ``readout_width``, ``activation``, ``activation_gain``: of the hidden layer of a non-linear readout. ``readout_heads``:
    how many heads the readout was trained with; the one that is kept is normalised by their number.
    """

    n_species: int
    cutoff: float
    lmax: int
    channels: int
    layers: tuple[MACELayerSettings, ...]
    bessel_frequencies: tuple[float, ...]
    bessel_prefactor: float
    cutoff_power: int
    cutoff_in_basis: bool
    products_per_species: bool
    readout_width: int
    readout_heads: int
    activation: str
    activation_gain: float
    scale: float
    agnesi: AgnesiSettings | None = None
    zbl: ZBLSettings | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, strings, lists and dictionaries."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "MACESettings":
        """The inverse of ``to_json``."""
        nested = {
            "layers": tuple(MACELayerSettings(**_tuples(layer)) for layer in data["layers"]),
            "agnesi": None if data["agnesi"] is None else AgnesiSettings(**_tuples(data["agnesi"])),
            "zbl": None if data["zbl"] is None else ZBLSettings(**_tuples(data["zbl"])),
        }
        return cls(**{**_tuples(data), **nested})


class MACE(nn.Module):
    """MACE (Batatia et al., arXiv 2206.07697; foundation models: arXiv 2401.00096)."""

    settings: MACESettings

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
        edges = _edges(s, vectors, lengths, species, senders, receivers)
        table = self.param("embedding", nn.initializers.normal(1.0), (s.n_species, s.channels)).astype(vectors.dtype)
        # weights of a one-hot are divided by the root of its length
        features: Features = ((table / s.n_species**0.5)[species][:, None, :],)
        irreps = e3nn.Irreps(f"{s.channels}x0e")

        energies = jnp.zeros(species.shape[0], dtype=vectors.dtype)
        if s.zbl is not None:
            energies = energies + _repulsion(s.zbl, lengths, species, senders, receivers)
        descriptors, after = [], {}
        for number, layer in enumerate(s.layers):
            features, irreps = (
                _MACELayer(s, number, irreps, name=f"layer_{number}")(features, species, edges),
                regroup(layer.irreps_out),
            )
            descriptors.append(scalars_of(features, irreps))
            if layer.readout != "none":
                after[f"layer_{number}"] = (layer.readout, descriptors[-1])
        readout = MACEReadout(s.readout_width, s.activation, s.activation_gain, s.readout_heads, name="readout")
        energies = energies + readout(after)
        return NodeOutputs(energies * s.scale, tuple(descriptors))


class _MACELayer(nn.Module):
    """Messages, their products, and the skip connection."""

    settings: MACESettings
    number: int
    irreps_in: e3nn.Irreps

    @nn.compact
    def __call__(self, features: Features, species: Int[Array, "nodes"], edges: Edges) -> Features:
        s, layer = self.settings, self.settings.layers[self.number]
        irreps_out = regroup(layer.irreps_out)
        message = MACEMessage(
            kind=layer.kind,
            residual=layer.residual,
            irreps_in=self.irreps_in,
            irreps_edge=regroup(layer.irreps_edge),
            channels=s.channels,
            lmax=s.lmax,
            radial_hidden=layer.radial_hidden,
            average_neighbors=layer.average_neighbors,
            n_species=s.n_species,
            name="message",
        )(features, species, edges)
        products = SymmetricContraction(
            s.lmax, layer.correlation, irreps_out, s.n_species if s.products_per_species else None, name="products"
        )(message, species)
        after = EquivariantLinear(irreps_out, irreps_out, name="linear")(products)
        if not layer.skip:
            return after
        if layer.kind == "non-linear":
            skipped = EquivariantLinear(self.irreps_in, irreps_out, name="skip")(features)
        else:
            scaled = tuple(x / s.n_species**0.5 for x in features)
            skipped = EquivariantLinear(self.irreps_in, irreps_out, s.n_species, name="skip")(scaled, species)
        return tuple(x + y for x, y in zip(after, skipped, strict=True))


def _edges(
    s: MACESettings,
    vectors: Float[Array, "edges 3"],
    lengths: Float[Array, "edges"],
    species: Int[Array, "nodes"],
    senders: Int[Array, "edges"],
    receivers: Int[Array, "edges"],
) -> Edges:
    envelope = polynomial_cutoff(lengths, s.cutoff, s.cutoff_power)
    # the transform changes what the basis sees; the cutoff keeps to true lengths
    seen = lengths
    if s.agnesi is not None:
        radii = jnp.asarray(s.agnesi.radii, dtype=lengths.dtype)
        touching = 0.5 * (radii[species[senders]] + radii[species[receivers]])
        seen = agnesi_transform(lengths, touching, s.agnesi)
    radial = mace_bessel_basis(seen, s.bessel_frequencies, s.bessel_prefactor)
    return Edges(
        # MACE's edges point the other way
        harmonics=e3nn.spherical_harmonics(
            e3nn.s2_irreps(s.lmax), -vectors, normalize=True, normalization="component"
        ).array,
        radial=radial * envelope[:, None] if s.cutoff_in_basis else radial,
        envelope=None if s.cutoff_in_basis else envelope,
        inside=jnp.where(lengths < s.cutoff, 1.0, 0.0).astype(lengths.dtype),
        senders=senders,
        receivers=receivers,
    )


def _repulsion(
    zbl: ZBLSettings,
    lengths: Float[Array, "edges"],
    species: Int[Array, "nodes"],
    senders: Int[Array, "edges"],
    receivers: Int[Array, "edges"],
) -> Float[Array, "nodes"]:
    charges = jnp.asarray(zbl.charges, dtype=lengths.dtype)
    radii = jnp.asarray(zbl.radii, dtype=lengths.dtype)
    i, j = species[receivers], species[senders]
    per_edge = zbl_energy(lengths, (charges[i], charges[j]), radii[i] + radii[j], zbl)
    return jax.ops.segment_sum(per_edge, receivers, species.shape[0])


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    """Lists of JSON as the tuples that settings hold, so that they can be hashed."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
