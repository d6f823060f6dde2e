"""Saving and loading potentials: a folder with ``config.json`` (what it is) and ``params.safetensors`` (its numbers)."""

import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from jaxft.errors import InputError
from jaxft.potential.mace import MACE, MACESettings
from jaxft.potential.nequip import NequIP, NequIPSettings
from jaxft.potential.potential import Potential
from jaxft.records import read_json, write_atomically, write_json

FORMAT = "jaxft-potential"
VERSION = 1
ARCHITECTURES: dict[str, tuple[Any, Any]] = {"nequip": (NequIP, NequIPSettings), "mace": (MACE, MACESettings)}


def save(potential: Potential, folder: str | Path) -> None:
    """Write a potential into ``folder``; parameters first, so that a folder with a config is complete."""
    folder = Path(folder)
    arrays = {"/".join(path): np.asarray(leaf, order="C") for path, leaf in flatten(potential.params["params"])}
    write_atomically(folder / "params.safetensors", lambda path: save_file(arrays, path))
    architecture = next(name for name, (module, _) in ARCHITECTURES.items() if isinstance(potential.network, module))
    write_json(
        folder / "config.json",
        FORMAT,
        VERSION,
        {
            "architecture": architecture,
            "settings": potential.network.settings.to_json(),
            "atomic_numbers": list(potential.atomic_numbers),
            "reference_energies": [float(e) for e in potential.reference_energies],
            "heads": list(potential.heads),
            "params_sha256": _digest(flatten(potential.params["params"])),
            "provenance": dict(potential.provenance),
        },
    )


def load_folder(folder: str | Path) -> Potential:
    """Read what ``save`` wrote. Raises InputError for another format, a newer version or damaged parameters."""
    folder = Path(folder)
    config = read_json(folder / "config.json", FORMAT, VERSION)
    if config["architecture"] not in ARCHITECTURES:
        raise InputError(
            f"{folder}: unknown architecture {config['architecture']!r}, expected one of {list(ARCHITECTURES)}"
        )
    module, settings = ARCHITECTURES[config["architecture"]]
    try:
        arrays = load_file(folder / "params.safetensors")
    except (SafetensorError, OSError) as error:
        raise InputError(f"{folder}: params.safetensors is missing or damaged ({error})") from error
    params: dict[str, Any] = {}
    for name, array in arrays.items():
        *parents, leaf = name.split("/")
        node = params
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = array
    network = module(settings.from_json(config["settings"]))
    _check_parameters(network, params, folder)
    if "params_sha256" in config and _digest(flatten(params)) != config["params_sha256"]:
        raise InputError(
            f"{folder}: params.safetensors holds other numbers than those that config.json was written with (hash mismatch); "
            "copy the folder again from where it was made"
        )
    return Potential(
        network=network,
        params={"params": params},
        atomic_numbers=tuple(config["atomic_numbers"]),
        reference_energies=np.array(config["reference_energies"], dtype=np.float64),
        heads=tuple(config["heads"]),
        provenance=config["provenance"],
    )


def _check_parameters(network: Any, params: dict[str, Any], folder: Path) -> None:
    """Raise InputError unless names and shapes are those of the network, and all numbers are finite."""
    one, pair = np.zeros(1, dtype=np.int32), np.ones((1, 3), dtype=np.float32)
    wanted = jax.eval_shape(network.init, jax.random.key(0), pair, one, one, one)["params"]
    expected = {"/".join(path): leaf.shape for path, leaf in _leaves(wanted)}
    found = {"/".join(path): leaf.shape for path, leaf in _leaves(params)}
    wrong = sorted(set(expected.items()) ^ set(found.items()))
    if wrong:
        name = wrong[0][0]
        raise InputError(
            f"{folder}: parameter {name} is {found.get(name, 'missing')}, expected {expected.get(name, 'none of that name')}; "
            "config.json and params.safetensors do not belong together"
        )
    if not all(np.isfinite(leaf).all() for _, leaf in _leaves(params)):
        raise InputError(f"{folder}: params.safetensors holds numbers that are not finite")


def _digest(leaves: list[tuple[tuple[str, ...], np.ndarray]]) -> str:
    """SHA-256 over names, types, shapes and bytes: of what the numbers are, not of how a file lays them out."""
    digest = hashlib.sha256()
    for path, leaf in leaves:
        digest.update(f"{'/'.join(path)} {leaf.dtype.str} {leaf.shape};".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def _leaves(tree: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    leaves: list[tuple[tuple[str, ...], Any]] = []
    for name in sorted(tree):
        path = (*prefix, name)
        leaves += _leaves(tree[name], path) if isinstance(tree[name], dict) else [(path, tree[name])]
    return leaves


def flatten(tree: dict[str, Any]) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Arrays of a nested dictionary with their paths, sorted by name."""
    return [(path, np.asarray(leaf)) for path, leaf in _leaves(tree)]
