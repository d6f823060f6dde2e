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
from jaxft.structures.dataset import read_dataset, split_isolated_atoms
from jaxft.structures.label_keys import detect_keys

RESULTS = Path(__file__).parents[1] / "results"
COMMON_SET = Path(__file__).parents[2] / "cobalt_chloride" / "common_set.extxyz"


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


def study_box():
    """The common set of the study box: fifty frames of one run of GFN1-xTB to train on, fifty of the other to test on."""
    frames = read_dataset(COMMON_SET)
    train, test = ([item for item in frames if item.info["run"] == run] for run in (0, 1))
    return train, {"study box": test}


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


class Journal:
    """Rows of a benchmark as JSON lines, written one by one: where it was stopped, it goes on."""

    def __init__(self, name):
        self.path = RESULTS / f"{name}.jsonl"
        self.rows = [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def add(self, row):
        """One more row, kept at once."""
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def has(self, **values):
        """Whether some row has these values."""
        return any(all(row.get(key) == value for key, value in values.items()) for row in self.rows)


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
