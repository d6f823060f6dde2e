"""The peer's side, for a Python with ``mace-torch==0.3.16``: ``peer.py make MODEL`` or ``peer.py time MODEL BOX STEPS``.

``make`` saves a model of the medium foundation architecture (128x0e+128x1o, cutoff 6 Å, 89 elements) with random weights:
speed does not depend on them. ``time`` runs Langevin dynamics with ASE and prints seconds per step and versions as JSON.
"""

import json
import os
import sys
import time

# e3nn 0.4 keeps its own constants as a pickle, which torch 2.6 and newer refuse without this
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

import numpy as np
import torch
from ase import units
from ase.io import read
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from e3nn import o3
from mace import modules
from mace.calculators import MACECalculator

command, path = sys.argv[1], sys.argv[2]
if command == "make":
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    block = modules.blocks.RealAgnosticResidualInteractionBlock
    model = modules.ScaleShiftMACE(
        r_max=6.0,
        num_bessel=10,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=89,
        hidden_irreps=o3.Irreps("128x0e+128x1o"),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(89),
        avg_num_neighbors=62.0,
        atomic_numbers=list(range(1, 90)),
        correlation=3,
        gate=torch.nn.functional.silu,
        radial_MLP=[64, 64, 64],
        use_reduced_cg=False,
        atomic_inter_scale=0.8,
        atomic_inter_shift=0.0,
    )
    torch.save(model, path)
else:
    atoms, steps = read(sys.argv[3]), int(sys.argv[4])
    atoms.calc = MACECalculator(model_paths=[path], device="cpu", default_dtype="float32")
    rng = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=350.0, rng=rng)
    dynamics = Langevin(atoms, 0.5 * units.fs, temperature_K=350.0, friction=0.001 / units.fs, rng=rng)
    dynamics.run(2)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        dynamics.run(1)
        seconds.append(time.perf_counter() - began)
    # dynamics.run evaluates anew at its start where positions changed; ASE caches, so a step is one evaluation
    print(json.dumps({"seconds": seconds, "torch": torch.__version__, "threads": torch.get_num_threads()}))
