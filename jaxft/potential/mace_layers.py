"""One layer of a MACE-torch model: from the modules of its file to settings and parameters of ours.

Weights of products are taken over from the couplings of the file (U matrices) to the basis of ``symmetric_basis.py``.
"""

from typing import Any

import e3nn_jax as e3nn
import numpy as np

from jaxft.errors import InputError
from jaxft.potential.convolution import convolution_paths
from jaxft.potential.features import regroup
from jaxft.potential.gate import gate_irreps
from jaxft.potential.inert_pickle import Bag
from jaxft.potential.mace_interaction import AGNOSTIC, DENSITY, NON_LINEAR
from jaxft.potential.mace_radial import LAYER_NORM_EPSILON, SIGMOID_GAIN, SILU_GAIN
from jaxft.potential.symmetric_basis import fold, symmetric_couplings
from jaxft.potential.torch_e3nn import (
    TOLERANCE,
    check_activation,
    check_convolution,
    layer_sizes,
    read_linear,
    read_normalized_mlp,
    read_species_linear,
)
from jaxft.potential.torch_module import TorchModule

BLOCKS = "mace.modules.blocks."
INTERACTIONS = {
    f"{BLOCKS}RealAgnosticInteractionBlock": (AGNOSTIC, False),
    f"{BLOCKS}RealAgnosticResidualInteractionBlock": (AGNOSTIC, True),
    f"{BLOCKS}RealAgnosticDensityInteractionBlock": (DENSITY, False),
    f"{BLOCKS}RealAgnosticDensityResidualInteractionBlock": (DENSITY, True),
    f"{BLOCKS}RealAgnosticResidualNonLinearInteractionBlock": (NON_LINEAR, True),
}
GATES = ("mace.modules.gate.GatedEquivariantBlock", "e3nn.nn._gate.Gate")
"""The same function: older versions of mace took that of e3nn."""

MAX_CORRELATION = 5
"""The number of orderings of the factors, which grows as a factorial, is walked through at import."""


