"""Does it matter where a fine-tune of a periodic study starts: at its parent's weights, or at the base's? ``python lineage.py``

The labels are the same ones either way: fifty of the study box in stages of 10, 21, 31, 40 and 50, drawn at random from one
run of the reference (half of the common set); the other run is the test. Equal updates per model, as the protocol has it; and
*base, all updates*: the base trained once on all fifty with the updates of the whole chain. Three seeds, paired by seed.
"""

import common
import numpy as np

import jaxft
from jaxft.finetune.fit import fit
from jaxft.finetune.settings import FinetuneSettings

BUDGETS = (10, 21, 31, 40, 50)
UPDATES, RATE, SEEDS = 300, 1e-3, 3
OPTIMIZER = {"learning_rate": RATE, "adam_beta2": common.BETA2_BEFORE}


def main():
    """Every chain, and what it is compared with; goes on where it was stopped, seed by seed."""
    base = jaxft.load("cobalt-mini")
    labels, tests = common.study_box()
    order = np.random.default_rng(0).permutation(len(labels))
    stages = [[labels[k] for k in order[:budget]] for budget in BUDGETS]
    journal = common.Journal("finetune_lineage")
    for seed in range(len(journal.rows), SEEDS):
        row = {"from parent": [], "from base": []}
        parent = base
        for data in stages:
            settings = FinetuneSettings(updates=UPDATES, batch_size=5, **OPTIMIZER, seed=seed)
            parent = fit(parent, data, settings).potential
            row["from parent"].append(common.forces_rmse(parent, tests["study box"]))
            row["from base"].append(common.forces_rmse(fit(base, data, settings).potential, tests["study box"]))
        long = FinetuneSettings(updates=UPDATES * len(stages), batch_size=5, **OPTIMIZER, seed=seed)
        row["from base, all updates"] = common.forces_rmse(fit(base, stages[-1], long).potential, tests["study box"])
        journal.add(row)
    summarise(journal.rows)


def summarise(rows):
    """Means over seeds with standard errors, and the paired differences at the last budget."""
    table = {
        name: [common.mean_and_error([row[name][k] for row in rows]) for k in range(len(BUDGETS))]
        for name in ("from parent", "from base")
    }
    last = {name: np.array([row[name][-1] for row in rows]) for name in table}
    long = np.array([row["from base, all updates"] for row in rows])
    common.write(
        "finetune_lineage",
        {
            "base": "cobalt-mini",
            "budgets": BUDGETS,
            "updates_per_model": UPDATES,
            "batch_size": 5,
            "learning_rate": RATE,
            "force_rmse_mev_per_angstrom": table,
            "from base, all updates": common.mean_and_error(long),
            "parent minus base at 50": common.mean_and_error(last["from parent"] - last["from base"]),
            "parent minus base with all updates": common.mean_and_error(last["from parent"] - long),
        },
    )


if __name__ == "__main__":
    main()
