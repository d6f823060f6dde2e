"""The naive strategy: label dynamics of the unmodified base, and fine-tune the base once for each budget.

R replicas in independently packed boxes run under the base potential. Their frames make one list, interleaved over replicas and
time so that every prefix is well spread; each budget is a prefix of it. Source: Wong & Yang (arXiv 2603.10159); protocol 2.
"""

from collections.abc import Sequence

from jaxft.errors import InputError
from jaxft.stats.sequence import interleave
from jaxft.strategies.accept import accept_labels
from jaxft.strategies.bench import Bench, Leg, Model


def ordered_frames(leg: Leg) -> list[tuple[int, int]]:
    """(replica, frame) of every frame that exists, in van der Corput order over replicas and time."""
    longest = max(len(frames) for frames in leg.frames)
    order = interleave(len(leg.frames), longest)
    return [(int(r), int(k)) for r, k in order if k < len(leg.frames[r])]


def run_naive(bench: Bench, budgets: Sequence[int], replicas: int) -> list[Model]:
    """One model per budget, named N-10pts and so on. Raises InputError where there are fewer frames than labels wanted.

    The replicas share the steps that the periodic strategy spends in as many rounds as there are budgets.
    """
    leg = bench.sample_replicas("naive", bench.base, replicas, share=len(budgets) / replicas)
    candidates = [leg.frames[r][k] for r, k in ordered_frames(leg)]
    accepted = accept_labels(candidates, budgets[-1], bench.label)
    if len(accepted) < budgets[-1]:
        raise InputError(
            f"the naive strategy accepted {len(accepted)} labels of the {budgets[-1]} asked for, out of "
            f"{len(candidates)} frames; run longer (md.produce_ps), or lower the budgets"
        )
    data = [labelled for _, labelled in accepted]
    return [bench.finetune(f"N-{budget}pts", "naive", "base", data[:budget]) for budget in budgets]
