"""What to train: full, frozen, LoRA, readout, replay. ``python methods.py study`` or ``python methods.py 3bpa FOLDER_OF_3BPA``.

study   cobalt-mini on 50 GFN1 labels of the study box (half of the common set), 5 seeds, 300 updates, two learning rates
3bpa    nequix-mp-1 on 50 structures of 3BPA, 2 seeds, 20 epochs

For each: force RMSE and centred energy RMSE on test structures, forgetting (force RMSE against the base's own forces on structures
of another system, none of them replayed; for ``study`` also against the reference there), numbers trained, seconds of processor
time. The first seed tries every learning rate, the others take what was best on its test, so errors of the best rate are a
little small.
Goes on where it was stopped: each fit is written when it is done.
"""

import sys
import time

import common

from jaxft.finetune.fit import Extras, fit
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.trainable import count_trained, label_parameters, trainable_of, tree_to_train

METHODS = {
    "full": {"method": "full"},
    "frozen (embedding, first layer)": {"method": "frozen", "frozen": ("embedding", "layer_0")},
    "LoRA (rank 4)": {"method": "lora"},
    "readout": {"method": "readout"},
    "full + replay of another system": {"method": "full"},
    "full + replay of the same system": {"method": "full"},
}
PLANS = {
    "study": {"updates": 300, "seeds": 5, "rates": (3e-3, 1e-2)},
    "3bpa": {"updates": 200, "seeds": 2, "rates": (1e-3, 3e-3)},
}


def main(study, folder=None):
    """Every method with every seed, at the learning rate that served the first seed best."""
    plan = PLANS[study]
    base, train, tests, unseen = common.task(study, folder)
    replayed = replays(study, base, train)
    journal = common.Journal(f"finetune_methods-{study}")
    for seed in range(plan["seeds"]):
        for name, choice in METHODS.items():
            if "replay" in name and name not in replayed:
                continue
            for rate in plan["rates"] if seed == 0 else (best_rate(journal.rows, name, next(iter(tests))),):
                if journal.has(method=name, rate=rate, seed=seed):
                    continue
                settings = FinetuneSettings(updates=plan["updates"], learning_rate=rate, seed=seed, **choice)
                extras = Extras(replay=replayed[name]) if name in replayed else Extras()
                began = time.process_time()
                result = fit(base, train, settings, extras=extras)
                seconds = time.process_time() - began
                journal.add(
                    {
                        "method": name,
                        "rate": rate,
                        "seed": seed,
                        "processor seconds": seconds,
                        **common.measures(base, result.potential, tests, unseen),
                        "trained": trained(base, settings),
                    }
                )
    summarise(study, plan, base, tests, journal.rows)


def best_rate(rows, method, test):
    """The learning rate at which the first seed had the smallest force error."""
    tried = [r for r in rows if r["method"] == method and r["seed"] == 0]
    return min(tried, key=lambda r: r[f"forces, {test}"])["rate"]


def replays(study, base, train):
    """What each kind of replay takes."""
    kinds = {"full + replay of another system": common.another_system(study, base, 1)}
    if study == "study":
        kinds["full + replay of the same system"] = common.own_dynamics(base, train[0].atoms, 2)
    return kinds


def trained(base, settings):
    """How many numbers are trained."""
    what = trainable_of(settings)
    tree = tree_to_train(base.params, what, 0)
    return count_trained(tree, label_parameters(tree, what))


def summarise(study, plan, base, tests, rows):
    """Means over seeds with standard errors at the best rate of each method, and what the other rates gave the first seed."""
    first = next(iter(tests))
    table = {}
    for name in dict.fromkeys(row["method"] for row in rows):
        mine = [r for r in rows if r["method"] == name]
        rate = best_rate(rows, name, first)
        best = [r for r in mine if r["rate"] == rate]
        keys = [key for key in best[0] if key not in ("method", "rate", "seed", "trained")]
        table[name] = {
            "learning_rate": rate,
            "trained": best[0]["trained"],
            "seeds": len(best),
            **{key: common.mean_and_error([r[key] for r in best]) for key in keys},
            "rates of the first seed": {r["rate"]: r[f"forces, {first}"] for r in mine if r["seed"] == 0},
        }
    before = {f"forces, {name}": common.forces_rmse(base, data) for name, data in tests.items()}
    common.write(
        f"finetune_methods-{study}",
        {"base": common.BASES[study], "updates": plan["updates"], "before": before, "table": table},
    )
    for name, row in table.items():
        print(name, row)


if __name__ == "__main__":
    main(*sys.argv[1:])
