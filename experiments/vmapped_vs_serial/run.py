"""Replicas one after another, mapped, or as one graph: ``python run.py [--potential NAME] [--largest R] [--atoms 52 416]``.

Three ways to run R replicas of a box, all through the same compiled block: *serial* (a program for one replica, called R times),
*vmapped* (one program, the network mapped over replicas), *one graph* (one program, the network sees the R boxes as one graph of
R times the edges). For each: aggregate steps/s, time to compile, and the memory that the compiler asks for. Writes JSON beside the
benchmarks' results, and a table and a figure here. Run it on an idle machine.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import jax
import matplotlib
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

import jaxft
from jaxft.md.block import run_block
from jaxft.md.relax import relax
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, select, start
from jaxft.structures.pack import pack

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
WAYS = ("serial", "vmapped", "one graph")
STEPS_PER_FRAME = 10


def boxes(potential, n_atoms, replicas):
    """The study box, or its 2 x 2 x 2 supercell, rattled so that replicas differ."""
    box = relax(potential, pack({"CoCl2": 1, "LiCl": 2, "H2O": 15}, 1.3, seed=0), max_force=0.2)
    if n_atoms != len(box):
        assert n_atoms == 8 * len(box), f"boxes have {len(box)} or {8 * len(box)} atoms, not {n_atoms}"
        box = box.repeat(2)
    found = []
    for k in range(replicas):
        found.append(box.copy())
        found[-1].rattle(0.02, seed=k)
    return found


def memory(simulation, frames):
    """Bytes of a block: arguments, results and everything between, as the compiler counts them."""
    factors = np.ones(frames, dtype=simulation.bath.kT.dtype)
    shape = simulation.shape(frames)
    s = simulation
    lowered = run_block.lower(s.network, shape, s.params, s.system, s.bath, factors, s.replicas, np.int32(frames))
    need = lowered.compile().memory_analysis()
    return int(need.argument_size_in_bytes + need.output_size_in_bytes + need.temp_size_in_bytes)


def measure(way, simulation, budget_s, scratch):
    """Aggregate steps/s (median of repeats), seconds of the first call beyond a later one, bytes."""
    # a cache of its own: the time to compile is one of the figures, and the program is asked for twice
    jax.clear_caches()
    jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp(dir=scratch))
    compilation_cache.reset_cache()
    n = simulation.n_replicas
    parts = [select(simulation, [k]) for k in range(n)] if way == "serial" else [simulation]
    parts = [replace(part, one_graph=way == "one graph") for part in parts]

    def once(frames):
        return [advance(part, frames, longest=frames)[0] for part in parts]

    frames = 5 if simulation.replicas.dynamics.position.size // 3 <= 4096 else 1
    began = time.perf_counter()
    parts = once(frames)
    first = time.perf_counter() - began
    rates = []
    began = time.perf_counter()
    while len(rates) < 3 or (time.perf_counter() - began < budget_s and len(rates) < 20):
        start_of_call = time.perf_counter()
        parts = once(frames)
        rates.append(n * frames * STEPS_PER_FRAME / (time.perf_counter() - start_of_call))
    rate = statistics.median(rates)
    again = n * frames * STEPS_PER_FRAME / rate
    return {
        "steps_per_s": rate,
        "steps_per_s_spread": statistics.pstdev(rates),
        "compile_s": max(first - again, 0.0),
        "bytes": memory(parts[0], frames),
        "stopped": int(sum((part.status != 0).sum() for part in parts)),
    }


def main(scratch):
    """Measure, write, draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--potential", default="cobalt-mini")
    parser.add_argument("--largest", type=int, default=64)
    parser.add_argument("--atoms", type=int, nargs="+", default=[52, 416])
    parser.add_argument("--seconds", type=float, default=10.0, help="per measurement")
    parser.add_argument("--smallest", type=int, default=1)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    options = parser.parse_args()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    potential = jaxft.load(options.potential)
    settings = MDSettings(temperature=350.0, timestep_fs=0.5, frame_every=STEPS_PER_FRAME)
    counts = [2**k for k in range(int(np.log2(options.smallest)), int(np.log2(options.largest)) + 1)]
    name = f"vmapped_vs_serial-{options.potential}-{jax.default_backend()}"
    path = HERE.parent / "benchmarks" / "results" / f"{name}.json"
    rows = []
    for n_atoms in options.atoms:
        for replicas in counts:
            simulation = start(potential, boxes(potential, n_atoms, replicas), settings, jax.random.key(0))
            for way in options.ways:
                row = {
                    "atoms": n_atoms,
                    "replicas": replicas,
                    "way": way,
                    **measure(way, simulation, options.seconds, scratch),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    measured_now = {identity(row) for row in rows}
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = sorted([row for row in before if identity(row) not in measured_now] + rows, key=identity)
    record = {
        "potential": options.potential,
        "parameters": potential.n_parameters,
        "rows": rows,
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("jax", "jaxlib", "jax-md", "flax", "e3nn-jax", "numpy")},
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    draw(rows, HERE / f"{name}.png")


def identity(row):
    """What a row is of: rows that are measured again replace those of before."""
    return row["atoms"], row["replicas"], WAYS.index(row["way"])


def draw(rows, path):
    """Aggregate steps/s against R, one panel for each box."""
    sizes = sorted({row["atoms"] for row in rows})
    figure, axes = plt.subplots(1, len(sizes), figsize=(4.5 * len(sizes), 3.6), squeeze=False)
    for axis, n_atoms in zip(axes[0], sizes, strict=True):
        for way in WAYS:
            chosen = [row for row in rows if row["atoms"] == n_atoms and row["way"] == way]
            x, y = [row["replicas"] for row in chosen], [row["steps_per_s"] for row in chosen]
            axis.plot(x, y, marker="o", label=way)
        axis.set(
            xlabel="replicas",
            title=f"{n_atoms} atoms",
            ylim=(0, 1.1 * max(row["steps_per_s"] for row in rows if row["atoms"] == n_atoms)),
        )
        axis.set_xscale("log", base=2)
    axes[0][0].set_ylabel("steps of all replicas per second")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
