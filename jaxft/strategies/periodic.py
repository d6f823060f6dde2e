"""The periodic strategy: one trajectory whose potential is fine-tuned again after each round.

Round k equilibrates and produces under the newest potential (round 1: the base), its frames are labelled, the newest potential
is fine-tuned on all labels so far, and the trajectory goes on from its last full state. Source: Wong & Yang (arXiv 2603.10159);
protocol 2.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from jaxft.strategies.accept import accept_labels
from jaxft.strategies.bench import Arm, Bench, Model
from jaxft.strategies.independence import Independence, independence
from jaxft.structures.dataset import LabelledStructure


def even_picks(n_frames: int, picks: int) -> list[int]:
    """Numbers of the frames of a round, best first: ``picks`` at even spacing, the last frame among them, then all others.

    The others stand by to replace frames whose labels are refused; each next one is the farthest from all before it.
    """
    spaced = np.linspace(0, n_frames, min(picks, n_frames) + 1)[1:]
    order = sorted({int(np.ceil(x)) - 1 for x in spaced})
    while len(order) < n_frames:
        distance = np.abs(np.arange(n_frames)[:, None] - np.array(order)).min(axis=1)
        order.append(int(np.argmax(distance)))
    return order


def run_periodic(bench: Bench, budgets: Sequence[int], weights_from: str = "parent") -> Arm:
    """One model per round, FT1 and so on; round k ends with ``budgets[k-1]`` labels in all.

    weights_from: ``parent`` (each fine-tune goes on from the model before it) or ``base`` (each starts again from the base, on all
    labels so far); the trajectory goes on under the newest model either way.

    A round that a guard stops is a failed round: the frames before the guard count, and the next round starts anew from the
    last frame that the reference accepted. Where a round has fewer good frames than labels wanted, the arm ends with the
    models so far and says why.
    """
    models: list[Model] = []
    data: list[LabelledStructure] = []
    picked: list[Independence] = []
    previous: str | None = None
    restart_from: Atoms | None = None
    for number, budget in enumerate(budgets, start=1):
        potential = models[-1].potential if models else bench.base
        name = f"periodic-{number}"
        leg = bench.sample_onward(name, potential, previous, restart_from)
        frames, stop = leg.frames[0], leg.stopped[0]
        wanted = budget - len(data)
        order = even_picks(len(frames), wanted)
        accepted = accept_labels([frames[k] for k in order], wanted, bench.label)
        if len(accepted.labelled) < wanted:
            why = f" (stopped after {stop[0]:.0f} fs: {stop[1]})" if stop else ""
            return Arm(models, f"periodic round {number} {accepted.why_too_few(wanted, len(frames))}{why}")
        data += [labelled for _, labelled in accepted.labelled]
        picked.append(independence(leg.energies[0], leg.spacing_fs, wanted))
        parent = models[-1].name if models and weights_from == "parent" else "base"
        models.append(bench.finetune(f"FT{number}", "periodic", parent, data, picked))
        previous = name
        restart_from = frames[max(order[k] for k, _ in accepted.labelled)] if stop else None
    return Arm(models)
