"""What to train: full, frozen, LoRA, readout, replay. ``python methods.py study`` or ``python methods.py 3bpa FOLDER_OF_3BPA``.

study   cobalt-mini on 50 GFN1 labels of the study box (half of the common set), 5 seeds, 300 updates, two learning rates
3bpa    nequix-mp-1 on 50 structures of 3BPA, 2 seeds, 20 epochs

For each: force RMSE and centred energy RMSE on test structures, forgetting (force RMSE against the base's own forces on structures
that were not replayed), numbers trained, seconds. Goes on where it was stopped: each fit is written when it is done.
"""

import json
import sys
import time

import common
import numpy as np

import jaxft
from jaxft.finetune.fit import Extras, fit
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.trainable import count_trained, label_parameters, trainable_of, tree_to_train
from jaxft.structures.generate import random_crystals
from jaxft.study.progress import Silent
from jaxft.study.replay import ReplaySettings, label_by, replay_structures

METHODS = {
    "full": {"method": "full"},
    "frozen (embedding, first layer)": {"method": "frozen", "frozen": ("embedding", "layer_0")},
    "LoRA (rank 4)": {"method": "lora"},
    "readout": {"method": "readout"},
    "full + replay": {"method": "full"},
}
STUDIES = {
    "study": {"base": "cobalt-mini", "updates": 300, "seeds": 5, "rates": (1e-3, 3e-3)},
    "3bpa": {"base": "nequix-mp-1", "updates": 200, "seeds": 2, "rates": (1e-3,)},
}


def main(study, folder=None):
    """Every method with every learning rate and seed; the rate with the smallest error of each method is the one in the table."""
    plan = STUDIES[study]
    base = jaxft.load(plan["base"])
    train, tests = common.study_box() if study == "study" else common.three_bpa(folder)
    replayed, unseen = own_structures(study, base, train)
    done_path = common.RESULTS / f"finetune_methods-{study}.jsonl"
    done = [json.loads(line) for line in done_path.read_text().splitlines()] if done_path.exists() else []
    seen = {(row["method"], row["rate"], row["seed"]) for row in done}
    for seed in range(plan["seeds"]):
        for name, choice in METHODS.items():
            for rate in plan["rates"]:
                if (name, rate, seed) in seen:
                    continue
                settings = FinetuneSettings(updates=plan["updates"], learning_rate=rate, seed=seed, **choice)
                extras = Extras(replay=replayed) if "replay" in name else Extras()
                began = time.perf_counter()
                result = fit(base, train, settings, extras=extras)
                seconds = time.perf_counter() - began
                row = {
                    "method": name,
                    "rate": rate,
                    "seed": seed,
                    "seconds": seconds,
                    **measures(base, result, tests, unseen),
                }
                row["trained"] = trained(base, settings)
                done.append(row)
                with done_path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    summarise(study, plan, base, tests, unseen, done)


def own_structures(study, base, train):
    """Structures with the base's own labels: to replay, and others to judge forgetting by."""
    if study == "3bpa":
        crystals = random_crystals(base.elements, 200, seed=0)
        own = label_by(base, crystals, "float32")
        return own[::2], own[1::2]
    at = ReplaySettings("dynamics", 50, 700.0)
    atoms = [item.atoms for item in train]
    return tuple(replay_structures(at, base, [atoms[k]], seed, "float32", Silent()) for k, seed in ((0, 1), (7, 2)))


def measures(base, result, tests, unseen):
    """Errors on the test sets, and forgetting."""
    found = {"forgetting": common.forgetting(base, result.potential, unseen)}
    for name, data in tests.items():
        found[f"forces, {name}"] = common.forces_rmse(result.potential, data)
        found[f"energy, {name}"] = common.energy_rmse(result.potential, data)
    return found


def trained(base, settings):
    """How many numbers are trained."""
    what = trainable_of(settings)
    tree = tree_to_train(base.params, what, 0)
    return count_trained(tree, label_parameters(tree, what))


def summarise(study, plan, base, tests, unseen, rows):
    """Means over seeds with standard errors, the best rate of each method."""
    first = next(iter(tests))
    table = {}
    for name in METHODS:
        by_rate = {rate: [r for r in rows if r["method"] == name and r["rate"] == rate] for rate in plan["rates"]}
        rate = min(by_rate, key=lambda x: np.mean([r[f"forces, {first}"] for r in by_rate[x]]))
        best = by_rate[rate]
        keys = [key for key in best[0] if key not in ("method", "rate", "seed", "trained")]
        table[name] = {
            "learning_rate": rate,
            "trained": best[0]["trained"],
            "seeds": len(best),
            **{key: common.mean_and_error([r[key] for r in best]) for key in keys},
        }
    before = {f"forces, {name}": common.forces_rmse(base, data) for name, data in tests.items()}
    common.write(
        f"finetune_methods-{study}",
        {"base": plan["base"], "updates": plan["updates"], "before": before, "table": table},
    )
    for name, row in table.items():
        print(name, row)


if __name__ == "__main__":
    main(*sys.argv[1:])
