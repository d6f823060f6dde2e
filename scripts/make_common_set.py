"""Make the common set: 100 labelled frames of the study box from dynamics under GFN1-xTB itself.

    python scripts/make_common_set.py WORK OUT.extxyz [--run K] [--ps 5]
    python scripts/make_common_set.py WORK --check-integrator

Two runs from two boxes (packed, relaxed and equilibrated for 1 ps under cobalt-mini, then 1 ps under GFN1-xTB), 350 K, Langevin
with 1/ps, 5 ps each; a frame every 100 fs, labelled afresh as every label is.

The dynamics are those of GFN1-xTB by reversible multiple time steps (Tuckerman, Berne, Martyna, J. Chem. Phys. 97 (1992)
1990): cobalt-mini moves the atoms every 0.5 fs, the difference between GFN1-xTB and cobalt-mini acts every 2 fs. cobalt-mini
decides how large the error of the integrator is, not which ensemble is sampled; ``--check-integrator`` compares the energy
that 0.1 ps without a thermostat conserve with that of plain steps of 0.5 fs. The SCF starts from the step before, which
labels never do, and has tblite's ``accuracy`` 100, which changes forces by 0.003 eV/Å (root mean square, of 0.9) and halves
the time.

Written to WORK after every 25 steps of 2 fs: run it again, it goes on with the same noise. ``--run K`` does one of the two only,
so that two processes can share the work; the set is written when both are done. About 0.8 s of one core per 2 fs.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator

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
DENSITY, TEMPERATURE, FRICTION_PER_PS = 1.3, 350.0, 1.0
OUTER_FS, INNER_STEPS = 2.0, 4
SEEDS = (9101, 9102)
"""Of the boxes: used nowhere else."""
EQUILIBRATION_PS, BETWEEN_FS, BLOCK = 1.0, 100.0, 25
REFERENCE = ReferenceSettings(settings={"method": "GFN1-xTB", "mixer_damping": 0.15}, multiplicity=4)


@dataclass
class Phase:
    """Where the atoms are, how fast, and the forces there: of the bundled potential, and what the reference adds to them."""

    atoms: Atoms
    fast: np.ndarray
    slow: np.ndarray


def main() -> None:
    """Both runs, or one of them; then the labels, where both are done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("common_set.extxyz"))
    parser.add_argument("--run", type=int, choices=(0, 1))
    parser.add_argument("--ps", type=float, default=5.0)
    parser.add_argument("--check-integrator", action="store_true")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    if asked.check_integrator:
        check_integrator(asked.work / "run-0")
        return
    for number in range(len(SEEDS)) if asked.run is None else (asked.run,):
        simulate(asked.work / f"run-{number}", SEEDS[number], asked.ps)
    frames = [frames_of(asked.work / f"run-{number}", asked.ps) for number in range(len(SEEDS))]
    if all(frames):
        label([atoms for of_run in frames for atoms in of_run], asked.work / "labels.db", asked.out)


def simulate(folder: Path, seed: int, ps: float) -> None:
    """Dynamics under the reference, from where it stopped."""
    folder.mkdir(exist_ok=True)
    state, steps = folder / "state.json", round((EQUILIBRATION_PS + ps) * 1000 / OUTER_FS)
    if state.exists():
        saved = json.loads(state.read_text())
        atoms, done = with_momenta(folder / saved["frame"]), int(saved["steps"])
    else:
        atoms, done = beginning(seed), 0
    bundled, reference = jaxft.load("cobalt-mini").calculator(), reference_calculator()
    phase = begin(atoms, bundled, reference)
    while done < steps:
        # noise depends on the seed and the step alone, whenever it was interrupted
        noise = np.random.default_rng([seed, done])
        for _ in range(BLOCK):
            phase = outer_step(phase, bundled, reference, OUTER_FS, INNER_STEPS, noise)
        done += BLOCK
        name, now = _name(done * OUTER_FS / 1000), phase.atoms
        bare = Atoms(now.numbers, now.positions, cell=now.cell, pbc=now.pbc)
        write_text(folder / name, format_frame(bare, {"momenta": now.get_momenta()}, {}, {}))
        write_text(state, json.dumps({"steps": done, "frame": name}) + "\n")
        print(f"{folder.name}: {done * OUTER_FS:.0f} fs, {now.get_temperature():.0f} K", flush=True)


