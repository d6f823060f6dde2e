"""The naive strategy: label dynamics of the unmodified base, and fine-tune the base once for each budget.

R replicas in independently packed boxes run under the base potential. Their frames make one list, interleaved over replicas and
time so that every prefix is well spread; each budget is a prefix of it. Source: Wong & Yang (arXiv 2603.10159); protocol 2.
"""

from collections import Counter
from collections.abc import Sequence

from jaxft.stats.sequence import interleave
from jaxft.strategies.accept import accept_labels
from jaxft.strategies.bench import Arm, Bench, Leg, Model
from jaxft.strategies.independence import independence


def ordered_frames(leg: Leg) -> list[tuple[int, int]]:
    """(replica, frame) of every frame that exists, in van der Corput order over replicas and time."""
    longest = max(len(frames) for frames in leg.frames)
    if longest == 0:
        return []
    order = interleave(len(leg.frames), longest)
    return [(int(r), int(k)) for r, k in order if k < len(leg.frames[r])]


def run_naive(bench: Bench, budgets: Sequence[int], replicas: int) -> Arm:
    """One model per budget, named N-10pts and so on; where labels ran out, those whose budget was reached.

    The replicas share the steps that the periodic strategy spends in as many rounds as there are budgets.
    """
    leg = bench.sample_replicas("naive", bench.base, replicas, share=len(budgets) / replicas)
    order = ordered_frames(leg)
    accepted = accept_labels([leg.frames[r][k] for r, k in order], budgets[-1], bench.label)
    data = [labelled for _, labelled in accepted.labelled]
    models: list[Model] = []
    for budget in budgets:
        if budget > len(data):
            return Arm(models, f"naive {accepted.why_too_few(budget, len(order))}{_stops(leg)}")
        from_replica = Counter(order[k][0] for k, _ in accepted.labelled[:budget])
        picked = [independence(leg.energies[r], leg.spacing_fs, n) for r, n in sorted(from_replica.items())]
        models.append(bench.finetune(f"N-{budget}pts", "naive", "base", data[:budget], picked))
    return Arm(models)


def _stops(leg: Leg) -> str:
    stopped = [f"replica {r} was stopped after {s[0]:.0f} fs: {s[1]}" for r, s in enumerate(leg.stopped) if s]
    return f" ({'; '.join(stopped)})" if stopped else ""
