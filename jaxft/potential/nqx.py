"""Reading ``.nqx`` files of the nequix package, without equinox and without unpickling anything.

A file is one line of JSON (hyperparameters), then NumPy ``.npy`` arrays one after another in the order of equinox's leaves:
atomic energies; per layer the radial MLP, the linear map before the messages, the one after, the skip connection and the norm;
last the readout. Some files carry unrelated data after the last array, part of it pickled: reading stops before it.
"""

import io
import json
from pathlib import Path
from typing import Any, BinaryIO

import e3nn_jax as e3nn
import numpy as np

from jaxft.errors import InputError
from jaxft.potential.convolution import convolution_paths, output_irreps
from jaxft.potential.features import regroup
from jaxft.potential.gate import gate_irreps
from jaxft.potential.nequip import NequIP, NequIPSettings
from jaxft.potential.potential import Potential

Layout = list[tuple[tuple[str, ...], tuple[int, ...]]]

HYPERPARAMETERS = (
    "atomic_numbers",
    "hidden_irreps",
    "lmax",
    "cutoff",
    "n_layers",
    "radial_basis_size",
    "radial_mlp_size",
    "radial_mlp_layers",
    "radial_polynomial_p",
    "mlp_init_scale",
    "index_weights",
    "layer_norm",
    "shift",
    "scale",
    "avg_n_neighbors",
)
MAX_HEADER_BYTES = 1 << 20


def read_nqx(path: str | Path) -> Potential:
    """The potential in a ``.nqx`` file. Raises InputError where the file is damaged or not of this kind."""
    path = Path(path)
    with path.open("rb") as file:
        config = _read_header(file, path)
        settings = settings_of(config)
        arrays = {}
        for name, shape in parameter_layout(settings):
            arrays[name] = _read_array(file, name, shape, path)
    energies = arrays.pop(("atom_energies",)).astype(np.float64) + float(config["shift"])
    return Potential(
        network=NequIP(settings),
        params={"params": _nest(arrays)},
        atomic_numbers=tuple(int(z) for z in config["atomic_numbers"]),
        reference_energies=energies,
        provenance={"source": path.name, "format": "nqx"},
    )


def settings_of(config: dict[str, Any]) -> NequIPSettings:
    """Our settings from a Nequix configuration. Raises InputError naming what it lacks."""
    missing = [name for name in HYPERPARAMETERS if name not in config]
    if missing:
        raise InputError(f"the .nqx header lacks {', '.join(missing)}; expected a model file of nequix 0.4")
    return NequIPSettings(
        n_species=len(config["atomic_numbers"]),
        cutoff=float(config["cutoff"]),
        hidden_irreps=str(config["hidden_irreps"]),
        lmax=int(config["lmax"]),
        n_layers=int(config["n_layers"]),
        n_basis=int(config["radial_basis_size"]),
        radial_hidden=(int(config["radial_mlp_size"]),) * int(config["radial_mlp_layers"]),
        radial_init_gain=float(config["mlp_init_scale"]),
        cutoff_power=float(config["radial_polynomial_p"]),
        average_neighbors=float(config["avg_n_neighbors"]),
        scale=float(config["scale"]),
        embedding=None,
        skip_per_species=bool(config["index_weights"]),
        layer_norm=bool(config["layer_norm"]),
    )


def parameter_layout(settings: NequIPSettings) -> Layout:
    """Names (as paths into our parameter tree) and shapes of the arrays of a ``.nqx`` file, in its order."""
    hidden = regroup(settings.hidden_irreps)
    irreps = e3nn.Irreps(f"{settings.n_species}x0e")
    layout: Layout = [(("atom_energies",), (settings.n_species,))]
    for number in range(settings.n_layers):
        layer = f"layer_{number}"
        irreps_out = hidden.filter("0e") if number == settings.n_layers - 1 else hidden
        after, before_gate = (
            output_irreps(convolution_paths(irreps, settings.lmax, irreps_out)),
            gate_irreps(irreps_out),
        )
        widths = [settings.n_basis, *settings.radial_hidden, after.num_irreps]
        layout += [((layer, "radial", f"w{k}"), (widths[k], widths[k + 1])) for k in range(len(widths) - 1)]
        layout += _linear((layer, "linear_before"), irreps, irreps)
        layout += _linear((layer, "linear_after"), after, before_gate)
        layout += _linear(
            (layer, "skip"), irreps, before_gate, settings.n_species if settings.skip_per_species else None
        )
        if settings.layer_norm:
            layout += [((layer, "norm", str(ir)), (mul,)) for mul, ir in before_gate]
        irreps = irreps_out
    return layout + _linear(("readout",), irreps, e3nn.Irreps("1x0e"))


def _linear(
    name: tuple[str, ...], irreps_in: e3nn.Irreps, irreps_out: e3nn.Irreps, n_species: int | None = None
) -> Layout:
    sizes = {ir: mul for mul, ir in irreps_in}
    outputs = [(mul, ir) for mul, ir in irreps_out if ir in sizes]
    indexed = () if n_species is None else (n_species,)
    return [((*name, str(ir)), (*indexed, sizes[ir], mul)) for mul, ir in outputs]


def _read_header(file: BinaryIO, path: Path) -> dict[str, Any]:
    line = file.readline(MAX_HEADER_BYTES)
    try:
        config = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}: the first line is not JSON ({error}); expected a .nqx file of nequix") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: the first line is not a JSON object; expected a .nqx file of nequix")
    return config


def _read_array(file: BinaryIO, name: tuple[str, ...], shape: tuple[int, ...], path: Path) -> np.ndarray:
    """One ``.npy`` array, its header checked before its data are read."""
    label = "/".join(name)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise InputError(f"{path}: array {label} has .npy version {version}, expected (1, 0)")
        found, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise InputError(f"{path}: array {label} is missing or damaged ({error}); fetch the file again") from error
    if found != shape or dtype != np.float32 or fortran_order:
        raise InputError(f"{path}: array {label} is {dtype} {found}, expected float32 {shape}")
    count = int(np.prod(shape, dtype=np.int64))
    data = file.read(count * 4)
    if len(data) != count * 4:
        raise InputError(f"{path}: the file ends inside array {label}; fetch it again")
    array = np.frombuffer(io.BytesIO(data).getbuffer(), dtype="<f4").reshape(shape).copy()
    if not np.isfinite(array).all():
        raise InputError(f"{path}: array {label} holds numbers that are not finite; fetch the file again")
    return array


def _nest(arrays: dict[tuple[str, ...], np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        node = tree
        for part in name[:-1]:
            node = node.setdefault(part, {})
        node[name[-1]] = array
    return tree
