"""What the fine-tuning benchmarks share: data, errors, and the record of hardware and versions."""

import json
import os
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from jaxft.finetune.metrics import evaluate_set
from jaxft.jobs.settings import ExecutorSettings, open_executor
from jaxft.labels.labelling import label_structures
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import open_store
from jaxft.md.relax import relax
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start
from jaxft.structures.dataset import LabelledStructure, read_dataset, split_isolated_atoms, write_dataset
from jaxft.structures.label_keys import detect_keys
from jaxft.structures.pack import pack

RESULTS = Path(__file__).parents[1] / "results"
COMPOSITION = {"CoCl2": 1, "LiCl": 2, "H2O": 15}


def three_bpa(folder):
    """Fifty structures of train_300K (every tenth), the other 450, and train_mixedT; total energies in eV."""
    sets = {}
    for name in ("train_300K", "train_mixedT"):
        path = Path(folder) / f"{name}.xyz"
        sets[name], _ = split_isolated_atoms(read_dataset(path, detect_keys(path)))
    everything = sets["train_300K"]
    train = everything[::10]
    return train, {
        "300 K": [item for k, item in enumerate(everything) if k % 10],
        "mixed T": sets["train_mixedT"],
    }


def study_box(base, folder):
    """Fifty GFN1 labels of the study box to train on and fifty to test on, from other boxes; made once, kept in ``folder``."""
    folder = Path(folder)
    sets = {}
    for number, name in enumerate(("train", "test")):
        path = folder / f"{name}.extxyz"
        if not path.exists():
            frames = _frames(base, [10 * number + k for k in range(5)])
            with open_store(folder / "labels.db") as store, open_executor(ExecutorSettings(workers=2)) as executor:
                reference = ReferenceSettings(settings={"mixer_damping": 0.15}, multiplicity=4)
                entries = label_structures(frames, reference, store, executor)
            good = [
                LabelledStructure(atoms, entry.energy, entry.forces, entry.stress)
                for atoms, entry in zip(frames, entries, strict=True)
                if hasattr(entry, "forces")
            ]
            write_dataset(path, good[:50])
        sets[name] = read_dataset(path)
    return sets["train"], {"study box": sets["test"]}


def _frames(base, seeds, picked=11):
    """Frames 0.25 ps apart of dynamics under the base at 350 K after 1 ps, box after box."""
    boxes = [relax(base, pack(COMPOSITION, 1.3, seed=seed), max_force=0.2) for seed in seeds]
    settings = MDSettings(temperature=350.0, timestep_fs=0.5, friction_per_ps=5.0, frame_every=500)
    simulation, _ = advance(start(base, boxes, settings, jax.random.key(seeds[0])), 4)
    frames = [[] for _ in seeds]
    for _ in range(picked):
        simulation, _ = advance(simulation, 1)
        for k in range(len(seeds)):
            if simulation.status[k] == 0:
                atoms = simulation.atoms(k)
                atoms.set_momenta(np.zeros((len(atoms), 3)))
                atoms.arrays.pop("momenta", None)
                frames[k].append(atoms)
    return [atoms for of_box in zip(*frames, strict=True) for atoms in of_box]


def forces_rmse(potential, data):
    """meV/Å."""
    return evaluate_set(potential, data).forces_mev.rmse


def energy_rmse(potential, data):
    """meV/atom, after the mean error was taken off."""
    return evaluate_set(potential, data).energy_centered_mev.rmse


def forgetting(base, potential, own):
    """RMSE of forces (meV/Å) against the base's own, where the base was right by definition."""
    return forces_rmse(replace(potential, reference_energies=base.reference_energies), own)


def mean_and_error(values):
    """Mean over seeds and its standard error."""
    values = np.asarray(values, dtype=float)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def write(name, body):
    """JSON with hardware and versions."""
    body = {
        **body,
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
        "load_average_1min": os.getloadavg()[0],
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("jax", "jaxlib", "flax", "optax", "e3nn-jax", "numpy")},
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(body, indent=1) + "\n")
    print(path)
