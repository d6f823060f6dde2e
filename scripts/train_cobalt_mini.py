"""Train cobalt-mini: distil nequix-oam-1 into a small network for H, O, Cl, Co, Li, Na in solution.

    JAXFT_MODELS=folder/with/weights python scripts/train_cobalt_mini.py WORK [--until STAGE]

Everything is made here: packed boxes, short teacher dynamics to start from, then rounds in which the student explores and the
teacher labels what it visited (so that the student learns to be right where it goes itself), a long last training, and tests on
frames of the teacher's own dynamics. Every box and every training is a file in WORK: run it again and it goes on. Seeds are
fixed. Data are not part of the project; weights and the model card are (``jaxft/potential/data/cobalt-mini``).
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from ase import Atoms
from ase.optimize import FIRE

import jaxft
from jaxft.finetune.fit import fit
from jaxft.finetune.metrics import evaluate_set
from jaxft.finetune.settings import FinetuneSettings, LossWeights
from jaxft.md.run import run
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import advance, start
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.nequip import NequIP, NequIPSettings
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure, read_dataset, write_dataset
from jaxft.structures.pack import pack

TEACHER = "nequix-oam-1"
NUMBERS = (1, 3, 8, 11, 17, 27)
MAX_FORCE = 25.0
"""eV/Å; frames with more are no liquid any more and would only distort the fit."""

# All have 52 atoms, so that the teacher is compiled once. The first is the study box.
COMPOSITIONS = (
    {"CoCl2": 1, "LiCl": 2, "H2O": 15},
    {"CoCl2": 1, "NaCl": 2, "H2O": 15},
    {"LiCl": 2, "H2O": 16},
    {"CoCl2": 2, "LiCl": 2, "H2O": 14},
    {"LiCl": 1, "NaCl": 1, "H2O": 16},
)

NETWORK = NequIPSettings(
    n_species=len(NUMBERS),
    cutoff=5.0,
    hidden_irreps="64x0e+32x1o+16x2e",
    lmax=2,
    n_layers=2,
    n_basis=8,
    radial_hidden=(32,),
    average_neighbors=40.0,
    embedding=32,
    skip_per_species=True,
)


@dataclass(frozen=True)
class Box:
    """One starting box: what is in it, how dense (g/cm³), which seed."""

    composition: int
    density: float
    seed: int

    @property
    def name(self) -> str:
        """File name without ending."""
        return f"c{self.composition}-d{round(100 * self.density)}-s{self.seed}"

    def pack(self) -> Atoms:
        """The packed box."""
        return pack(COMPOSITIONS[self.composition], self.density, seed=self.seed)


def boxes(count: int, first_seed: int) -> list[Box]:
    """Boxes for training: half of them the study composition, densities around the study's."""
    rng = np.random.default_rng(first_seed)
    result = []
    for k in range(count):
        composition = 0 if k % 2 == 0 else 1 + (k // 2) % (len(COMPOSITIONS) - 1)
        result.append(Box(composition, float(rng.choice([1.1, 1.2, 1.3, 1.3, 1.4])), first_seed + k))
    return result


def label(teacher: Evaluator, frames: list[Atoms]) -> list[LabelledStructure]:
    """Teacher energies, forces and stresses of the frames; those with huge forces are left out."""
    labelled = []
    for atoms in frames:
        result = teacher(atoms)
        if np.abs(result.forces).max() < MAX_FORCE:
            labelled.append(LabelledStructure(atoms, result.energy, result.forces, result.stress))
    return labelled


def dynamics(
    potential: Potential, atoms: Atoms, temperature: float, steps: int, every: int, seed: int, timestep_fs: float = 0.5
) -> Iterator[Atoms]:
    """Frames of Langevin dynamics until a guard stops it; the last good frame is always among them."""
    settings = MDSettings(temperature=temperature, timestep_fs=timestep_fs, friction_per_ps=5.0, frame_every=every)
    simulation = start(potential, [atoms], settings, jax.random.key(seed))
    for _ in range(max(1, steps // (10 * every))):
        simulation, frames = advance(simulation, 10)
        for positions, status in zip(frames.positions[:, 0], frames.status[:, 0], strict=True):
            yield _plain(atoms, positions)
            if status:
                return


def _plain(template: Atoms, positions: np.ndarray) -> Atoms:
    return Atoms(template.numbers, np.asarray(positions, dtype=np.float64), cell=template.cell, pbc=True)


def relax(potential: Potential, atoms: Atoms, steps: int, every: int) -> list[Atoms]:
    """Frames of a FIRE relaxation, the last one relaxed."""
    atoms = atoms.copy()
    atoms.calc = potential.calculator()
    frames: list[Atoms] = []
    with FIRE(atoms, logfile=None, maxstep=0.1) as fire:
        fire.attach(lambda: frames.append(_plain(atoms, atoms.positions)), interval=every)
        fire.run(fmax=0.3, steps=steps)
        last = [] if fire.nsteps % every == 0 else [_plain(atoms, atoms.positions)]
    return frames + last


def make_seed_data(work: Path, teacher: Potential, count: int) -> None:
    """Teacher relaxations and hot, slow-motion teacher dynamics (hydrogen of 4 u, 1 fs: the ensemble is the same)."""
    evaluator = Evaluator(teacher)
    for box in boxes(count, first_seed=1000):
        path = work / "data" / f"seed-{box.name}.extxyz"
        if path.exists():
            continue
        relaxing = relax(teacher, box.pack(), steps=40, every=8)
        heavy = relaxing[-1].copy()
        heavy.set_masses(np.where(heavy.numbers == 1, 4.0, heavy.get_masses()))
        moving = list(dynamics(teacher, heavy, 700.0, steps=100, every=10, seed=box.seed, timestep_fs=1.0))
        write_dataset(path, label(evaluator, relaxing + moving))
        print(f"seed data {box.name}: {len(relaxing) + len(moving)} frames", flush=True)


def explore(work: Path, student: Potential, teacher: Potential, number: int, count: int) -> None:
    """The student relaxes and runs new boxes at 350, 600 and 900 K; the teacher labels what it visited."""
    evaluator = Evaluator(teacher)
    for k, box in enumerate(boxes(count, first_seed=1000 * (number + 2))):
        path = work / "data" / f"explore{number}-{box.name}.extxyz"
        if path.exists():
            continue
        frames = relax(student, box.pack(), steps=100, every=25)
        temperature = (350.0, 600.0, 350.0, 900.0)[k % 4]
        moving = list(dynamics(student, frames[-1], temperature, steps=2000, every=100, seed=box.seed))
        write_dataset(path, label(evaluator, frames + moving))
        print(f"explored {box.name} at {temperature:.0f} K: {len(frames) + len(moving)} frames", flush=True)


def training_data(work: Path, rounds: int) -> list[LabelledStructure]:
    """The labelled frames of the seed and of the first ``rounds`` explorations, in the order of their file names."""
    stages = ["seed", *(f"explore{k + 1}" for k in range(rounds))]
    paths = [path for stage in stages for path in sorted((work / "data").glob(f"{stage}-*.extxyz"))]
    return [frame for path in paths for frame in read_dataset(path)]


def untrained(data: list[LabelledStructure]) -> Potential:
    """A network of random weights whose reference energies are the least-squares fit to the labels."""
    network = NequIP(NETWORK)
    ends = np.array([0, 1], dtype=np.int32)
    params = network.init(jax.random.key(0), np.ones((2, 3), np.float32), ends * 0, ends, ends[::-1])
    counts = np.array([[int((d.atoms.numbers == z).sum()) for z in NUMBERS] for d in data], dtype=np.float64)
    energies = np.array([d.energy for d in data])
    reference, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    provenance = {"name": "cobalt-mini", "teacher": TEACHER, "licence": "MIT"}
    return Potential(network, params, NUMBERS, reference, provenance=provenance)


def train(
    work: Path, name: str, data: list[LabelledStructure], parent: Potential, updates: int, rate: float
) -> Potential:
    """Train on energies, forces and stresses; the parent's folder or weights are where it starts."""
    folder = work / "models" / name
    if not (folder / "config.json").exists():
        settings = FinetuneSettings(
            updates=updates,
            batch_size=4,
            learning_rate=rate,
            weights=LossWeights(energy=10.0, forces=1.0, stress=100.0),
            warmup_fraction=0.02,
            adam_beta2=0.999,
            ema_decay=0.999,
        )
        result = fit(
            parent,
            data,
            settings,
            chunk=250,
            checkpoint=work / "checkpoints" / f"{name}.safetensors",
            on_progress=lambda now: print(
                f"{name}: update {now.update}/{now.updates}, loss {now.loss:.4f}", flush=True
            ),
        )
        if result.failure is not None:
            raise SystemExit(f"{name}: {result.failure.reason}")
        result.potential.save(folder)
    return jaxft.load(folder)


def make_test_data(work: Path, student: Potential, teacher: Potential) -> None:
    """Frames of the teacher's own dynamics of the study box at 350 and 600 K, real masses, 0.5 fs, boxes never trained on.

    The student brings each box to equilibrium, the teacher runs 0.15 ps on from there, then frames are 25 fs apart.
    """
    evaluator = Evaluator(teacher)
    for k, temperature in enumerate((350.0, 600.0, 350.0)):
        path = work / "test" / f"{temperature:.0f}K-{k}.extxyz"
        if path.exists():
            continue
        box = Box(0, 1.3, 900_000 + k)
        relaxed = relax(student, box.pack(), steps=200, every=200)[-1]
        *_, settled = dynamics(student, relaxed, temperature, steps=4000, every=200, seed=box.seed)
        frames = list(dynamics(teacher, settled, temperature, steps=1000, every=50, seed=box.seed + 1))[6:]
        write_dataset(path, label(evaluator, frames))
        print(f"test data {path.stem}: {len(frames)} frames", flush=True)


def endure(work: Path, potential: Potential, picoseconds: float = 100.0) -> dict[str, float | str | None]:
    """Langevin dynamics of a fresh study box at 350 K (0.5 fs, 1/ps), with the default guards; resumes from its checkpoint."""
    box = relax(potential, Box(0, 1.3, 910_000).pack(), steps=200, every=200)[-1]
    settings = MDSettings(temperature=350.0, frame_every=40)
    simulation = start(potential, [box], settings, jax.random.key(910_000))
    outcome = run(
        simulation,
        round(1000.0 * picoseconds / (0.5 * 40)),
        checkpoint=work / "checkpoints" / "endure.safetensors",
        trajectories=[work / "test" / "endure.h5md"],
        checkpoint_every_s=30.0,
        on_progress=lambda now: print(
            f"endurance: {now.frames}/{now.n_frames} frames, {now.ns_per_day:.2f} ns/day", flush=True
        ),
    )
    stop = outcome.stops[0]
    return {
        "ps": picoseconds if stop is None else stop.time_fs / 1000.0,
        "guard": None if stop is None else stop.reason,
    }


CARD = """# cobalt-mini

A small interatomic potential for H, O, Cl, Co, Li and Na in aqueous solution, distilled from {teacher} (MIT licence,
arXiv 2508.16067) by `scripts/train_cobalt_mini.py`. It ships with jaxft so that everything runs without a download.

- **For**: demonstrations, tests, and studying the method (signs and mechanism) where a universal potential would be too slow.
- **Not for**: answers about chemistry. It is less accurate than its teacher, which is itself a PBE-level model; it has seen five
  compositions of 52 atoms near 1.1–1.4 g/cm³ at up to 900 K and nothing else: no gas phase, no surfaces, no solids, no organic
  molecules, no other oxidation or spin states on purpose, no charge or spin as input. Outside of that its numbers mean nothing.
- **Network**: NequIP type, {parameters} parameters, {irreps}, {layers} layers, l up to {lmax}, cutoff {cutoff} Å, float32.
- **Training**: {frames} frames ({seed} from short teacher runs, the others visited by earlier students and labelled by the
  teacher), energies, forces and stresses; {updates} updates of 4 structures in the last training. The study composition was
  explored at 350 K, the other four at 600 and 900 K; frames with a force above 25 eV/Å were left out.

Errors against the teacher on frames of the teacher's own dynamics of the study box (CoCl2 + 2 LiCl + 15 H2O, 1.3 g/cm³; two
starting boxes at 350 K and one at 600 K, none trained on). Frames are 25 fs apart within a run, so fewer are independent than
there are; and each run starts 0.15 ps before its first frame from a box that the student had brought to equilibrium, so the
frames lie near the student's own ensemble and the errors may be on the low side:

| frames | energy RMSE, mean removed [meV/atom] | force RMSE [meV/Å] | {element_heads} |
|---|---|---|{element_rules}|
{rows}

Endurance: Langevin dynamics of a fresh study box at 350 K (0.5 fs, friction 1/ps): {endurance}.
"""


def write_card(work: Path, potential: Potential, target: Path) -> None:
    """Save the potential with a model card that states its errors, from what is measured here."""
    potential.save(target)
    rows, elements = [], ["H", "Li", "O", "Cl", "Co"]
    for temperature in (350, 600):
        data = [d for path in sorted((work / "test").glob(f"{temperature}K-*.extxyz")) for d in read_dataset(path)]
        found = evaluate_set(potential, data)
        errors = [found.forces_mev, *(found.forces_by_element_mev[element] for element in elements)]
        forces = " | ".join(f"{error.rmse:.0f}" for error in errors)
        rows.append(f"| {len(data)} at {temperature} K | {found.energy_centered_mev.rmse:.1f} | {forces} |")
        print(rows[-1], flush=True)
    lasted = endure(work, potential)
    length = f"{lasted['ps']:.1f} ps"
    told = f"{length}, no guard raised" if lasted["guard"] is None else f"stopped at {length}: {lasted['guard']}"
    settings = NETWORK
    card = CARD.format(
        teacher=TEACHER,
        parameters=potential.n_parameters,
        irreps=settings.hidden_irreps,
        layers=settings.n_layers,
        lmax=settings.lmax,
        cutoff=settings.cutoff,
        frames=len(training_data(work, rounds=len(ROUNDS))),
        seed=len(training_data(work, rounds=0)),
        updates=FINAL_UPDATES,
        element_heads=" | ".join(elements),
        element_rules="---|" * (len(elements) - 1) + "---",
        rows="\n".join(rows),
        endurance=told,
    )
    (target / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    print(card)


ROUNDS = ((1500, 1e-2, 12), (3000, 1e-2, 16))
"""Updates, learning rate and boxes explored afterwards, for each round of student and teacher."""

FINAL_UPDATES = 15_000

STAGES = ("seed", "0", "1", "final", "test")


def main() -> None:
    """Run the stages in order, each from what is on disk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1])
    arguments = parser.parse_args()
    work, last = arguments.work, STAGES.index(arguments.until)
    jax.config.update("jax_compilation_cache_dir", str(work / "xla"))
    teacher = jaxft.load(TEACHER)

    make_seed_data(work, teacher, count=6)
    student = None
    for number, (updates, rate, count) in enumerate(ROUNDS):
        if last < 1 + number:
            return
        data = training_data(work, rounds=number)
        student = train(work, f"round{number}", data, student or untrained(data), updates, rate)
        explore(work, student, teacher, number + 1, count)
    if last < STAGES.index("final"):
        return
    final = train(work, "final", training_data(work, rounds=len(ROUNDS)), student, FINAL_UPDATES, 5e-3)
    make_test_data(work, final, teacher)
    write_card(work, final, work / "cobalt-mini")


if __name__ == "__main__":
    main()