def begin(atoms: Atoms, bundled: Calculator, reference: Calculator) -> Phase:
    """The forces at the start."""
    fast = bundled.get_forces(atoms)
    return Phase(atoms, fast, reference.get_forces(atoms) - fast)


def outer_step(
    phase: Phase,
    bundled: Calculator,
    reference: Calculator,
    step_fs: float,
    n_inner: int,
    noise: np.random.Generator | None,
) -> Phase:
    """Half a kick by the difference, ``n_inner`` steps of the bundled potential, half a kick by the new difference.

    The inner steps are BAOAB (Leimkuhler, Matthews, Appl. Math. Res. Express 2013, 34): Langevin with friction 1/ps, or velocity
    Verlet without ``noise``.
    """
    atoms, dt = phase.atoms.copy(), step_fs * units.fs / n_inner
    momenta = phase.atoms.get_momenta() + 0.5 * n_inner * dt * phase.slow
    masses, fast = atoms.get_masses()[:, None], phase.fast
    keep = np.exp(-FRICTION_PER_PS / 1000 * step_fs / n_inner)
    width = np.sqrt(masses * units.kB * TEMPERATURE * (1 - keep**2))
    for _ in range(n_inner):
        momenta += 0.5 * dt * fast
        atoms.positions += 0.5 * dt * momenta / masses
        if noise is not None:
            momenta = keep * momenta + width * noise.normal(size=momenta.shape)
        atoms.positions += 0.5 * dt * momenta / masses
        fast = bundled.get_forces(atoms)
        momenta += 0.5 * dt * fast
    slow = reference.get_forces(atoms) - fast
    atoms.set_momenta(momenta + 0.5 * n_inner * dt * slow)
    return Phase(atoms, fast, slow)


def check_integrator(folder: Path) -> None:
    """Energy kept by 0.1 ps without a thermostat, from the newest state: multiple time steps, and plain ones of 0.5 fs."""
    atoms = with_momenta(folder / json.loads((folder / "state.json").read_text())["frame"])
    bundled = jaxft.load("cobalt-mini").calculator()
    for name, step_fs, n_inner in (("plain 0.5 fs", 0.5, 1), ("every 2 fs", OUTER_FS, INNER_STEPS)):
        reference = reference_calculator()
        phase, energies = begin(atoms, bundled, reference), []
        for _ in range(round(100 / step_fs)):
            phase = outer_step(phase, bundled, reference, step_fs, n_inner, None)
            energies.append(reference.results["energy"] + phase.atoms.get_kinetic_energy())
        away = np.array(energies) - energies[0]
        slope = np.polyfit(np.arange(len(away)) * step_fs / 1000, away, 1)[0]
        print(
            f"{name}: spread {1000 * away.std() / len(atoms):.3f} meV/atom, drift {1000 * slope / len(atoms):.3f} meV/atom/ps"
        )


def with_momenta(path: Path) -> Atoms:
    """A frame of these runs."""
    atoms = read_frames(path)[0]
    atoms.set_momenta(atoms.arrays["momenta"])
    return atoms


def beginning(seed: int) -> Atoms:
    """A packed box after 1 ps of the bundled potential, with its velocities."""
    base = jaxft.load("cobalt-mini")
    box = relax(base, pack(COMPOSITION, DENSITY, seed=seed), max_force=0.2)
    settings = MDSettings(temperature=TEMPERATURE, timestep_fs=0.5, friction_per_ps=FRICTION_PER_PS, frame_every=100)
    simulation, _ = advance(start(base, [box], settings, jax.random.key(seed)), 20)
    atoms = simulation.atoms(0)
    fresh = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    fresh.set_momenta(atoms.get_momenta())
    return fresh


def reference_calculator() -> Calculator:
    """The labels' method as an ASE calculator that starts each SCF from the last one."""
    from tblite.ase import TBLite

    return TBLite(
        method="GFN1-xTB",
        multiplicity=4,
        spin_polarization=1.0,
        mixer_damping=0.15,
        max_iterations=500,
        accuracy=100.0,
        verbosity=0,
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
    return f"fs-{round(1000 * ps):06d}.extxyz"


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
