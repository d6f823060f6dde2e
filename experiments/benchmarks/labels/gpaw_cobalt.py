"""Three labels of CoCl2 + 8 H2O (27 atoms, quartet) by GPAW at 800 eV: times, moments, net forces. Needs GPAW (docs/engines.md)."""

import json
import tempfile
from pathlib import Path

import numpy as np
from ase.optimize import BFGS

import jaxft
from jaxft.jobs.serial import SerialExecutor
from jaxft.labels.label import Label
from jaxft.labels.labelling import label_structures
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import open_store
from jaxft.labels.validity import refusal
from jaxft.structures.pack import pack

box = pack({"CoCl2": 1, "H2O": 8}, 1.12, seed=1)
box.calc = jaxft.load("cobalt-mini").calculator()
BFGS(box, logfile=None).run(fmax=0.3, steps=150)
box.calc = None
frames = [box]
for seed in (1, 2):
    frames.append(box.copy())
    frames[-1].rattle(0.04, seed=seed)

with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/labels.db") as store:
    entries = label_structures(frames, ReferenceSettings("gpaw", multiplicity=4), store, SerialExecutor(), print)

labels = []
for frame, entry in zip(frames, entries, strict=True):
    assert isinstance(entry, Label), entry
    labels.append(
        {
            "energy_eV": entry.energy,
            "max_force": float(np.linalg.norm(entry.forces, axis=1).max()),
            "net_force_per_atom": float(np.linalg.norm(entry.forces.sum(axis=0))) / len(frame),
            "scf_steps": entry.scf_steps,
            "recipe": entry.recipe,
            "total_moment": entry.n_unpaired,
            "co_moment": float(entry.moments[frame.numbers == 27][0]),
            "wall_s": entry.cost.wall_s,
            "cpu_s": entry.cost.cpu_s,
            "refusal": refusal(entry, frame),
        }
    )
record = {
    "system": f"CoCl2 + 8 H2O, {len(box)} atoms, box edge {box.cell.lengths()[0]:.2f} Å",
    "settings": dict(entries[0].provenance.settings),
    "version": entries[0].provenance.version,
    "labels": labels,
}
(Path(__file__).resolve().parent / "gpaw_cobalt.json").write_text(json.dumps(record, indent=1) + "\n")