def read_layer(
    interaction: TorchModule,
    product: TorchModule,
    irreps_in: e3nn.Irreps,
    n_species: int,
    channels: int,
    lmax: int,
    n_basis: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings (fields of MACELayerSettings but the readout) and parameters of a layer."""
    if interaction.bag.kind not in INTERACTIONS:
        known = ", ".join(name.removeprefix(BLOCKS) for name in INTERACTIONS)
        raise interaction.error(
            f"{interaction.name} is a {interaction.bag.kind}, which jaxft does not support; it supports {known}"
        )
    for module in (interaction, product):
        config = module.bag.get("cueq_config")
        if config is not None and not (isinstance(config, Bag) and config.get("enabled") is False):
            raise module.error(
                f"{module.name} was saved for cuequivariance; convert the model with mace_cueq_to_e3nn first"
            )
    kind, residual = INTERACTIONS[interaction.bag.kind]
    irreps_out = product.child("linear").irreps("irreps_out")
    up = interaction.child("linear_up")
    edge = up.irreps("irreps_out")
    target = e3nn.Irreps([(channels, ir) for _, ir in e3nn.s2_irreps(lmax)])
    for name, found, expected in (
        ("target_irreps", interaction.irreps("target_irreps"), target),
        ("linear_up.irreps_in", up.irreps("irreps_in"), irreps_in),
        ("linear_up.irreps_out", edge, regroup(edge)),
        ("hidden_irreps", irreps_out, e3nn.Irreps([(channels, ir) for _, ir in regroup(irreps_out)])),
    ):
        if found != expected:
            raise interaction.error(f"{interaction.full(name)} are {found}, expected {expected}")
    paths = convolution_paths(edge, lmax, target)
    check_convolution(interaction.child("conv_tp"), paths)
    skip = residual and product.value("use_sc", bool, True)
    n_sets = 1 if product.value("use_agnostic_product", bool, False) else n_species
    correlation, products = _products(product, lmax, irreps_out, (n_sets, channels))
    n_weights = sum(path.channels for path in paths)

    message: dict[str, Any] = {"linear_up": read_linear(up)}
    arrays: dict[str, Any] = {"message": message, "products": products, "linear": read_linear(product.child("linear"))}
    if kind == NON_LINEAR:
        width = irreps_in.count("0e")
        hidden, message["radial"] = _layer_norm_mlp(
            interaction.child("conv_tp_weights", "mace.modules.radial.RadialMLP"), n_basis + 2 * width, n_weights
        )
        message |= _non_linear(interaction, edge, target, n_species, width, n_basis)
        if skip:
            arrays["skip"] = read_linear(interaction.child("skip_tp"), irreps_in, irreps_out)
    else:
        hidden, message["radial"] = read_normalized_mlp(interaction.child("conv_tp_weights"), n_basis, n_weights)
        linear = interaction.child("linear")
        if linear.irreps("irreps_out") != target:
            raise linear.error(f"{linear.name}.irreps_out are {linear.irreps('irreps_out')}, expected {target}")
        message["linear"] = read_linear(linear)
        if kind == DENSITY:
            _, message["density"] = read_normalized_mlp(interaction.child("density_fn"), n_basis, 1)
        if not residual:
            message["by_species"] = read_species_linear(interaction.child("skip_tp"), target, target, n_species)
        elif skip:
            arrays["skip"] = read_species_linear(interaction.child("skip_tp"), irreps_in, irreps_out, n_species)
    settings = {
        "kind": kind,
        "residual": residual,
        "skip": skip,
        "irreps_edge": str(edge),
        "irreps_out": str(irreps_out),
        "correlation": correlation,
        "radial_hidden": hidden,
        "average_neighbors": interaction.positive("avg_num_neighbors") if kind == AGNOSTIC else 1.0,
    }
    return settings, arrays


def _layer_norm_mlp(net: TorchModule, inputs: int, outputs: int) -> tuple[tuple[int, ...], dict[str, np.ndarray]]:
    """The same for MACE's RadialMLP: linear, layer norm and silu in turn, with biases."""
    sizes = layer_sizes(net, inputs, outputs)
    modules = net.child("net", "torch.nn.modules.container.Sequential")
    arrays = {}
    for k in range(len(sizes) - 1):
        linear = modules.child(str(3 * k), "torch.nn.modules.linear.Linear")
        arrays[f"w{k}"] = np.ascontiguousarray(linear.array("weight", (sizes[k + 1], sizes[k])).T)
        arrays[f"b{k}"] = linear.array("bias", (sizes[k + 1],))
        if k < len(sizes) - 2:
            norm = modules.child(str(3 * k + 1), "torch.nn.modules.normalization.LayerNorm")
            modules.child(str(3 * k + 2), "torch.nn.modules.activation.SiLU")
            if norm.real("eps") != LAYER_NORM_EPSILON:
                raise norm.error(f"{norm.name}.eps is {norm.real('eps')}, expected {LAYER_NORM_EPSILON}")
            arrays[f"norm_scale{k}"] = norm.array("weight", (sizes[k + 1],))
            arrays[f"norm_shift{k}"] = norm.array("bias", (sizes[k + 1],))
    return tuple(sizes[1:-1]), arrays


def _non_linear(
    interaction: TorchModule, edge: e3nn.Irreps, target: e3nn.Irreps, n_species: int, width: int, n_basis: int
) -> dict[str, Any]:
    """Parameters of the message of a non-linear block, all but the path weights."""
    species, scalars = e3nn.Irreps(f"{n_species}x0e"), e3nn.Irreps(f"{width}x0e")
    before_gate = gate_irreps(target)
    _check_gate(interaction.child("equivariant_nonlin", *GATES))
    density = interaction.child("density_fn", "mace.modules.radial.RadialMLP")
    hidden, density_arrays = _layer_norm_mlp(density, n_basis + 2 * width, 1)
    if hidden != (64,):
        raise density.error(f"{density.name} has hidden layers {hidden}, expected (64,)")
    linear_1 = interaction.child("linear_1")
    return {
        "source_embedding": read_linear(interaction.child("source_embedding"), species, scalars)["0e"],
        "target_embedding": read_linear(interaction.child("target_embedding"), species, scalars)["0e"],
        "density": density_arrays,
        "alpha": interaction.array("alpha", ()),
        "beta": interaction.array("beta", ()),
        "linear_1": read_linear(linear_1, irreps_out=before_gate),
        "linear_res": read_linear(interaction.child("linear_res"), edge, before_gate),
        "linear_2": read_linear(interaction.child("linear_2"), target, target),
    }


def _check_gate(gate: TorchModule) -> None:
    """Raise InputError unless scalars pass silu, and gates the logistic function, both normalised as ours."""
    if gate.bag.kind == GATES[0]:
        check_activation(gate, "_act_scalar", gate.real("_scalar_cst"), "silu", SILU_GAIN)
        if gate.bag.get("_act_gate") is not None:
            check_activation(gate, "_act_gate", gate.real("_gate_cst"), "sigmoid", SIGMOID_GAIN)
        return
    for name, wanted, expected in (("act_scalars", "silu", SILU_GAIN), ("act_gates", "sigmoid", SIGMOID_GAIN)):
        for act in gate.child(name, "e3nn.nn._activation.Activation").children("acts"):
            check_activation(act, "f", act.real("cst"), wanted, expected)


def _products(
    product: TorchModule, lmax: int, irreps_out: e3nn.Irreps, sizes: tuple[int, int]
) -> tuple[int, dict[str, np.ndarray]]:
    """Correlation order, and the weights of the symmetric contraction in our basis: (sets, paths, channels) per irrep.

    sizes: how many sets of weights (one for each species, or one for all) and channels there should be.
    """
    contraction = product.child("symmetric_contractions", "mace.modules.symmetric_contraction.SymmetricContraction")
    parts = contraction.children("contractions")
    if len(parts) != len(irreps_out):
        raise contraction.error(f"{contraction.name} has {len(parts)} parts, expected one for each of {irreps_out}")
    correlations, weights = set(), {}
    for part, (_, ir) in zip(parts, irreps_out, strict=True):
        correlation = 0
        while part.has(f"U_matrix_{correlation + 1}"):
            correlation += 1
        if not 1 <= correlation <= MAX_CORRELATION:
            raise part.error(
                f"{part.name} has U_matrix_1 to U_matrix_{correlation}; expected at least one and at most {MAX_CORRELATION}"
            )
        correlations.add(correlation)
        degrees = range(1, correlation + 1)
        # all of them are looked at before the first costs any work
        matrices = [_coupling(part, degree, lmax, ir) for degree in degrees]
        found = [
            _product_weights(part, degree, correlation, lmax, ir, sizes, matrix)
            for degree, matrix in zip(degrees, matrices, strict=True)
        ]
        weights[str(ir)] = np.concatenate(found, axis=1)
    if len(correlations) != 1:
        raise contraction.error(
            f"{contraction.name} has correlations {sorted(correlations)}, expected one for all irreps"
        )
    return correlations.pop(), weights


MAX_COMPONENTS = 1 << 20
"""Of a coupling: five factors up to l = 3. Finding the couplings of more would take hours."""


def _coupling(part: TorchModule, degree: int, lmax: int, ir: e3nn.Irrep) -> np.ndarray:
    """The file's couplings of one degree, (2L+1, components, ..., paths)."""
    matrix = part.array(f"U_matrix_{degree}")
    matrix = matrix[None] if ir.l == 0 and matrix.ndim == degree + 1 else matrix
    components = (lmax + 1) ** 2
    if matrix.shape[:-1] != (2 * ir.l + 1, *(components,) * degree):
        raise part.error(f"{part.name}.U_matrix_{degree} has shape {matrix.shape}, expected {components} components")
    if matrix.shape[-1] == 0 or components**degree > MAX_COMPONENTS:
        raise part.error(
            f"{part.name}.U_matrix_{degree} couples {degree} factors of {components} components by {matrix.shape[-1]} paths, which "
            "jaxft does not support"
        )
    return matrix


def _product_weights(
    part: TorchModule,
    degree: int,
    correlation: int,
    lmax: int,
    ir: e3nn.Irrep,
    sizes: tuple[int, int],
    matrix: np.ndarray,
) -> np.ndarray:
    """Weights of one degree: those of the file, (sets, its paths, channels), taken over from its couplings U to ours."""
    if degree == correlation:
        weights, name = part.array("weights_max"), "weights_max"
    else:
        # the file counts them downwards
        name = f"weights.{correlation - 1 - degree}"
        weights = part.child("weights").array(str(correlation - 1 - degree))
    expected = (sizes[0], matrix.shape[-1], sizes[1])
    if weights.shape != expected:
        raise part.error(f"{part.name}.{name} has shape {weights.shape}, expected {expected}")
    coefficients, left = fold(symmetric_couplings(lmax, degree, ir), matrix)
    if left > TOLERANCE:
        raise InputError(
            f"{part.file.path}: {part.name}.U_matrix_{degree} is no equivariant coupling (a share of {left:.1e} is not); "
            "not supported"
        )
    return np.einsum("qk,zkc->zqc", coefficients, weights)
