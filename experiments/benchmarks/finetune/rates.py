"""Which learning rate and batch size at 2000 updates? ``python rates.py study``, ``python rates.py 3bpa|aspirin FOLDER``.

study   cobalt-mini on 50 GFN1 labels of the study box
3bpa    nequix-mp-1 on 50 structures of 3BPA; every seed has a training set of its own
aspirin the same on 50 structures of rMD17's aspirin

Errors and forgetting are those of ``methods.py``. Goes on where it was stopped. ``--seeds N`` instead of one, ``--rates`` instead
of all; ``--batch B`` does one batch size (so that several processes share the work).
"""

import argparse

import common

from jaxft.finetune.fit import Extras
from jaxft.finetune.settings import FinetuneSettings

RATES, BATCHES, UPDATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), (1, 5), 2000


def main(study, folder, seeds, batches, wanted):
    """Every rate with every batch size."""
    journal = common.Journal(f"finetune_rates-{study}")
    for seed in range(seeds):
        base, train, tests, unseen = common.task(study, folder, seed)
        for batch in batches:
            rates = [rate for rate in wanted if not journal.has(rate=rate, batch=batch, seed=seed)]
            members = [
                FinetuneSettings(updates=UPDATES, learning_rate=rate, batch_size=batch, seed=seed) for rate in rates
            ]
            for rate, result in zip(rates, common.fit_all(base, train, members, Extras()), strict=True):
                found = common.measures(base, result.potential, tests, unseen)
                failed = result.failure is not None
                journal.add({"rate": rate, "batch": batch, "seed": seed, "failed": failed, **found})
    return journal.read()


def summarise(study, folder, rows):
    """Means over seeds with standard errors."""
    base, _, tests, _ = common.task(study, folder)
    table = []
    for batch, rate in sorted({(row["batch"], row["rate"]) for row in rows}):
        same = [row for row in rows if (row["batch"], row["rate"]) == (batch, rate)]
        keys = [key for key in same[0] if key.split(",")[0] in ("forces", "energy", "forgetting")]
        means = {key: common.mean_and_error([row[key] for row in same]) for key in keys}
        failed = sum(row["failed"] for row in same)
        table.append({"batch": batch, "rate": rate, "seeds": len(same), "stopped early": failed, **means})
    before = {f"forces, {name}": common.forces_rmse(base, data) for name, data in tests.items()}
    common.write(
        f"finetune_rates-{study}",
        {"base": common.BASES[study], "updates": UPDATES, "before": before, "table": table},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("study", choices=common.BASES)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--batch", nargs="*", type=int)
    parser.add_argument("--rates", nargs="*", type=float)
    a = parser.parse_args()
    found = main(a.study, a.folder, a.seeds, a.batch or BATCHES, a.rates or RATES)
    summarise(a.study, a.folder, found)
