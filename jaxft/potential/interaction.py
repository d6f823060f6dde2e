"""One NequIP-type interaction layer: linear, convolution, linear, skip connection, norm, gate."""

import e3nn_jax as e3nn
import flax.linen as nn
from jaxtyping import Array, Float, Int

from jaxft.potential.convolution import convolution_paths, edge_convolution, output_irreps
from jaxft.potential.features import Features
from jaxft.potential.gate import gate, gate_irreps
from jaxft.potential.layer_norm import EquivariantRMSNorm
from jaxft.potential.linear import EquivariantLinear
from jaxft.potential.radial import RadialMLP


class Interaction(nn.Module):
    """h' = gate(norm(W2 (Σ_j m_ij) / √n̄ + W_skip h)), m_ij from W1 h_j (see ``convolution.py``).

    n̄ is the average number of neighbors in the training data, which keeps the sum at unit variance.
    Source: Batzner et al. (arXiv 2101.03164); Koker et al., Nequix (arXiv 2508.16067).
    """

    irreps_in: e3nn.Irreps
    irreps_out: e3nn.Irreps
    lmax: int
    radial_hidden: tuple[int, ...]
    radial_init_gain: float
    average_neighbors: float
    n_species: int
    skip_per_species: bool
    layer_norm: bool

    @nn.compact
    def __call__(
        self,
        features: Features,
        species: Int[Array, "nodes"],
        harmonics: Float[Array, "edges harmonics"],
        radial: Float[Array, "edges n_basis"],
        senders: Int[Array, "edges"],
        receivers: Int[Array, "edges"],
    ) -> Features:
        """Return the node features after one round of messages."""
        paths = convolution_paths(self.irreps_in, self.lmax, self.irreps_out)
        before_gate = gate_irreps(self.irreps_out)
        n_weights = sum(path.channels for path in paths)

        messages = EquivariantLinear(self.irreps_in, self.irreps_in, name="linear_before")(features)
        weights = RadialMLP((*self.radial_hidden, n_weights), self.radial_init_gain, name="radial")(radial)
        gathered = edge_convolution(messages, harmonics, weights, senders, receivers, self.irreps_in, paths)
        gathered = tuple(x / self.average_neighbors**0.5 for x in gathered)
        update = EquivariantLinear(output_irreps(paths), before_gate, name="linear_after")(gathered)

        n_species = self.n_species if self.skip_per_species else None
        skip = EquivariantLinear(self.irreps_in, before_gate, n_species, name="skip")(features, species)
        features = tuple(a + b for a, b in zip(update, skip, strict=True))
        if self.layer_norm:
            features = EquivariantRMSNorm(before_gate, name="norm")(features)
        return gate(features, self.irreps_out)
