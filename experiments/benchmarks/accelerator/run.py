"""What float32 costs in accuracy here, and what it costs not to round: ``JAX_ENABLE_X64=1 python run.py [POTENTIAL ...]``.

Energies and forces of a 416-atom box (2 × 2 × 2 study boxes, rattled) against float64 on the same device: as the library compiles
them (factors of float32 products in full, ``jaxft/compilation.py``) and as JAX would by itself, which rounds them to TensorFloat-32
on NVIDIA GPUs. And the time of one evaluation by each. JSON with hardware and versions beside the other results.
"""

import json
import os
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

import jaxft
from jaxft.potential.derivatives import predict
from jaxft.potential.evaluate import Evaluator, compiled_predict
from jaxft.structures.pack import pack

WAYS = {"in full": compiled_predict, "as JAX does by itself": jax.jit(predict, static_argnums=0)}


def evaluate(potential, box, dtype, function):
    """Energy and forces of the network, and the function that gives them again."""
    evaluator = Evaluator(potential, dtype=dtype)
    arguments = jax.device_put((evaluator.params, evaluator.graph(box)))

    def again():
        return jax.block_until_ready(function(potential.network, *arguments))

    said = again()
    n = len(box)
    return np.asarray(said.node_energies, np.float64)[:n].sum(), np.asarray(said.forces, np.float64)[:n], again


def compare(name, box):
    """Errors against float64 and times, of both ways."""
    potential = jaxft.load(name)
    energy, forces, _ = evaluate(potential, box, "float64", compiled_predict)
    rows = []
    for way, function in WAYS.items():
        e, f, again = evaluate(potential, box, "float32", function)
        seconds = []
        for _ in range(30):
            began = time.perf_counter()
            again()
            seconds.append(time.perf_counter() - began)
        rows.append(
            {
                "potential": name,
                "way": way,
                "atoms": len(box),
                "energy_error_mev_per_atom": float(abs(e - energy) / len(box) * 1000),
                "force_error_rmse_mev_per_angstrom": float(np.sqrt(((f - forces) ** 2).mean()) * 1000),
                "force_error_largest_mev_per_angstrom": float(np.abs(f - forces).max() * 1000),
                "force_rms_mev_per_angstrom": float(np.sqrt((forces**2).mean()) * 1000),
                "ms_median": 1000 * statistics.median(seconds[5:]),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    box = pack({"CoCl2": 1, "LiCl": 2, "H2O": 15}, 1.3, seed=0).repeat(2)
    box.rattle(0.05, seed=0)
    record = {
        "rows": [row for name in sys.argv[1:] or ["cobalt-mini"] for row in compare(name, box)],
        "device": jax.devices()[0].device_kind,
        "load_average_1min": os.getloadavg()[0],
        "versions": {package: version(package) for package in ("jax", "jaxlib", "flax", "e3nn-jax", "numpy")},
    }
    out = Path(__file__).parents[1] / "results" / f"accelerator-{jax.default_backend()}.json"
    out.write_text(json.dumps(record, indent=1) + "\n")
