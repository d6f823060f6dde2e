"""What to train: full, frozen, LoRA, readout, replay. ``python methods.py study``, ``python methods.py 3bpa FOLDER [--seeds N]``.

study   cobalt-mini on 50 GFN1 labels of the study box (half of the common set), 5 seeds, 300 updates
3bpa    nequix-mp-1 on 50 structures of 3BPA, 2 seeds, each with a training set of its own (there are 10), 20 epochs; tested on a
        third of the others, since a CPU takes as long for that as for the training

For each: force RMSE and centred energy RMSE on test structures, forgetting (force RMSE against the base's own forces on structures
of another system, none of them replayed; for ``study`` also against the reference there), numbers trained. Where several learning
rates are given, the first seed tries them and the others take what was best on its test, so that error is a little small. Goes on
where it was stopped: rows are written as they come.

``--only METHOD`` does one of them (so that several processes share the work), ``--seconds`` times updates of single fits instead.
"""

import argparse
import time

import common
import jax

from jaxft.finetune.fit import Extras, fit
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.trainable import count_trained, label_parameters, trainable_of, tree_to_train

METHODS = {
    "full": {"method": "full"},
    "frozen (embedding, first layer)": {"method": "frozen", "frozen": ("embedding", "layer_0")},
    "frozen (first layer)": {"method": "frozen", "frozen": ("layer_0",)},
    "LoRA (rank 4)": {"method": "lora"},
    "readout": {"method": "readout"},
    "full + replay of another system": {"method": "full", "replay_batch": 1},
    "full + replay of the same system": {"method": "full", "replay_batch": 1},
}
NOT_FOR = {
    "study": ("frozen (first layer)",),
    # nequix-mp-1 has no embedding apart; its dynamics of a molecule in vacuum at 700 K are no use to it
    "3bpa": ("frozen (embedding, first layer)", "full + replay of the same system"),
}
PLANS = {
    "study": {"updates": 300, "seeds": 5, "test_every": 1, "rates": dict.fromkeys(METHODS, (3e-3, 1e-2))},
    # what trains little may want more
    "3bpa": {
        "updates": 200,
        "seeds": 2,
        "test_every": 3,
        "rates": {**dict.fromkeys(METHODS, (1e-3,)), "LoRA (rank 4)": (1e-3, 3e-3), "readout": (1e-3, 1e-2)},
    },
}

BATCH = 5


def main(study, folder, seeds, methods):
    """Every method with every seed and learning rate."""
    plan = PLANS[study]
    journal = common.Journal(f"finetune_methods-{study}")
    for seed in range(seeds):
        base, train, tests, unseen = thinned(common.task(study, folder, seed), plan)
        for name in methods:
            wanted = plan["rates"][name] if seed == 0 else [best_rate(journal.rows, name, next(iter(tests)))]
            rates = [rate for rate in wanted if not journal.has(method=name, rate=rate, seed=seed)]
            members = [settings_of(name, plan["updates"], rate, seed) for rate in rates]
            if not members:
                continue
            results = common.fit_all(base, train, members, extras_of(name, study, base, train))
            for rate, settings, result in zip(rates, members, results, strict=True):
                journal.add(
                    {
                        "method": name,
                        "rate": rate,
                        "beta2": settings.adam_beta2,
                        "seed": seed,
                        "failed": result.failure is not None,
                        **common.measures(base, result.potential, tests, unseen),
                        "trained": trained(base, settings),
                    }
                )
    return journal.read()


def thinned(task, plan):
    """The task with fewer test structures."""
    base, train, tests, unseen = task
    return base, train, {name: data[:: plan["test_every"]] for name, data in tests.items()}, unseen


def best_rate(rows, method, test):
    """The learning rate at which the first seed had the smallest force error."""
    tried = [r for r in rows if r["method"] == method and r["seed"] == 0]
    return min(tried, key=lambda r: r[f"forces, {test}"])["rate"]


def settings_of(name, updates, rate, seed):
    """Of a fit by one of the methods."""
    return FinetuneSettings(
        updates=updates,
        batch_size=BATCH,
        learning_rate=rate,
        seed=seed,
        **METHODS[name],
    )


def extras_of(name, study, base, train):
    """What a method replays."""
    if name == "full + replay of another system":
        return Extras(replay=common.another_system(study, 1))
    if name == "full + replay of the same system":
        return Extras(replay=common.own_dynamics(base, train[0].atoms, 2))
    return Extras()


def trained(base, settings):
    """How many numbers are trained."""
    what = trainable_of(settings)
    tree = tree_to_train(base.params, what, 0)
    return count_trained(tree, label_parameters(tree, what))


def seconds(study, folder, methods):
    """Wall time of one update of one fit by each method, of the second and third fifty; run it alone."""
    base, train, _, _ = common.task(study, folder)
    journal = common.Journal(f"finetune_methods-{study}-seconds-{jax.default_backend()}")
    for name in methods:
        if journal.has(method=name):
            continue
        moments = []
        settings = settings_of(name, 150, 1e-3, 0)
        extras = extras_of(name, study, base, train)
        fit(base, train, settings, extras=extras, on_progress=lambda _, m=moments: m.append(time.perf_counter()))
        journal.add({"method": name, "ms per update": 10.0 * (moments[-1] - moments[0])})
    common.write(journal.path.stem, {"base": common.BASES[study], "rows": journal.rows})


def summarise(study, folder, rows):
    """Of every method at every learning rate: means over seeds with standard errors; and the best rate."""
    base, _, tests, _ = thinned(common.task(study, folder), PLANS[study])
    table = {}
    for name in dict.fromkeys(row["method"] for row in rows):
        by_rate = {}
        for rate in sorted({row["rate"] for row in rows if row["method"] == name}):
            same = [row for row in rows if row["method"] == name and row["rate"] == rate]
            keys = [key for key in same[-1] if key.split(",")[0] in ("forces", "energy", "forgetting")]
            counts = {"seeds": len(same), "stopped early": sum(row["failed"] for row in same)}
            by_rate[rate] = {**counts, **{k: common.mean_and_error([r[k] for r in same]) for k in keys}}
        best = best_rate(rows, name, next(iter(tests)))
        table[name] = {"trained": same[0]["trained"], "best_rate": best, "by_rate": by_rate}
    before = {f"forces, {name}": common.forces_rmse(base, data) for name, data in tests.items()}
    common.write(
        f"finetune_methods-{study}",
        {
            "base": common.BASES[study],
            "updates": PLANS[study]["updates"],
            "batch_size": BATCH,
            "beta2": sorted({row["beta2"] for row in rows}),
            "before": before,
            "table": table,
        },
    )
    for name, row in table.items():
        print(name, row["best_rate"], row["by_rate"][row["best_rate"]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("study", choices=PLANS)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--only", nargs="*", choices=METHODS)
    parser.add_argument("--seconds", action="store_true")
    a = parser.parse_args()
    every = [name for name in METHODS if name not in NOT_FOR[a.study]]
    if a.seconds:
        seconds(a.study, a.folder, a.only or every)
    else:
        found = main(a.study, a.folder, a.seeds or PLANS[a.study]["seeds"], a.only or every)
        if not a.only:
            summarise(a.study, a.folder, found)
