"""What the fine-tuning benchmarks share: data, errors, and the record of hardware and versions."""

import json
import os
import platform
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
from tblite.ase import TBLite

import jaxft
from jaxft.finetune.fit import fit, fit_members
from jaxft.finetune.metrics import evaluate_set
from jaxft.md.relax import relax
from jaxft.structures.dataset import LabelledStructure, read_dataset, split_isolated_atoms
from jaxft.structures.generate import random_crystals
from jaxft.structures.label_keys import detect_keys
from jaxft.structures.pack import pack
from jaxft.study.progress import Silent
from jaxft.study.replay import ReplaySettings, label_by, replay_structures

RESULTS = Path(__file__).parents[1] / "results"
COMMON_SET = Path(__file__).parents[2] / "cobalt_chloride" / "common_set.extxyz"

BETA2_BEFORE = 0.999
"""β₂ of Adam in the tables that were measured before another one became the default; nequix's own training has it too."""

BASES = {"study": "cobalt-mini", "3bpa": "nequix-mp-1", "aspirin": "nequix-mp-1"}


def task(study, folder=None, number=0):
    """``study``, ``3bpa`` or ``aspirin``: the base, what it is trained on, what it is tested on, its own labels of another system.

    number: which of the ten training sets of 3BPA or aspirin; the study box has one.
    """
    if study == "study":
        train, tests = study_box()
        tests["another system"] = another_system_by_gfn1()
    else:
        train, tests = three_bpa(folder, number) if study == "3bpa" else aspirin(folder, number)
    return jaxft.load(BASES[study]), train, tests, another_system(study, 0)


def three_bpa(folder, number=0):
    """Fifty structures of train_300K (every tenth from ``number``), the other 450, and train_mixedT; total energies in eV."""
    _check_number(number)
    sets = {}
    for name in ("train_300K", "train_mixedT"):
        path = Path(folder) / f"{name}.xyz"
        sets[name], _ = split_isolated_atoms(read_dataset(path, detect_keys(path)))
    everything = sets["train_300K"]
    train = everything[number::10]
    return train, {
        "300 K": [item for k, item in enumerate(everything) if k % 10 != number],
        "mixed T": sets["train_mixedT"],
    }


def aspirin(folder, number=0):
    """Fifty structures of rMD17's aspirin (every twentieth of the training file), and a hundred of its test file."""
    _check_number(number)
    sets = {}
    for name in ("train", "test"):
        path = Path(folder) / f"rmd17_aspirin_{name}.xyz"
        sets[name] = read_dataset(path, detect_keys(path))
    return sets["train"][number:1000:20], {"aspirin": sets["test"][::18][:100]}


def _check_number(number):
    if number >= 10:
        raise SystemExit(f"there are 10 training sets of fifty, so 10 seeds; number {number} was asked for")


def study_box():
    """The common set of the study box: fifty frames of one run of GFN1-xTB to train on, fifty of the other to test on."""
    frames = read_dataset(COMMON_SET)
    train, test = ([item for item in frames if item.info["run"] == run] for run in (0, 1))
    return train, {"study box": test}


@cache
def another_system(study, seed):
    """Structures of what the labels do not show, labelled by the base itself: to be replayed, or to judge forgetting by."""
    base = jaxft.load(BASES[study])
    if study != "study":
        return label_by(base, random_crystals(base.elements, 100, seed=seed), "float32")
    # lithium chloride in water: what the base was made for, without the cobalt that it is wrong about
    return own_dynamics(base, relax(base, pack({"LiCl": 4, "H2O": 16}, 1.1, seed)), seed)


def own_dynamics(base, start, seed):
    """Fifty structures of the base's own dynamics at 700 K."""
    return replay_structures(ReplaySettings("dynamics", 50, 700.0), base, [start], seed, "float32", Silent())


@cache
def another_system_by_gfn1():
    """The structures of the study's other system (closed shells) with labels of the reference in place of the base's."""
    engine = TBLite(method="GFN1-xTB", verbosity=0)
    labelled = []
    for item in another_system("study", 0):
        atoms = item.atoms.copy()
        atoms.calc = engine
        labelled.append(LabelledStructure(item.atoms, atoms.get_potential_energy(), atoms.get_forces(), None))
    return labelled


def fit_all(base, data, members, extras):
    """Fits that differ in learning rate only: side by side on an accelerator, in turn on a CPU."""
    if jax.default_backend() == "cpu":
        yield from (fit(base, data, one, extras=extras) for one in members)
    elif members:
        yield from fit_members(base, data, members, extras=extras)


def measures(base, potential, tests, unseen):
    """Errors on the test sets, and forgetting on structures of another system."""
    found = {"forgetting": forgetting(base, potential, unseen)}
    for name, data in tests.items():
        errors = evaluate_set(potential, data)
        found[f"forces, {name}"] = errors.forces_mev.rmse
        # meV/atom, after the mean error was taken off
        found[f"energy, {name}"] = errors.energy_centered_mev.rmse
    return found


def forces_rmse(potential, data):
    """meV/Å."""
    return evaluate_set(potential, data).forces_mev.rmse


def forgetting(base, potential, own):
    """RMSE of forces (meV/Å) against the base's own: what changed, for worse or (where the base was wrong) for better."""
    return forces_rmse(replace(potential, reference_energies=base.reference_energies), own)


def mean_and_error(values):
    """Mean over seeds and its standard error; None for the error of a single one."""
    values = np.asarray(values, dtype=float)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


class Journal:
    """Rows of a benchmark as JSON lines, written one by one: where it was stopped, it goes on."""

    def __init__(self, name):
        self.path = RESULTS / f"{name}.jsonl"
        self.rows = self.read()

    def read(self):
        """All rows so far, those of other processes too."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

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
