"""Reference data for the MACE network: small random models as MACE-torch saves them, and what MACE-torch says of structures.

    python scripts/make_mace_reference.py FOLDER [NAME ...]

needs ``mace-torch==0.3.16`` (and torch, CPU) in an environment of its own; jaxft is not imported. For each name it writes
``NAME.model`` and ``NAME_ref.npz`` (float64; keys ``structure/field``, with several heads ``structure@head/field``). Weights
are drawn from a seed, then rescaled so that messages are of order one and the largest force in the box is 4 eV/Å: straight
from their initialisation messages are so small that wrong products would hardly show. They mean nothing physically.
"""

import copy
import os
import sys
from pathlib import Path
from typing import Any

# e3nn 0.4 keeps its own constants as a pickle, which torch 2.6 and newer refuse without this
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from e3nn import nn, o3
from mace import modules
from mace.calculators import MACECalculator
from mace.modules import blocks

ELEMENTS = [1, 8, 17]
AGNOSTIC = (blocks.RealAgnosticInteractionBlock, blocks.RealAgnosticResidualInteractionBlock)
RESIDUAL = (blocks.RealAgnosticResidualInteractionBlock,) * 2
DENSITY = (blocks.RealAgnosticDensityInteractionBlock, blocks.RealAgnosticDensityResidualInteractionBlock)
NON_LINEAR = (blocks.RealAgnosticResidualNonLinearInteractionBlock,) * 2
FAMILY_MH = {
    "blocks": NON_LINEAR,
    "apply_cutoff": False,
    "distance_transform": "Agnesi",
    "pair_repulsion": True,
    "use_agnostic_product": True,
    "use_last_readout_only": True,
    "readout_cls": blocks.NonLinearBiasReadoutBlock,
    "edge_irreps": o3.Irreps("2x0e+2x1o"),
    "correlation": 2,
}

VARIANTS: dict[str, dict[str, Any]] = {
    # the three in tests/data: every kind of block, transform, readout
    "agnostic": {"correlation": 3, "max_ell": 1},
    "density": {
        "blocks": DENSITY,
        "correlation": 2,
        "heads": ["pbe", "r2scan"],
        "distance_transform": "Agnesi",
        "pair_repulsion": True,
    },
    "non_linear": FAMILY_MH | {"heads": ["omat", "Default"]},
    # more, to be made anew where something is doubted
    "three_layers": {"num_interactions": 3, "correlation": [3, 2, 1], "max_ell": 3, "radial_MLP": [16, 24]},
    "one_layer": {"num_interactions": 1, "correlation": 3, "max_ell": 3},
    "large": {"blocks": RESIDUAL, "hidden_irreps": "4x0e+4x1o+4x2e", "max_ell": 3, "correlation": 3},
    "correlation_1": {"correlation": 1, "max_ell": 3},
    "correlation_4": {"correlation": 4, "max_ell": 2, "hidden_irreps": "4x0e+4x1o+4x2e"},
    "one_element": {"elements": [8], "correlation": 3},
    "odd_heads": {"heads": ["a b", "Größe", "pt.head/1"]},
    "plain": {"class": modules.MACE, "pair_repulsion": True},
    "tanh": {"gate": torch.tanh, "MLP_irreps": "8x0e"},
    "abs": {"gate": torch.abs},
    "no_gate": {"gate": None},
    "scalars": {"hidden_irreps": "4x0e", "max_ell": 3, "correlation": 3},
    "last_irreps_kept": {"keep_last_layer_irreps": True},
    "density_outside": {"blocks": DENSITY, "apply_cutoff": False},
    "non_linear_inside": FAMILY_MH | {"apply_cutoff": True, "num_interactions": 3, "max_ell": 3},
    "e3nn_gate": FAMILY_MH | {"e3nn_gate": True},
    "last_readout_only": {"use_last_readout_only": True},
    "edge_irreps": {"edge_irreps": o3.Irreps("3x0e+2x1o"), "num_interactions": 3},
    "residual_agnostic_product": {"blocks": RESIDUAL, "use_agnostic_product": True},
    "many_elements": {"elements": [1, 3, 8, 11, 17, 27, 92], "blocks": DENSITY, "pair_repulsion": True},
    "float32": {"blocks": RESIDUAL, "dtype": torch.float32, "correlation": 3},
    # what jaxft refuses
    "refused_gaussian": {"radial_type": "gaussian"},
    "refused_chebyshev": {"radial_type": "chebyshev"},
    "refused_soft": {"distance_transform": "Soft"},
    "refused_attention": {"blocks": (blocks.RealAgnosticAttResidualInteractionBlock,) * 2},
    "refused_so3": {"use_so3": True},
    "refused_charge": {
        "embedding_specs": {
            "total_charge": {"type": "continuous", "per": "graph", "in_dim": 1, "emb_dim": 4, "num_classes": 1}
        }
    },
}


