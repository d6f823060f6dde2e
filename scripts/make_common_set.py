"""Make the common set: 100 labelled frames of the study box from dynamics under GFN1-xTB itself.

    python scripts/make_common_set.py WORK OUT.extxyz [--run K] [--ps 5]

Two runs from two boxes (packed, relaxed and equilibrated for 1 ps under cobalt-mini, then 1 ps under GFN1-xTB), 350 K, Langevin
with 1/ps, 0.5 fs, 5 ps each; a frame every 100 fs, labelled afresh as every label is. The SCF of the dynamics starts from the
step before, which labels never do. Written to WORK after every 50 steps: run it again, it goes on with the same noise. ``--run
K`` does one of the two only, so that two processes can share the work; the set is written when both are done. About 0.7 s of
one core per step.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin

import jaxft
from jaxft.jobs.settings import ExecutorSettings, open_executor
from jaxft.labels.label import Label
from jaxft.labels.labelling import label_structures
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import open_store
from jaxft.md.relax import relax
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start
from jaxft.records import write_text
from jaxft.structures.dataset import LabelledStructure, write_dataset
from jaxft.structures.extxyz import format_frame, read_frames
from jaxft.structures.pack import pack

COMPOSITION = {"CoCl2": 1, "LiCl": 2, "H2O": 15}
DENSITY, TEMPERATURE, TIMESTEP_FS, FRICTION_PER_PS = 1.3, 350.0, 0.5, 1.0
SEEDS = (9101, 9102)
"""Of the boxes: used nowhere else."""
EQUILIBRATION_PS, BETWEEN_FS, BLOCK = 1.0, 100.0, 50
REFERENCE = ReferenceSettings(settings={"method": "GFN1-xTB", "mixer_damping": 0.15}, multiplicity=4)


def main() -> None:
    """Both runs, or one of them; then the labels, where both are done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=int, choices=(0, 1))
    parser.add_argument("--ps", type=float, default=5.0)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    for number in range(len(SEEDS)) if asked.run is None else (asked.run,):
        simulate(asked.work / f"run-{number}", SEEDS[number], asked.ps)
    frames = [frames_of(asked.work / f"run-{number}", asked.ps) for number in range(len(SEEDS))]
    if all(frames):
        label([atoms for of_run in frames for atoms in of_run], asked.work / "labels.db", asked.out)


def simulate(folder: Path, seed: int, ps: float) -> None:
    """Dynamics under the reference, from where it stopped."""
    folder.mkdir(exist_ok=True)
    state, steps = folder / "state.json", round((EQUILIBRATION_PS + ps) * 1000 / TIMESTEP_FS)
    if state.exists():
        saved = json.loads(state.read_text())
        atoms = read_frames(folder / saved["frame"])[0]
        atoms.set_momenta(atoms.arrays["momenta"])
        done = int(saved["steps"])
    else:
        atoms, done = beginning(seed), 0
    atoms.calc = reference_calculator()
    while done < steps:
        # noise depends on the seed and the step alone, whenever it was interrupted
        noise = np.random.default_rng([seed, done])
        dynamics = Langevin(
            atoms,
            TIMESTEP_FS * units.fs,
            temperature_K=TEMPERATURE,
            friction=FRICTION_PER_PS / (1000 * units.fs),
            fixcm=False,
            rng=noise,
        )
        dynamics.run(BLOCK)
        done += BLOCK
        name = f"step-{done:06d}.extxyz"
        momenta = {"momenta": atoms.get_momenta()}
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        write_text(
            folder / name, format_frame(bare, momenta, {"energy_model": float(atoms.get_potential_energy())}, {})
        )
        write_text(state, json.dumps({"steps": done, "frame": name}) + "\n")
        print(f"{folder.name}: step {done}/{steps}, {atoms.get_temperature():.0f} K", flush=True)


def beginning(seed: int) -> Atoms:
    """A packed box after 1 ps of the bundled potential, with its velocities."""
    base = jaxft.load("cobalt-mini")
    box = relax(base, pack(COMPOSITION, DENSITY, seed=seed), max_force=0.2)
    settings = MDSettings(
        temperature=TEMPERATURE, timestep_fs=TIMESTEP_FS, friction_per_ps=FRICTION_PER_PS, frame_every=100
    )
    simulation, _ = advance(start(base, [box], settings, jax.random.key(seed)), 20)
    atoms = simulation.atoms(0)
    fresh = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    fresh.set_momenta(atoms.get_momenta())
    return fresh


def reference_calculator() -> Calculator:
    """The labels' method as an ASE calculator that starts each SCF from the last one."""
    from tblite.ase import TBLite

    return TBLite(
        method="GFN1-xTB", multiplicity=4, spin_polarization=1.0, mixer_damping=0.15, max_iterations=500, verbosity=0
    )


def frames_of(folder: Path, ps: float) -> list[Atoms]:
    """A frame every 100 fs after equilibration; none where the run is not done."""
    return list(_frames(folder, ps)) if (folder / _name(EQUILIBRATION_PS + ps)).exists() else []


def _frames(folder: Path, ps: float) -> Iterator[Atoms]:
    for k in range(1, round(ps * 1000 / BETWEEN_FS) + 1):
        atoms = read_frames(folder / _name(EQUILIBRATION_PS + k * BETWEEN_FS / 1000))[0]
        yield Atoms(
            atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True, info={"run": int(folder.name.split("-")[1])}
        )


def _name(ps: float) -> str:
    return f"step-{round(ps * 1000 / TIMESTEP_FS):06d}.extxyz"


def label(frames: list[Atoms], store_path: Path, out: Path) -> None:
    """Label all frames; each of them must get a label, since the reference itself walked there."""
    with open_store(store_path) as store, open_executor(ExecutorSettings(workers=2)) as executor:
        entries = label_structures(frames, REFERENCE, store, executor)
    good = [
        LabelledStructure(atoms, entry.energy, entry.forces, entry.stress)
        for atoms, entry in zip(frames, entries, strict=True)
        if isinstance(entry, Label)
    ]
    print(f"{len(good)} of {len(frames)} frames labelled")
    write_dataset(out, good)


if __name__ == "__main__":
    main()
