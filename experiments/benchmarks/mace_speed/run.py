"""Steps per second of a medium MACE model, ours against MACE-torch: ``python run.py PEER_PYTHON [STEPS]``.

PEER_PYTHON is a Python with ``mace-torch==0.3.16``. Boxes of 51 and 408 atoms, float32, 350 K, 0.5 fs, the same file, one
after the other on the same processor, compilation apart. Writes JSON with hardware and versions. Run it on an idle machine.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import jax
from ase.io import write

import jaxft
from jaxft.md.guards import GuardSettings
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start
from jaxft.structures.neighbors import find_edges
from jaxft.structures.pack import pack

HERE = Path(__file__).parent
peer_python = sys.argv[1]
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 10


def ours(file: Path, atoms) -> tuple[list[float], float]:
    """Seconds per step of some blocks, and seconds of the first block, which compiles."""
    # random weights hold nothing together: only the speed is asked for, and a replica that a guard stops would cost less
    free = GuardSettings(max_temperature=1e12, min_distance=0.0)
    settings = MDSettings(temperature=350.0, frame_every=steps, guards=free)
    simulation = start(jaxft.load(file), [atoms], settings, jax.random.key(0))
    began = time.perf_counter()
    simulation, _ = advance(simulation, 1)
    first, seconds = time.perf_counter() - began, []
    for _ in range(4):
        began = time.perf_counter()
        simulation, _ = advance(simulation, 1)
        seconds.append((time.perf_counter() - began) / steps)
    assert (simulation.status == 0).all(), "a stopped replica would not be dynamics"
    return seconds, first


def peer(*arguments) -> str:
    """What the peer prints."""
    command = [peer_python, "-W", "ignore", str(HERE / "peer.py"), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


record = {"architecture": "128x0e+128x1o, lmax 3, correlation 3, 2 layers, 6 Å, 89 elements", "dtype": "float32"}
with tempfile.TemporaryDirectory() as folder:
    model, box_file = Path(folder) / "medium.model", Path(folder) / "box.extxyz"
    peer("make", model)
    box = pack({"CoCl2": 1, "H2O": 16}, 1.3, seed=0)
    for atoms in (box, box.repeat(2)):
        write(box_file, atoms)
        mine, first = ours(model, atoms)
        its = json.loads(peer("time", model, box_file, steps).splitlines()[-1])
        record[f"{len(atoms)}_atoms"] = {
            "edges": len(find_edges(atoms.positions, atoms.cell.array, atoms.pbc, 6.0).senders),
            "ours_ms_per_step_fastest": 1000 * min(mine),
            "ours_ms_per_step_median": 1000 * statistics.median(mine),
            "ours_first_block_with_compilation_s": first,
            "peer_ms_per_step_fastest": 1000 * min(its["seconds"]),
            "peer_ms_per_step_median": 1000 * statistics.median(its["seconds"]),
            "times_as_fast_by_median": statistics.median(its["seconds"]) / statistics.median(mine),
        }
        record["peer"] = {"torch": its["torch"], "threads": its["threads"]}
record |= {
    "device": jax.devices()[0].device_kind,
    "cores": len(os.sched_getaffinity(0)),
    "load_average": os.getloadavg()[0],
    "processor": platform.processor() or platform.machine(),
    "python": platform.python_version(),
    "versions": {package: version(package) for package in ("jax", "jaxlib", "flax", "e3nn-jax", "numpy")},
}
results = HERE.parent / "results"
results.mkdir(exist_ok=True)
(results / f"mace_speed-{jax.default_backend()}.json").write_text(json.dumps(record, indent=1) + "\n")
print(json.dumps(record, indent=1))
