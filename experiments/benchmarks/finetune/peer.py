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

import nequix.data
import nequix.train as peer
import numpy as np
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from nequix.data import Dataset, atomic_numbers_to_indices, preprocess_graph


class InMemory(Dataset):
    """The structures of a file as graphs, as its own dataset of a database gives them (its library fails in forked workers)."""

    def __init__(self, file_path, atomic_numbers, cutoff=5.0, backend="jax"):
        super().__init__(backend=backend)
        self.atomic_indices = indices = atomic_numbers_to_indices(atomic_numbers)
        self.graphs = []
        for atoms in read(file_path, index=":"):
            energy, forces = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
            bare = Atoms(atoms.numbers, atoms.positions, cell=[50.0] * 3, pbc=True)
            bare.calc = SinglePointCalculator(bare, energy=energy, forces=forces, stress=np.zeros(6))
            self.graphs.append(preprocess_graph(bare, indices, cutoff, True))

    def __len__(self):
        return len(self.graphs)

    def _get_graph_dict(self, idx):
        return self.graphs[idx]


def patient_worker(dataset, index_queue, output_queue):
    """Its loader's worker, but waiting for work instead of asking without pause, which on two cores costs half of the speed."""
    while (index := index_queue.get()) is not None:
        output_queue.put((index, dataset[index]))


def main(train, weights, epochs, seed, out, config):
    """Train with its own program, note the seconds of each epoch."""
    folder = Path(tempfile.mkdtemp())
    peer.AseDBDataset = InMemory
    nequix.data._dataloader_worker = patient_worker
    settings = {
        **json.loads(Path(config).read_text()),
        "train_path": train,
        "valid_path": train,
        "finetune_from": weights,
        "n_epochs": epochs,
        "state_path": str(folder / "state.pkl"),
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    # the seed of its shuffling is fixed in its loader; ours goes in by order of the structures
    loader = peer.DataLoader

    def seeded(*arguments, **options):
        return loader(*arguments, **{**options, "seed": seed, "num_workers": 1})

    peer.DataLoader = seeded
    kept = {}

    def keep(path, model, ema_model, optim, opt_state, step, epoch, *rest, **more):
        kept.setdefault("ends", []).append(time.perf_counter())
        kept["model"] = ema_model

    peer.save_training_state = keep
    # its checkpoints go to a folder that its disabled logger does not make; the last averaged parameters are what we compare
    save, peer.save_model = peer.save_model, lambda *_: None
    began = time.perf_counter()
    peer.train(str(path))
    import jax

    single = jax.tree.map(lambda x: x[0] if hasattr(x, "ndim") and x.ndim else x, kept["model"])
    save(Path(out), single, settings)
    # its state is kept twice for each epoch (run folder and state_path)
    ends = kept["ends"][::2] if len(kept["ends"]) >= 2 * epochs else kept["ends"]
    record = {"seconds": time.perf_counter() - began, "seconds_after_first_epoch": ends[-1] - ends[0], "epochs": epochs}
    Path(out).with_suffix(".json").write_text(json.dumps(record))
    print(record)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6])
