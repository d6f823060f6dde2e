"""The peer, nequix's own training: ``python peer.py TRAIN.extxyz WEIGHTS.nqx EPOCHS SEED OUT.nqx CONFIG.json``.

Runs in an environment of its own (see README.md): nequix 0.4.5 with its requirements, but jax for the processor. The structures
come with energies already moved to the scale of the base (its training can't change reference energies) and in a box of 50 Å,
since its loader knows periodic structures with a stress only; the weight of the stress is 0. Writes the averaged parameters and
its seconds.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["WANDB_MODE"] = "disabled"

import nequix.train as peer
import numpy as np
import yaml
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import read


def main(train, weights, epochs, seed, out, config):
    """Write the data as nequix wants it, train, note the seconds of each epoch."""
    folder = Path(tempfile.mkdtemp())
    frames = read(train, index=":")
    with connect(str(folder / "train.aselmdb"), type="aselmdb", append=False) as db:
        for atoms in frames:
            energy, forces = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
            bare = atoms.copy()
            bare.info, bare.arrays = {}, {k: bare.arrays[k] for k in ("numbers", "positions")}
            bare.set_cell([50.0] * 3)
            bare.pbc = True
            bare.calc = SinglePointCalculator(bare, energy=energy, forces=forces, stress=np.zeros(6))
            db.write(bare)
    settings = {
        **json.loads(Path(config).read_text()),
        "train_path": str(folder / "train.aselmdb"),
        "valid_path": str(folder / "train.aselmdb"),
        "finetune_from": weights,
        "n_epochs": epochs,
        "state_path": str(folder / "state.pkl"),
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    # the seed of its shuffling is fixed in its loader; ours goes in by order of the structures
    loader = peer.DataLoader

    def seeded(*arguments, **options):
        return loader(*arguments, **{**options, "seed": seed, "num_workers": 2})

    peer.DataLoader = seeded
    kept = {}
    write_state = peer.save_training_state

    def keep(path, model, ema_model, optim, opt_state, step, epoch, *rest, **more):
        kept.setdefault("ends", []).append(time.perf_counter())
        kept["model"] = ema_model

    peer.save_training_state = keep
    del write_state
    began = time.perf_counter()
    peer.train(str(path))
    import jax

    single = jax.tree.map(lambda x: x[0] if hasattr(x, "ndim") and x.ndim else x, kept["model"])
    peer.save_model(Path(out), single, settings)
    # its state is kept twice for each epoch (run folder and state_path)
    ends = kept["ends"][::2] if len(kept["ends"]) >= 2 * epochs else kept["ends"]
    record = {"seconds": time.perf_counter() - began, "seconds_after_first_epoch": ends[-1] - ends[0], "epochs": epochs}
    Path(out).with_suffix(".json").write_text(json.dumps(record))
    print(record)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6])
