"""Time of one step of dynamics: ``python run.py [POTENTIAL] [REPLICAS]``. Writes JSON with hardware and versions beside it.

The study box (52 atoms, 1.3 g/cm³, 350 K, 0.5 fs) after relaxation and 0.5 ps; blocks of 500 steps; the fastest of ten blocks and
their median, compilation apart. Run it on an idle machine.
"""

import json
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

import jaxft
from jaxft.md.relax import relax
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start
from jaxft.structures.neighbors import find_edges
from jaxft.structures.pack import pack

name = sys.argv[1] if len(sys.argv) > 1 else "cobalt-mini"
replicas = int(sys.argv[2]) if len(sys.argv) > 2 else 1
results = Path(__file__).parents[1] / "results"

potential = jaxft.load(name)
box = relax(potential, pack({"CoCl2": 1, "LiCl": 2, "H2O": 15}, 1.3, seed=0))
simulation = start(potential, [box] * replicas, MDSettings(temperature=350.0), jax.random.key(0))
began = time.perf_counter()
simulation, _ = advance(simulation, 25)
first = time.perf_counter() - began
simulation, _ = advance(simulation, 25)

seconds, edges = [], []
for _ in range(10):
    began = time.perf_counter()
    simulation, frames = advance(simulation, 25)
    seconds.append(time.perf_counter() - began)
    for positions in frames.positions[:, 0]:
        edges.append(len(find_edges(positions, box.cell.array, box.pbc, potential.cutoff).senders))

record = {
    "potential": name,
    "parameters": potential.n_parameters,
    "atoms": len(box),
    "replicas": replicas,
    "ms_per_step_and_replica_fastest": 1000 * min(seconds) / 500 / replicas,
    "ms_per_step_and_replica_median": 1000 * statistics.median(seconds) / 500 / replicas,
    "first_block_with_compilation_s": first,
    "edges_mean": float(np.mean(edges)),
    "edges_largest": max(edges),
    "edge_capacity": simulation.edges,
    "padding_over_largest": simulation.edges / max(edges) - 1.0,
    "padding_over_mean": simulation.edges / float(np.mean(edges)) - 1.0,
    "stopped": int((simulation.status != 0).sum()),
    "device": jax.devices()[0].device_kind,
    "cores": len(os.sched_getaffinity(0)),
    "processor": platform.processor() or platform.machine(),
    "python": platform.python_version(),
    "versions": {package: version(package) for package in ("jax", "jaxlib", "jax-md", "flax", "e3nn-jax", "numpy")},
}
results.mkdir(exist_ok=True)
(results / f"md_step-{name}-{replicas}-{jax.default_backend()}.json").write_text(json.dumps(record, indent=1) + "\n")
print(json.dumps(record, indent=1))
