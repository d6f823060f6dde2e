"""How long does the analysis of a long trajectory take, and does memory stay flat? ``python run.py RUN MODEL FRAMES [FRAMES ...]``

RUN is the folder of a finished study. The first test trajectory of MODEL is lengthened by running through it forth and back
until it has so many frames; coverage, Q along it, events and structure are made of that, in a process of its own for each
length.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np

RESULTS = Path(__file__).parents[1] / "results"


def main(run, model, lengths):
    """One process for each length, so that each has a peak of memory of its own."""
    rows = [json.loads(subprocess.check_output([sys.executable, __file__, "--one", run, model, n])) for n in lengths]
    body = {
        "rows": rows,
        "cores": len(os.sched_getaffinity(0)),
        "load_average_1min": os.getloadavg()[0],
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("jax", "jaxlib", "numpy", "scikit-learn", "h5py")},
    }
    (RESULTS / "analysis.json").write_text(json.dumps(body, indent=1) + "\n")
    for row in rows:
        print(row)


def one(run, model, frames):
    """Analyse one trajectory of so many frames."""
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.settings import settings_from
    from jaxft.cli.yaml_file import read_configuration
    from jaxft.potential.load import load
    from jaxft.study.chemistry import analyse_events, analyse_structure
    from jaxft.study.coverage import analyse_coverage
    from jaxft.study.layout import Layout
    from jaxft.study.q_residuals import analyse_q
    from jaxft.study.run_view import RunView

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(run, copy)
        trajectories = copy / "evaluation" / "trajectories"
        for path in trajectories.glob("*.h5md"):
            if path.name != f"{model}-0.h5md":
                path.unlink()
        lengthen(trajectories / f"{model}-0.h5md", frames)
        configuration = read_configuration(copy / "config.yaml")
        prepare_jax(configuration.precision)
        settings = settings_from(configuration, copy)
        view = RunView(settings, Layout(copy), load(settings.base, head=settings.head))
        row = {"frames": frames}
        for part in (analyse_coverage, analyse_q, analyse_events, analyse_structure):
            began = time.perf_counter()
            part(view)
            row[f"{part.__name__}, s"] = time.perf_counter() - began
        row["all, s"] = sum(value for name, value in row.items() if name.endswith(", s"))
        row["peak memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return row


def lengthen(path, frames):
    """Forth and back through what there is; every dataset with one row per frame."""
    with h5py.File(path, "r+") as file:
        there = file["particles/all/position/value"].shape[0]
        # the last frame of each pass is not repeated: time runs on without a stop
        lap = np.concatenate([np.arange(there), np.arange(there - 2, 0, -1)])
        rows = np.resize(lap, frames)
        found = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in found:
            data = file[name]
            if data.shape[:1] != (there,):
                continue
            values, attributes = data[()], dict(data.attrs)
            del file[name]
            if name.endswith(("/step", "/time")) or "steps" in name:
                spacing = values[1] - values[0]
                new = file.create_dataset(name, data=(values[0] + spacing * np.arange(frames)).astype(values.dtype))
            else:
                new = file.create_dataset(name, shape=(frames, *values.shape[1:]), dtype=values.dtype, chunks=True)
                for start in range(0, frames, 1000):
                    new[start : start + 1000] = values[rows[start : start + 1000]]
            new.attrs.update(attributes)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(one(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