def structures(elements: list[int], rng: np.random.Generator) -> dict[str, Atoms]:
    """One of each kind: periodic box with many images, primitive cell, overlapping atoms, molecule, slab, one atom."""

    def renamed(atoms: Atoms) -> Atoms:
        atoms.numbers = [z if z in elements else elements[k % len(elements)] for k, z in enumerate(atoms.numbers)]
        return atoms

    box = Atoms(cell=np.eye(3) * 5.4 + rng.normal(size=(3, 3)) * 0.2, pbc=True)
    for place in ((0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)):
        water = molecule("H2O")
        water.rotate(rng.uniform(0, 360), rng.normal(size=3))
        water.positions += (np.array(place) + 0.5) @ box.cell.array / 2
        box += water
    box.numbers[0] = elements[-1]
    primitive = bulk("Cl", "fcc", a=4.3) * (1, 1, 2)
    primitive.rattle(0.1, seed=1)
    dense = bulk("O", "sc", a=1.3) * (2, 2, 2)
    dense.rattle(0.1, seed=2)
    slab = box.copy()
    slab.pbc = (True, True, False)
    found = {"box": box, "primitive": primitive, "dense": dense, "slab": slab, "molecule": molecule("H2O2")}
    return {name: renamed(atoms) for name, atoms in (found | {"atom": Atoms("O")}).items()}


def build(seed: int, **changes: Any) -> torch.nn.Module:
    """A random model; ``changes`` are MACE-torch's arguments beside the few of our own."""
    options = dict(changes)
    elements = options.pop("elements", ELEMENTS)
    first, later = options.pop("blocks", AGNOSTIC)
    heads = options.pop("heads", ["Default"])
    kind = options.pop("class", modules.ScaleShiftMACE)
    e3nn_gate = options.pop("e3nn_gate", False)
    torch.set_default_dtype(options.pop("dtype", torch.float64))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    energies = -rng.uniform(1.0, 500.0, size=(len(heads), len(elements)))
    if kind is modules.ScaleShiftMACE:
        several = len(heads) > 1
        options["atomic_inter_scale"] = rng.uniform(0.8, 1.2, len(heads)) if several else 0.9
        options["atomic_inter_shift"] = rng.uniform(-0.2, 0.2, len(heads)) if several else 0.15
    arguments = {
        "r_max": 3.5,
        "num_bessel": 4,
        "num_polynomial_cutoff": 5,
        "max_ell": 2,
        "num_interactions": 2,
        "hidden_irreps": "4x0e+4x1o",
        "MLP_irreps": "4x0e",
        "avg_num_neighbors": 7.3,
        "correlation": 2,
        "gate": torch.nn.functional.silu,
        "radial_MLP": [8, 8],
        "use_reduced_cg": False,
        **options,
    }
    arguments |= {name: o3.Irreps(arguments[name]) for name in ("hidden_irreps", "MLP_irreps")}
    model = kind(
        interaction_cls_first=first,
        interaction_cls=later,
        num_elements=len(elements),
        atomic_numbers=elements,
        atomic_energies=energies if len(heads) > 1 else energies[0],
        heads=heads,
        **arguments,
    )
    for interaction in model.interactions if e3nn_gate else []:
        # as in models that were saved before mace had a gate of its own
        gate = interaction.equivariant_nonlin
        silu, sigmoid = torch.nn.functional.silu, torch.nn.functional.sigmoid
        interaction.equivariant_nonlin = nn.Gate(
            gate.irreps_scalars, [silu], gate.irreps_gates, [sigmoid] * len(gate.irreps_gates), gate.irreps_gated
        )
    return model


