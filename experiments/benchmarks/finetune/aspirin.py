"""From scratch: a small network on 1000 structures of aspirin (rMD17): ``python aspirin.py FOLDER_OF_DATA OUT [UPDATES]``.

950 structures are trained on, 50 decide which parameters are kept, as in the published figures (MACE, arXiv 2206.07697, table
2: MAE 2.2 meV and 6.6 meV/Å with 1000 structures). Run again it goes on from its checkpoint in OUT; the hours are of the
processor (all cores together, compilation included) and count all runs.
"""

import json
import sys
import time
from pathlib import Path

import common
import jax
import numpy as np

from jaxft.finetune.fit import Extras, fit
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.settings import FinetuneSettings, LossWeights
from jaxft.potential.nequip import NequIP, NequIPSettings
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import read_dataset
from jaxft.structures.label_keys import detect_keys

NETWORK = NequIPSettings(
    n_species=3,
    cutoff=5.0,
    hidden_irreps="48x0e+32x1o+16x2e",
    lmax=2,
    n_layers=3,
    n_basis=8,
    radial_hidden=(32, 32),
    average_neighbors=14.0,
    embedding=48,
    skip_per_species=True,
)
SETTINGS = {
    "batch_size": 5,
    "learning_rate": 5e-3,
    "weights": LossWeights(energy=100.0, forces=10.0),
    "warmup_fraction": 0.01,
    "adam_beta2": common.BETA2_BEFORE,
    "ema_decay": 0.999,
    "validate_every": 500,
}


def main(data, out, updates):
    """Train (or go on), judge on the 1800 structures of the test file."""
    everything = {name: labelled(Path(data) / f"rmd17_aspirin_{name}.xyz") for name in ("train", "test")}
    order = np.random.default_rng(0).permutation(len(everything["train"]))[:1000]
    chosen = [everything["train"][k] for k in order]
    network = NequIP(NETWORK)
    ends = np.array([0, 1], dtype=np.int32)
    params = jax.jit(network.init)(jax.random.key(0), np.ones((2, 3), np.float32), 0 * ends, ends, ends[::-1])
    scratch = Potential(network, jax.tree.map(np.asarray, params), (1, 6, 8), np.zeros(3))
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    clock = out / f"seconds-{updates}.json"
    spent = json.loads(clock.read_text()) if clock.exists() else 0.0
    began = time.process_time()

    def told(now):
        clock.write_text(json.dumps(spent + time.process_time() - began))
        if now.update % 2000 == 0:
            print(now.update, f"loss {now.loss:.3g}", f"validation {float(now.validation[0]):.3g}", flush=True)

    settings = FinetuneSettings(updates=updates, **SETTINGS)
    result = fit(
        scratch,
        chosen[:950],
        settings,
        extras=Extras(validation=chosen[950:]),
        checkpoint=out / f"fit-{updates}.safetensors",
        on_progress=told,
    )
    errors = evaluate_set(result.potential, everything["test"], batch_size=32)
    n_atoms = len(chosen[0].atoms)
    common.write(
        "finetune_aspirin",
        {
            "parameters": scratch.n_parameters,
            "updates": updates,
            "epochs": updates * 5 / 950,
            "processor hours": json.loads(clock.read_text()) / 3600.0,
            "energy_mae_mev": errors.energy_mev.mae * n_atoms,
            "forces_mae_mev": errors.forces_mev.mae,
            "published_mace": {"energy_mae_mev": 2.2, "forces_mae_mev": 6.6},
            "test_structures": errors.n_structures,
        },
    )


def labelled(path):
    """All structures of a file."""
    return read_dataset(path, detect_keys(path))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 72_000)
