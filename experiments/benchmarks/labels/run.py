"""What labelling itself costs: ``python run.py overhead|throughput|kill``. Writes JSON with hardware and versions.

overhead     1000 labels of 52 atoms by a calculator that sleeps 10 ms: serial, 1 and 2 processes, Parsl (where installed)
throughput   labels of the study box (52 atoms) by GFN1-xTB, with 1 and with 2 workers; wants 2 idle cores
kill         20 labels through Parsl, one of its workers killed in the middle
"""

import json
import os
import platform
import signal
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from ase import Atoms

from jaxft.jobs.settings import ClusterSettings, ExecutorSettings, open_executor
from jaxft.labels.labelling import label_structures
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import open_store
from jaxft.structures.pack import pack

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
SLEEPING = ReferenceSettings("sleeping:Sleeping", {"seconds": 0.01})


def main(what, count):
    """Measure, and write what came out beside the hardware."""
    record = {
        **{"overhead": overhead, "throughput": throughput, "kill": kill}[what](count),
        "cores": len(os.sched_getaffinity(0)),
        "load_average_1min": os.getloadavg()[0],
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: found(name) for name in ("ase", "numpy", "tblite", "parsl")},
    }
    (HERE / f"{what}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def overhead(count):
    """Wall time of a label beyond the sleep, times the workers."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(4) * 2.1] * 3), -1).reshape(-1, 3)[:52]
    frames = [
        Atoms("CoH51", positions=grid + rng.normal(size=(52, 3)) * 0.1, cell=[8.5] * 3, pbc=True) for _ in range(count)
    ]
    kinds = {
        "serial": (ExecutorSettings("serial"), 1),
        "1 process": (ExecutorSettings(workers=1), 1),
        "2 processes": (ExecutorSettings(workers=2), 2),
    }
    if found("parsl") is not None:
        kinds["parsl, 2 workers"] = (ExecutorSettings("parsl", cluster=local_cluster()), 2)
    results = {}
    for name, (settings, workers) in kinds.items():
        with open_executor(settings) as executor, tempfile.TemporaryDirectory() as folder:
            with open_store(f"{folder}/warm.db") as store:  # workers start, modules are imported
                label_structures(frames[:4], SLEEPING, store, executor)
            with open_store(f"{folder}/labels.db") as store:
                seconds = timed(frames, SLEEPING, store, executor)
                again = timed(frames, SLEEPING, store, executor)
        results[name] = {
            "seconds": seconds,
            "overhead_ms_per_label_and_worker": 1000 * (seconds * workers / count - 0.01),
            "seconds_where_all_are_stored": again,
        }
    return {"labels": count, "results": results}


def throughput(count):
    """Labels of rattled packings of the study box; the same ones for each number of workers."""
    box = pack({"CoCl2": 1, "LiCl": 2, "H2O": 15}, 1.3, seed=0)
    frames = []
    for seed in range(count):
        frame = box.copy()
        frame.rattle(0.02, seed=seed)
        frames.append(frame)
    reference = ReferenceSettings(settings={"mixer_damping": 0.15}, multiplicity=4)
    results = {}
    for workers in (1, 2):
        with open_executor(ExecutorSettings(workers=workers)) as executor, tempfile.TemporaryDirectory() as folder:
            with open_store(f"{folder}/warm.db") as store:
                label_structures(frames[:workers], reference, store, executor)
            with open_store(f"{folder}/labels.db") as store:
                results[workers] = timed(frames, reference, store, executor)
                cpu = sum(spent.cpu_s for spent in store.spent())
    return {
        "labels": count,
        "seconds_by_workers": results,
        "speed_up": results[1] / results[2],
        "cpu_s_per_label": cpu / count,
        "load_average_before_and_after_matters": "the speed-up means something on idle cores only",
    }


def kill(count):
    """All labels come although one of Parsl's workers is killed once some are there."""
    frames = [Atoms("HO", positions=[[0.9 + 0.01 * k, 0, 0], [0, 0, 2]]) for k in range(count)]
    killed = []

    def strike(progress):
        if progress.done >= count // 4 and not killed:
            killed.append(int(parents.read_text().split()[-1]))
            os.kill(killed[0], signal.SIGKILL)

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/labels.db") as store:
        parents = Path(folder) / "parents"
        slow = ReferenceSettings("sleeping:Sleeping", {"seconds": 0.3, "parents": str(parents)})
        with open_executor(ExecutorSettings("parsl", cluster=local_cluster())) as executor:
            label_structures(frames, slow, store, executor, strike)
        counts = store.counts()
        workers = len(set(parents.read_text().split()))
    seconds = time.perf_counter() - began
    return {
        "labels": counts.labels,
        "failures": counts.failures,
        "killed_workers": len(killed),
        "workers_that_there_were": workers,
        "seconds": seconds,
    }


def local_cluster():
    """Parsl on this machine, its files in a temporary folder."""
    return ClusterSettings(workers_per_node=2, run_dir=tempfile.mkdtemp(prefix="parsl-"))


def timed(frames, reference, store, executor):
    """Seconds that a labelling takes."""
    began = time.perf_counter()
    label_structures(frames, reference, store, executor)
    return time.perf_counter() - began


def found(package):
    """The version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main(
        sys.argv[1],
        int(sys.argv[2]) if len(sys.argv) > 2 else {"overhead": 1000, "throughput": 200, "kill": 20}[sys.argv[1]],
    )
