"""Modules of e3nn for torch, as arrays that our layers take: linear maps, products with a one-hot, perceptrons.

Every normalisation that our layers take for granted (path weights, constants of activations) is compared with what the file
says, so that a file made under other conventions is refused and not computed wrongly.
"""

from collections.abc import Sequence

import e3nn_jax as e3nn
import numpy as np

from jaxft.potential.convolution import Path
from jaxft.potential.inert_pickle import Bag, Name
from jaxft.potential.mace_radial import SILU_GAIN
from jaxft.potential.torch_module import TorchModule

LINEAR = "e3nn.o3._linear.Linear"
TOLERANCE = 1e-5
"""Relative: models saved in float32 hold their constants to seven digits."""


def read_linear(
    linear: TorchModule,
    irreps_in: e3nn.Irreps | None = None,
    irreps_out: e3nn.Irreps | None = None,
    biases: bool = False,
) -> dict[str, np.ndarray]:
    """Weights of e3nn's Linear as one (channels in, channels out) matrix for each irrep.

    Blocks of the same irrep in the input stand one after another. Raises InputError where irreps are not those wanted,
    the normalisation is not 1/√(channels in), or there are biases that were not asked for.
    """
    if linear.bag.kind != LINEAR:
        raise linear.error(
            f"{linear.name} is a {linear.bag.kind}, which jaxft does not support; it supports e3nn's Linear"
        )
    found_in, found_out = linear.irreps("irreps_in"), linear.irreps("irreps_out")
    for name, found, wanted in (("irreps_in", found_in, irreps_in), ("irreps_out", found_out, irreps_out)):
        if wanted is not None and found != wanted:
            raise linear.error(f"{linear.name}.{name} are {found}, expected {wanted}")
    if not biases and linear.size("bias"):
        raise linear.error(f"{linear.name} has biases, which jaxft does not support there")
    pairs = [
        (i, o) for i, (_, ir_in) in enumerate(found_in) for o, (_, ir_out) in enumerate(found_out) if ir_in == ir_out
    ]
    fan_in = {ir: sum(mul for mul, other in found_in if other == ir) for _, ir in found_in}
    _check_instructions(linear, [((i, o), fan_in[found_in[i].ir] ** -0.5) for i, o in pairs])
    sizes = [found_in[i].mul * found_out[o].mul for i, o in pairs]
    flat = linear.array("weight", (sum(sizes),))
    blocks: dict[str, list[np.ndarray]] = {}
    for (i, o), part in zip(pairs, np.split(flat, np.cumsum(sizes)[:-1]), strict=True):
        blocks.setdefault(str(found_out[o].ir), []).append(part.reshape(found_in[i].mul, found_out[o].mul))
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def read_species_linear(
    product: TorchModule, irreps_in: e3nn.Irreps, irreps_out: e3nn.Irreps, n_species: int
) -> dict[str, np.ndarray]:
    """Weights of a tensor product with the one-hot species: (species, channels in, channels out) for each irrep."""
    if product.bag.kind != "e3nn.o3._tensor_product._sub.FullyConnectedTensorProduct":
        raise product.error(f"{product.name} is a {product.bag.kind}, which jaxft does not support")
    wanted = {"irreps_in1": irreps_in, "irreps_in2": e3nn.Irreps(f"{n_species}x0e"), "irreps_out": irreps_out}
    for name, expected in wanted.items():
        if product.irreps(name) != expected:
            raise product.error(f"{product.name}.{name} are {product.irreps(name)}, expected {expected}")
    pairs = [
        (i, o) for i, (_, ir_in) in enumerate(irreps_in) for o, (_, ir_out) in enumerate(irreps_out) if ir_in == ir_out
    ]
    _check_instructions(
        product, [((i, 0, o), ((2 * irreps_in[i].ir.l + 1) / (irreps_in[i].mul * n_species)) ** 0.5) for i, o in pairs]
    )
    shapes = [(irreps_in[i].mul, n_species, irreps_out[o].mul) for i, o in pairs]
    sizes = [int(np.prod(shape)) for shape in shapes]
    flat = product.array("weight", (sum(sizes),))
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return {
        str(irreps_in[i].ir): np.ascontiguousarray(part.reshape(shape).swapaxes(0, 1))
        for (i, _), shape, part in zip(pairs, shapes, parts, strict=True)
    }