def rescale(model: torch.nn.Module, box: Atoms) -> None:
    """Messages of rms 1, layer by layer, biases that matter, and a largest force of 4 eV/Å."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "beta")) and parameter.numel():
                parameter.normal_(0.0, 0.3)
            if name.endswith("embedding.weight"):
                parameter.normal_(0.0, 1.0)
            if name.endswith("alpha"):
                parameter.fill_(3.0)
    for interaction in model.interactions:
        seen = []
        hook = interaction.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out[0].detach()))
        calculator(model).get_potential_energy(box)
        hook.remove()
        last = interaction.linear if hasattr(interaction, "linear") else interaction.linear_2
        with torch.no_grad():
            last.weight /= seen[0].pow(2).mean().sqrt()
    head = getattr(model, "heads", ["Default"])[0]
    largest = np.abs(calculator(model, head).get_forces(box)).max()
    with torch.no_grad():
        for readout in model.readouts:
            final = readout.linear if hasattr(readout, "linear") else readout.linear_2
            final.weight *= 4.0 / largest


def calculator(model: torch.nn.Module, head: str | None = None) -> MACECalculator:
    """MACE-torch's ASE calculator; a copy, because it converts what it is given."""
    head = head or getattr(model, "heads", ["Default"])[0]
    precision = {torch.float32: "float32", torch.float64: "float64"}[next(model.parameters()).dtype]
    return MACECalculator(models=[copy.deepcopy(model)], device="cpu", default_dtype=precision, head=head)


def reference(model: torch.nn.Module, kinds: dict[str, Atoms]) -> dict[str, np.ndarray]:
    """What MACE-torch says in float64, by ``structure/field``."""
    heads = list(getattr(model, "heads", ["Default"]))
    torch.set_default_dtype(torch.float64)
    model = copy.deepcopy(model).double()
    found: dict[str, np.ndarray] = {}
    names = []
    for head in heads:
        calc = calculator(model, head)
        for name, atoms in kinds.items():
            key = name if len(heads) == 1 else f"{name}@{head}"
            names.append(key)
            calc.calculate(atoms)
            result = calc.results
            found |= {
                f"{key}/numbers": atoms.numbers,
                f"{key}/positions": atoms.positions,
                f"{key}/cell": atoms.cell.array,
                f"{key}/pbc": atoms.pbc,
                f"{key}/energy": np.float64(result["energy"]),
                f"{key}/forces": result["forces"],
                f"{key}/node_energy": result["energies"],
            }
            if atoms.pbc.all():
                xx, yy, zz, yz, xz, xy = result["stress"]
                found[f"{key}/stress"] = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return found | {"names": np.array(names)}


def main(folder: Path, names: list[str]) -> None:
    """Write the named variants."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        changes = VARIANTS[name]
        seed = 1 + list(VARIANTS).index(name)
        model = build(seed, **changes)
        if not name.startswith("refused"):
            kinds = structures(changes.get("elements", ELEMENTS), np.random.default_rng(seed))
            rescale(model, kinds["box"])
            np.savez_compressed(folder / f"{name}_ref.npz", **reference(model, kinds))
        torch.save(model, folder / f"{name}.model")
        print(name, (folder / f"{name}.model").stat().st_size, "bytes", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: make_mace_reference.py FOLDER [{' | '.join(VARIANTS)} ...]")
    main(Path(sys.argv[1]), sys.argv[2:] or list(VARIANTS))
