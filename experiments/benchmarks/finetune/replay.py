"""When does replay keep a universal base what it was? ``JAXFT_MODELS=FOLDER python replay.py``.

nequix-mp-1 learns 20 water dimers labelled by nequix-oam-1, 500 updates of one, without replay and with one or eight crystals per
update, at three rates and two β₂ of Adam. The crystals are primitive cells of one or two atoms (90 edges, so that a row takes
minutes on one core) of all 89 elements, labelled by the base; those with forces above 2 eV/Å (root mean square) are left out. Of
two thousand, at one per update, none is seen twice; of 110, at eight per update, each is seen 36 times; of 25, at one per update,
20 times, which is what the defaults of ``jaxft finetune`` give (2000 updates, 100 structures).
Errors are RMSE of forces (meV/Å), every structure of equal weight: on 100 other dimers, and against the base on 110 other crystals,
with their median there, and on the first 110 or 25 of the replay set (seen or not). Goes on where it was stopped; ``--rates`` and
``--beta2`` do some.
"""

import argparse
from itertools import product

import common
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import atomic_numbers, covalent_radii

import jaxft
from jaxft.finetune.fit import Extras, fit
from jaxft.finetune.predict_set import predict_set
from jaxft.finetune.settings import FinetuneSettings
from jaxft.structures.generate import BINARY, ELEMENTAL, NEAREST, SCALE
from jaxft.study.replay import label_by

RATES, BETAS, UPDATES = (1e-4, 3e-4, 1e-3), (0.95, 0.999), 500
PLANS = ((0, 0), (1, 2000), (8, 2000), (8, 110), (1, 25))
"""Crystals per update, and of how many."""

LEAST_VOLUME = 10.0
LARGEST_RMS_FORCE = 2.0


def main(rates, betas):
    """Every rate and β₂ of Adam with every number of replay structures per update."""
    base, teacher = jaxft.load("nequix-mp-1"), jaxft.load("nequix-oam-1")
    train, test = (label_by(teacher, dimers(count, seed), "float32") for count, seed in ((20, 0), (100, 1)))
    replay, unseen = (
        calm(label_by(base, primitive_crystals(base.elements, n, s), "float32")) for n, s in ((2000, 1), (110, 2))
    )
    journal = common.Journal("finetune_replay")
    for per_update, of in PLANS:
        for rate, beta2 in product(rates, betas):
            these = {"rate": rate, "beta2": beta2, "per_update": per_update, "of": of}
            if journal.has(**these):
                continue
            settings = FinetuneSettings(
                updates=UPDATES, learning_rate=rate, adam_beta2=beta2, replay_batch=max(per_update, 1)
            )
            tuned = fit(base, train, settings, extras=Extras(replay=replay[:of])).potential
            there = errors(tuned, unseen)
            first = replay[: min(of or 110, 110)]
            journal.add(
                {
                    **these,
                    "dimers": rms(errors(tuned, test)),
                    "unseen crystals": rms(there),
                    "median of unseen crystals": float(np.median(there)),
                    f"first {len(first)} replayed": rms(errors(tuned, first)),
                }
            )
    common.write(
        "finetune_replay",
        {
            "base": "nequix-mp-1",
            "updates": UPDATES,
            "before": {"dimers": rms(errors(base, test))},
            "rms force of replayed crystals": rms([rms(item.forces) for item in replay]),
            "replayed of 2000 drawn": len(replay),
            "other crystals": len(unseen),
            "table": sorted(journal.read(), key=lambda row: (row["beta2"], row["rate"], row["per_update"], -row["of"])),
        },
    )


def dimers(count, seed):
    """Water dimers, oxygens about 2.9 Å apart, turned at random, every atom moved by 0.08 Å per direction."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        other = molecule("H2O")
        other.rotate(random.uniform(0, 360), random.normal(size=3))
        other.translate(np.array([0, 0, 2.9]) + random.normal(scale=0.3, size=3))
        pair = molecule("H2O") + other
        pair.positions += random.normal(scale=0.08, size=pair.positions.shape)
        found.append(pair)
    return found


def primitive_crystals(elements, count, seed):
    """As in ``jaxft/structures/generate.py``, but one cell of one or two atoms; none denser than 10 Å³ per atom before scaling."""
    random = np.random.default_rng(seed)
    return [_primitive(elements, random) for _ in range(count)]


def _primitive(elements, random) -> Atoms:
    first, second = (elements[int(k)] for k in random.choice(len(elements), size=2, replace=False))
    compound = random.random() < 0.5
    prototype = str(random.choice(BINARY if compound else ELEMENTAL))
    second = second if compound else first
    bond = covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]]
    atoms = bulk(first + second if compound else first, prototype, a=bond / NEAREST[prototype])
    larger = max(1.0, LEAST_VOLUME * len(atoms) / atoms.get_volume()) ** (1.0 / 3.0) * random.uniform(*SCALE)
    strain = np.eye(3) + random.uniform(-0.05, 0.05, size=(3, 3))
    atoms.set_cell(larger * atoms.cell.array @ strain, scale_atoms=True)
    atoms.positions += random.normal(scale=random.uniform(0, 0.25), size=(len(atoms), 3))
    return atoms


def calm(labelled):
    """Those whose forces are below ``LARGEST_RMS_FORCE`` (eV/Å)."""
    return [item for item in labelled if rms(item.forces) < LARGEST_RMS_FORCE]


def errors(potential, labelled):
    """RMSE of the forces of each structure, meV/Å."""
    said = predict_set(potential, [item.atoms for item in labelled], batch_size=32)
    return np.array([1000.0 * rms(f - item.forces) for f, item in zip(said.forces, labelled, strict=True)])


def rms(values):
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rates", nargs="*", type=float)
    parser.add_argument("--beta2", nargs="*", type=float)
    a = parser.parse_args()
    main(a.rates or RATES, a.beta2 or BETAS)
