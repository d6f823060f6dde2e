"""A MACE-torch ``.model`` file as a Potential, with neither torch nor mace installed and nothing of the file executed.

``torch_file.py`` reads the file; here hyperparameters become ``MACESettings`` and arrays the parameters of ``mace.py``. Of a
model with several heads one is kept. What jaxft does not compute exactly is refused by name. Conventions that differ: weights
of products are expressed in the symmetric basis of ``symmetric_basis.py``; shifts are part of the reference energies.
"""

from pathlib import Path
from typing import Any

import e3nn_jax as e3nn
import numpy as np

from jaxft.errors import InputError, nearest
from jaxft.potential.agnesi import AgnesiSettings
from jaxft.potential.inert_pickle import Bag
from jaxft.potential.mace import MACE, MACELayerSettings, MACESettings
from jaxft.potential.mace_layers import read_layer
from jaxft.potential.mace_readout_file import hidden_width, read_readout, readout_activation, readout_kind
from jaxft.potential.potential import Potential
from jaxft.potential.torch_e3nn import read_linear
from jaxft.potential.torch_file import TorchFile
from jaxft.potential.torch_module import TorchModule
from jaxft.potential.zbl import ZBLSettings
from jaxft.potential.zoo import sha256

MODELS = ("mace.modules.models.ScaleShiftMACE", "mace.modules.models.MACE")
BLOCKS = "mace.modules.blocks."
UNSUPPORTED = {
    "joint_embedding": "embeddings of charge, spin or other properties of the whole structure",
    "embedding_readout": "an energy read from the embedding",
    "les": "long-range terms",
}


def read_mace(path: str | Path, head: str | None = None) -> Potential:
    """The potential in a file that MACE-torch saved; ``head`` chooses among several.

    Raises InputError where the file is damaged, not of this kind, uses something that jaxft does not support (named), or
    has several heads and none was chosen.
    """
    with TorchFile(path) as file:
        model = _model(file)
        names = _heads(model)
        chosen = _choose(model, names, head)
        settings, params, atomic_numbers = _network(model, chosen, len(names))
        energies = _reference_energies(model, chosen, len(names), len(atomic_numbers))
    return Potential(
        network=MACE(settings),
        params={"params": params},
        atomic_numbers=atomic_numbers,
        reference_energies=energies,
        heads=(names[chosen],),
        provenance={
            "source": Path(path).name,
            "format": "mace-torch",
            "sha256": sha256(Path(path)),
            "head": names[chosen],
            "heads": list(names),
        },
    )


def _model(file: TorchFile) -> TorchModule:
    if not isinstance(file.root, Bag):
        what = f"a {type(file.root).__name__}"
        hint = " (a checkpoint of a training run; export the model)" if isinstance(file.root, dict) else ""
        raise InputError(f"{file.path}: it holds {what}{hint}; expected a model that MACE saved")
    model = TorchModule(file, file.root)
    if file.root.kind not in MODELS:
        raise model.error(
            f"it holds a {file.root.kind}, which jaxft does not support; it supports MACE and ScaleShiftMACE"
        )
    for name, what in UNSUPPORTED.items():
        if model.has(name):
            raise model.error(f"the model has {name} ({what}), which jaxft does not support")
    if model.value("use_so3", bool, False):
        raise model.error("the model was made with use_so3 (no parity), which jaxft does not support")
    return model


MOST_HEADS = 1000
LONGEST_HEAD = 200


def _heads(model: TorchModule) -> tuple[str, ...]:
    names = model.bag.get("heads") or [None]
    names = ["Default" if name is None else name for name in names] if isinstance(names, list) else names
    if not isinstance(names, list) or not all(isinstance(name, str) and len(name) <= LONGEST_HEAD for name in names):
        raise model.error("heads is not a list of names; expected a MACE model")
    if len(names) > MOST_HEADS or len(set(names)) != len(names):
        raise model.error(f"it has {len(names)} heads, too many or some of the same name; expected a MACE model")
    return tuple(names)


def _choose(model: TorchModule, names: tuple[str, ...], head: str | None) -> int:
    listed = ", ".join(map(repr, names))
    if head is None:
        if len(names) > 1:
            raise model.error(f"the model has several heads; choose one with head=: {listed}")
        return 0
    if head not in names:
        raise model.error(f"the model has no head {head!r}; it has {listed}{nearest(head, names)}")
    return names.index(head)


