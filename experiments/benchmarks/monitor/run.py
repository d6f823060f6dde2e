"""What a monitor costs inside dynamics: ``python run.py [POTENTIAL] [REPEATS] [LAYERS]``. Writes JSON with hardware and versions.

The study box (52 atoms, 1.3 g/cm³, 350 K, 0.5 fs) after relaxation and 1.25 ps; a frame every 20 steps, each of them checked.
Blocks of 500 steps with the monitor and without it take turns, from the same state, in one process; compilation apart. Wall
time, and time of the processor, which suffers less from other work. Run it on an idle machine.
"""

import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

import jaxft
from jaxft.md.monitor import Monitor
from jaxft.md.relax import relax
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start, to_atoms, watched
from jaxft.stats.limits import empirical_limit
from jaxft.stats.moments import moments
from jaxft.stats.principal_components import principal_components
from jaxft.structures.pack import pack

name = sys.argv[1] if len(sys.argv) > 1 else "cobalt-mini"
repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 12
layers = sys.argv[3] if len(sys.argv) > 3 else "last"
results = Path(__file__).parents[1] / "results"
FRAMES, FRAME_EVERY = 25, 20


def monitor_from(potential, frames) -> Monitor:
    """Trained on the first half of some frames, its limits from the second; which numbers it has does not change its cost."""
    described = [potential.descriptors(atoms, layers=layers) for atoms in frames]
    numbers, half = frames[0].numbers, len(frames) // 2
    models, limits = {}, {}
    for z in set(numbers.tolist()):
        rows = np.stack(described)[:, numbers == z]
        models[z] = principal_components(
            moments(rows[:half].reshape(-1, rows.shape[-1])), at_most=max(1, half // 3 - 1)
        )
        limits[z] = empirical_limit(models[z].q(rows[half:].reshape(-1, rows.shape[-1])), 0.01).value
    return Monitor(potential, models, limits, frame_limit=2.0, layers=layers)


def seconds_of(simulation) -> tuple[float, float]:
    """Of a block of 500 steps: by the wall, and by the processor, all threads together."""
    began, busy = time.perf_counter(), time.process_time()
    jax.block_until_ready(advance(simulation, FRAMES)[0].replicas)
    return time.perf_counter() - began, time.process_time() - busy


def cost(seconds: dict[str, list[tuple[float, float]]], clock: int) -> dict[str, float | list[float]]:
    """Of the monitor, as a share: pair by pair, since what else the machine does changes slowly; and of the fastest blocks."""
    without, with_it = (np.array(seconds[which])[:, clock] for which in ("without", "with"))
    low, middle, high = np.quantile(with_it / without, [0.25, 0.5, 0.75])
    fastest = with_it.min() / without.min()
    return {"median": middle - 1.0, "quartiles": [low - 1.0, high - 1.0], "of_fastest_blocks": float(fastest - 1.0)}


potential = jaxft.load(name)
box = relax(potential, pack({"CoCl2": 1, "LiCl": 2, "H2O": 15}, 1.3, seed=0))
settings = MDSettings(temperature=350.0, timestep_fs=0.5, frame_every=FRAME_EVERY)
simulation = start(potential, [box], settings, jax.random.key(0))
simulation, _ = advance(simulation, FRAMES)
simulation, first = advance(simulation, FRAMES)
simulation, second = advance(simulation, FRAMES)
positions = np.concatenate([first.positions[:, 0], second.positions[:, 0]])
with_it = monitor_from(potential, [to_atoms(simulation.template, p) for p in positions])

# once before it counts: compilation, and room for edges
with_monitor, frames = advance(watched(simulation, with_it), FRAMES)
without, _ = advance(watched(with_monitor, None), FRAMES)
with_monitor = watched(without, with_it)
seconds = {"without": [], "with": []}
for repeat in range(repeats):
    # who goes first changes from time to time, so that a drift of the machine falls on both
    order = [("without", without), ("with", with_monitor)][:: 1 if repeat % 2 == 0 else -1]
    for which, one in order:
        seconds[which].append(seconds_of(one))

rates = {which: FRAMES * FRAME_EVERY / np.array(values)[:, 0] for which, values in seconds.items()}
record = {
    "potential": name,
    "atoms": len(box),
    "layers": layers,
    "descriptors": int(with_monitor.watch.mean.shape[1]),
    "steps_between_checks": FRAME_EVERY,
    "repeats": repeats,
    "steps_per_s_without": {"median": float(np.median(rates["without"])), "all": rates["without"].round(2).tolist()},
    "steps_per_s_with": {"median": float(np.median(rates["with"])), "all": rates["with"].round(2).tolist()},
    "cost_by_wall": cost(seconds, 0),
    "cost_by_processor": cost(seconds, 1),
    "largest_ratio_seen": float(np.nanmax(frames.reading.ratio)),
    "load_average_at_end": os.getloadavg()[0],
    "device": jax.devices()[0].device_kind,
    "cores": len(os.sched_getaffinity(0)),
    "processor": platform.processor() or platform.machine(),
    "python": platform.python_version(),
    "versions": {package: version(package) for package in ("jax", "jaxlib", "jax-md", "flax", "e3nn-jax", "numpy")},
}
results.mkdir(exist_ok=True)
(results / f"monitor-{name}-{layers}-{jax.default_backend()}.json").write_text(json.dumps(record, indent=1) + "\n")
print(json.dumps(record, indent=1))
