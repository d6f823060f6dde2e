"""The periodic strategy: one trajectory whose potential is fine-tuned again after each round.

Round k equilibrates and produces under the newest potential (round 1: the base), its frames are labelled, the newest potential
is fine-tuned on all labels so far, and the trajectory goes on from its last full state. Source: Wong & Yang (arXiv 2603.10159);
protocol 2.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from jaxft.errors import InputError
from jaxft.strategies.accept import accept_labels
from jaxft.strategies.bench import Bench, Model
from jaxft.structures.dataset import LabelledStructure


def even_picks(n_frames: int, picks: int) -> list[int]:
    """Numbers of the frames of a round, best first: ``picks`` at even spacing, the last frame among them, then all others.

    The others stand by to replace frames whose labels are refused, nearest to the end first.
    """
    spaced = np.linspace(0, n_frames, min(picks, n_frames) + 1)[1:]
    chosen = sorted({int(np.ceil(x)) - 1 for x in spaced})
    others = [k for k in reversed(range(n_frames)) if k not in chosen]
    return chosen + others


def run_periodic(bench: Bench, budgets: Sequence[int]) -> list[Model]:
    """One model per round, FT1 and so on; round k ends with ``budgets[k-1]`` labels in all.

    A round that a guard stops is a failed round: the frames before the guard count, and the next round starts anew from the
    last frame that the reference accepted. Raises InputError where a round has fewer frames than labels wanted.
    """
    models: list[Model] = []
    data: list[LabelledStructure] = []
    previous: str | None = None
    restart_from: Atoms | None = None
    for number, budget in enumerate(budgets, start=1):
        potential = models[-1].potential if models else bench.base
        name = f"periodic-{number}"
        leg = bench.sample_onward(name, potential, previous, restart_from)
        frames = leg.frames[0]
        wanted = budget - len(data)
        order = even_picks(len(frames), wanted)
        accepted = accept_labels([frames[k] for k in order], wanted, bench.label)
        if len(accepted) < wanted:
            stop = leg.stopped[0]
            why = f"; it was stopped after {stop[0]:.0f} fs: {stop[1]}" if stop else ""
            raise InputError(
                f"round {number} of the periodic strategy accepted {len(accepted)} labels of the {wanted} asked for, out of "
                f"{len(frames)} frames{why}; run longer (md.produce_ps), or lower the budgets"
            )
        data += [labelled for _, labelled in accepted]
        models.append(bench.finetune(f"FT{number}", "periodic", models[-1].name if models else "base", data))
        previous = name
        restart_from = frames[max(order[k] for k, _ in accepted)] if leg.stopped[0] else None
    return models