def _network(model: TorchModule, head: int, n_heads: int) -> tuple[MACESettings, dict[str, Any], tuple[int, ...]]:
    """Settings, parameters and table of elements."""
    table = model.array("atomic_numbers")
    numbers = tuple(int(z) for z in table) if table.ndim == 1 and table.dtype.kind in "iu" else ()
    if not numbers or len(set(numbers)) != len(numbers) or not all(0 < z < 119 for z in numbers):
        raise model.error("atomic_numbers are not distinct whole numbers from 1 to 118; expected a MACE model")
    embedding = model.child("node_embedding").child("linear")
    channels = embedding.irreps("irreps_out").count("0e")
    _expect_irreps(embedding, "irreps_in", f"{len(numbers)}x0e")
    _expect_irreps(embedding, "irreps_out", f"{channels}x0e")

    radial = model.child("radial_embedding", f"{BLOCKS}RadialEmbeddingBlock")
    basis = radial.child("bessel_fn", "mace.modules.radial.BesselBasis")
    frequencies = tuple(float(w) for w in basis.array("bessel_weights").ravel())
    cutoff = model.positive("r_max")
    cutoff_fn = radial.child("cutoff_fn", "mace.modules.radial.PolynomialCutoff")
    if cutoff_fn.positive("r_max") != cutoff:
        raise model.error(f"r_max is {cutoff}, but its cutoff ends at {cutoff_fn.positive('r_max')}; expected the same")

    lmax = _lmax(model)
    layers, params = _layers(model, len(numbers), channels, lmax, len(frequencies))
    width, activation, gain, params["readout"] = _readouts(model, layers, head, n_heads)
    params["embedding"] = read_linear(embedding)["0e"]
    settings = MACESettings(
        n_species=len(numbers),
        cutoff=cutoff,
        lmax=lmax,
        channels=channels,
        layers=layers,
        bessel_frequencies=frequencies,
        bessel_prefactor=basis.number("prefactor"),
        cutoff_power=cutoff_fn.whole("p"),
        cutoff_in_basis=radial.value("apply_cutoff", bool, True),
        products_per_species=_products_per_species(model),
        readout_width=width,
        readout_heads=n_heads,
        activation=activation,
        activation_gain=gain,
        scale=_of_head(model, "scale", head, n_heads, 1.0),
        agnesi=_agnesi(radial, numbers),
        zbl=_zbl(model, numbers),
    )
    return settings, params, numbers


def _layers(
    model: TorchModule, n_species: int, channels: int, lmax: int, n_basis: int
) -> tuple[tuple[MACELayerSettings, ...], dict[str, Any]]:
    """Settings and parameters of all layers. One readout alone is that of the last layer; otherwise each has one."""
    interactions, products, readouts = (model.children(name) for name in ("interactions", "products", "readouts"))
    if not interactions or len(products) != len(interactions) or len(readouts) not in (1, len(interactions)):
        raise model.error(
            f"it has {len(interactions)} interactions, {len(products)} products and {len(readouts)} readouts, "
            "expected as many of each, or one readout"
        )
    kinds = ["none"] * (len(interactions) - len(readouts)) + [readout_kind(readout) for readout in readouts]
    irreps, layers, params = e3nn.Irreps(f"{channels}x0e"), [], {}
    for number, (interaction, product, kind) in enumerate(zip(interactions, products, kinds, strict=True)):
        layer, arrays = read_layer(interaction, product, irreps, n_species, channels, lmax, n_basis)
        layers.append(MACELayerSettings(**layer, readout=kind))
        params[f"layer_{number}"] = arrays
        irreps = e3nn.Irreps(layers[-1].irreps_out)
    return tuple(layers), params


