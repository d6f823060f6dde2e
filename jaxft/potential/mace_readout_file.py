"""Readouts of a MACE-torch model: parameters of one head, cut out of those of all heads.

Heads share everything but a column of each linear readout and a block of each non-linear one, whose other blocks are masked.
"""

import e3nn_jax as e3nn
import numpy as np

from jaxft.potential.inert_pickle import Name
from jaxft.potential.mace_readout import ACTIVATIONS
from jaxft.potential.torch_e3nn import read_linear
from jaxft.potential.torch_module import TorchModule

BLOCKS = "mace.modules.blocks."
READOUTS = {
    f"{BLOCKS}LinearReadoutBlock": "linear",
    f"{BLOCKS}NonLinearReadoutBlock": "non-linear",
    f"{BLOCKS}NonLinearBiasReadoutBlock": "non-linear-bias",
}


def readout_kind(readout: TorchModule) -> str:
    """``linear``, ``non-linear`` or ``non-linear-bias``; InputError names any other block."""
    if readout.bag.kind not in READOUTS:
        known = ", ".join(name.removeprefix(BLOCKS) for name in READOUTS)
        raise readout.error(
            f"{readout.name} is a {readout.bag.kind}, which jaxft does not support; it supports {known}"
        )
    return READOUTS[readout.bag.kind]


def read_readout(
    readout: TorchModule, kind: str, scalars: int, width: int, head: int, n_heads: int
) -> dict[str, np.ndarray]:
    """Parameters of one readout (``mace_readout.py``), those of the chosen head alone."""
    block = slice(head * width, (head + 1) * width)
    if kind == "linear":
        return {"weight": _scalar_matrix(readout.child("linear"), scalars, n_heads)[:, head]}
    first = _scalar_matrix(readout.child("linear_1"), scalars, n_heads * width)
    last = readout.child("linear_2")
    arrays = {
        "weight_1": first[:, block],
        "weight_2": _scalar_matrix(last, n_heads * width, n_heads)[block, head],
    }
    if kind == "non-linear":
        return arrays
    middle = readout.child("linear_mid")
    return arrays | {
        "weight_mid": _scalar_matrix(middle, n_heads * width, n_heads * width)[block, block],
        "bias_mid": middle.array("bias", (n_heads * width,))[block],
        "bias_2": np.asarray(last.array("bias", (n_heads,))[head]),
    }


def _scalar_matrix(linear: TorchModule, inputs: int, outputs: int) -> np.ndarray:
    matrix = read_linear(linear, biases=True)["0e"]
    if matrix.shape != (inputs, outputs):
        raise linear.error(f"{linear.name}.weight is a {matrix.shape} matrix of scalars, expected {(inputs, outputs)}")
    return matrix


def hidden_width(readout: TorchModule, n_heads: int) -> int:
    """How many hidden channels each head has."""
    hidden = readout.irreps("hidden_irreps").regroup()
    width, rest = divmod(hidden.count("0e"), n_heads)
    if hidden != e3nn.Irreps(f"{n_heads * width}x0e") or rest or not width:
        raise readout.error(f"{readout.name}.hidden_irreps are {hidden}, expected even scalars, as many for each head")
    return width


def readout_activation(readout: TorchModule) -> tuple[str, float]:
    """Name and normalisation of the activation of a readout."""
    acts = readout.child("non_linearity", "e3nn.nn._activation.Activation").child("acts")
    if not acts.has("0"):
        return "none", 1.0
    act = acts.child("0", "e3nn.math._normalize_activation.normalize2mom")
    f = act.bag.get("f")
    name = f.name.rsplit(".", 1)[-1] if isinstance(f, Name) else str(getattr(f, "kind", f))
    if name not in ACTIVATIONS:
        raise act.error(f"{act.name} is {name!r}, which jaxft does not support; it supports {', '.join(ACTIVATIONS)}")
    return name, act.real("cst")