def check_convolution(product: TorchModule, paths: tuple[Path, ...]) -> None:
    """Raise InputError unless a tensor product has our paths, in our order, with our weights."""
    if product.bag.kind != "e3nn.o3._tensor_product._tensor_product.TensorProduct":
        raise product.error(f"{product.name} is a {product.bag.kind}, which jaxft does not support")
    wanted = [((p.source, p.l_edge, k), (2 * p.ir.l + 1) ** 0.5) for k, p in enumerate(paths)]
    _check_instructions(product, wanted)


def _check_instructions(module: TorchModule, wanted: Sequence[tuple[tuple[int, ...], float]]) -> None:
    """Compare which paths there are, their order and their weights with what our network computes."""
    found = module.bag.get("instructions")
    try:
        paths = [tuple(item.args[: len(wanted[0][0])]) for item in found] if wanted else found
        # the path weight is the last but one of a tensor product's instruction, and the last of a linear map's
        weights = [item.args[-2] if len(item.args) > 4 else item.args[-1] for item in found]
        # a bias of a linear map comes as a path from input -1
        kept = [k for k, path in enumerate(paths) if path[0] != -1]
        same = [paths[k] for k in kept] == [path for path, _ in wanted] and np.allclose(
            [weights[k] for k in kept], [weight for _, weight in wanted], rtol=TOLERANCE
        )
    except (AttributeError, TypeError, IndexError, ValueError) as error:
        raise module.error(f"{module.name} has no list of instructions ({error}); expected a MACE model") from error
    if not same:
        raise module.error(
            f"the paths of {module.name} or their normalisation are not those of e3nn 0.4; not supported"
        )


def read_normalized_mlp(net: TorchModule, inputs: int, outputs: int) -> tuple[tuple[int, ...], dict[str, np.ndarray]]:
    """Widths of the hidden layers, and the weights, of e3nn's FullyConnectedNet with silu."""
    if net.bag.kind != "e3nn.nn._fc.FullyConnectedNet":
        raise net.error(f"{net.name} is a {net.bag.kind}, which jaxft does not support")
    sizes = layer_sizes(net, inputs, outputs)
    arrays = {}
    for k in range(len(sizes) - 1):
        layer = net.child(f"layer{k}", "e3nn.nn._fc._Layer")
        arrays[f"w{k}"] = layer.array("weight", (sizes[k], sizes[k + 1]))
        if (layer.has("act") and k == len(sizes) - 2) or layer.real("var_in") != 1.0 or layer.real("var_out") != 1.0:
            raise layer.error(f"{layer.name} is not normalised as in MACE; not supported")
        if k < len(sizes) - 2:
            act = layer.child("act", "e3nn.math._normalize_activation.normalize2mom")
            check_activation(act, "f", act.real("cst"), "silu", SILU_GAIN)
    return tuple(sizes[1:-1]), arrays


def check_activation(module: TorchModule, attribute: str, constant: float, wanted: str, expected: float) -> None:
    """Raise InputError unless an activation is the wanted function of torch, normalised by the constant expected."""
    f = module.bag.get(attribute)
    name = f.name if isinstance(f, Name) else f.kind if isinstance(f, Bag) else str(f)
    if name != f"torch.nn.functional.{wanted}":
        raise module.error(f"{module.name} applies {name}, which jaxft does not support there; expected {wanted}")
    if abs(constant - expected) > 1e-6:
        raise module.error(f"{module.name} normalises {wanted} by {constant}, expected {expected}; not supported")


def layer_sizes(net: TorchModule, inputs: int, outputs: int) -> list[int]:
    """Widths of a perceptron, from its inputs to its outputs, which are checked."""
    sizes = net.bag.get("hs")
    if not isinstance(sizes, list) or len(sizes) < 2 or not all(type(size) is int and size > 0 for size in sizes):
        raise net.error(f"{net.name}.hs is no list of widths; expected a MACE model")
    if (sizes[0], sizes[-1]) != (inputs, outputs):
        raise net.error(f"{net.name} has {sizes[0]} inputs and {sizes[-1]} outputs, expected {inputs} and {outputs}")
    return sizes