def _readouts(
    model: TorchModule, layers: tuple[MACELayerSettings, ...], head: int, n_heads: int
) -> tuple[int, str, float, dict[str, np.ndarray]]:
    """Width, activation and its gain (those of the last non-linear readout, the only one), and parameters of all readouts."""
    width, activation, gain = 0, "none", 1.0
    arrays: dict[str, np.ndarray] = {}
    readouts = model.children("readouts")
    for number, readout in enumerate(readouts, start=len(layers) - len(readouts)):
        layer = layers[number]
        if layer.readout != "linear":
            if width:
                raise readout.error(f"{readout.name} is the second non-linear readout; jaxft supports one")
            width, (activation, gain) = hidden_width(readout, n_heads), readout_activation(readout)
        scalars = e3nn.Irreps(layer.irreps_out).count("0e")
        read = read_readout(readout, layer.readout, scalars, width, head, n_heads)
        arrays |= {f"layer_{number}_{label}": array for label, array in read.items()}
    return width, activation, gain, arrays


def _products_per_species(model: TorchModule) -> bool:
    agnostic = {product.value("use_agnostic_product", bool, False) for product in model.children("products")}
    if len(agnostic) != 1:
        raise model.error("some products depend on species and some do not, which jaxft does not support")
    return not agnostic.pop()


def _reference_energies(model: TorchModule, head: int, n_heads: int, n_species: int) -> np.ndarray:
    """E0 of the chosen head, with its shift, in eV."""
    fn = model.child("atomic_energies_fn", f"{BLOCKS}AtomicEnergiesBlock")
    energies = np.atleast_2d(fn.array("atomic_energies"))
    if energies.shape != (n_heads, n_species):
        raise model.error(
            f"atomic_energies_fn.atomic_energies has shape {energies.shape}, expected {(n_heads, n_species)}"
        )
    return energies[head] + _of_head(model, "shift", head, n_heads, 0.0)


def _of_head(model: TorchModule, name: str, head: int, n_heads: int, default: float) -> float:
    """Scale or shift of a head; a plain MACE has neither."""
    if model.kind == "MACE":
        return default
    values = np.atleast_1d(model.child("scale_shift", f"{BLOCKS}ScaleShiftBlock").array(name))
    if values.shape != (n_heads,):
        raise model.error(
            f"scale_shift.{name} has shape {values.shape}, expected one number for each of {n_heads} heads"
        )
    return float(values[head])


def _lmax(model: TorchModule) -> int:
    harmonics = model.child("spherical_harmonics", "e3nn.o3._spherical_harmonics.SphericalHarmonics")
    irreps = harmonics.irreps("irreps_out")
    if irreps != e3nn.s2_irreps(irreps.lmax):
        raise model.error(
            f"its spherical harmonics are {irreps}, which jaxft does not support; expected 1x0e+1x1o+1x2e…"
        )
    if harmonics.bag.get("normalize") is not True or harmonics.bag.get("normalization") != "component":
        raise model.error("its spherical harmonics are not component-normalised, which jaxft does not support")
    return int(irreps.lmax)


def _agnesi(radial: TorchModule, numbers: tuple[int, ...]) -> AgnesiSettings | None:
    if not radial.has("distance_transform"):
        return None
    transform = radial.child("distance_transform", "mace.modules.radial.AgnesiTransform")
    a, q, p = (transform.number(name) for name in ("a", "q", "p"))
    return AgnesiSettings(a, q, p, _radii(transform, numbers))


def _zbl(model: TorchModule, numbers: tuple[int, ...]) -> ZBLSettings | None:
    if not model.has("pair_repulsion_fn"):
        return None
    zbl = model.child("pair_repulsion_fn", "mace.modules.radial.ZBLBasis")
    return ZBLSettings(
        coefficients=tuple(float(c) for c in zbl.array("c", (4,))),
        exponent=zbl.number("a_exp"),
        prefactor=zbl.number("a_prefactor"),
        cutoff_power=zbl.whole("p"),
        charges=numbers,
        radii=_radii(zbl, numbers),
    )


def _radii(module: TorchModule, numbers: tuple[int, ...]) -> tuple[float, ...]:
    radii = module.array("covalent_radii")
    if radii.ndim != 1 or len(radii) <= max(numbers) or not (radii[list(numbers)] > 0.0).all():
        raise module.error(f"{module.name}.covalent_radii has no positive radius for every element of the model")
    return tuple(float(radii[z]) for z in numbers)


def _expect_irreps(module: TorchModule, name: str, expected: str) -> None:
    found = module.irreps(name)
    if found != e3nn.Irreps(expected):
        raise module.error(f"{module.full(name)} are {found}, expected {expected}")
