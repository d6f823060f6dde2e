"""Which learning rate, batch size and β₂ of Adam, at 2000 updates? ``python rates.py study``, ``... 3bpa|aspirin FOLDER``.

study   cobalt-mini on 50 GFN1 labels of the study box
3bpa    nequix-mp-1 on 50 structures of 3BPA; every seed has a training set of its own
aspirin the same on 50 structures of rMD17's aspirin

Errors and forgetting are those of ``methods.py``. Goes on where it was stopped. ``--seeds N`` instead of one, ``--rates`` instead
of all; ``--batch B`` and ``--beta2 B`` do one of these (so that several processes share the work).
"""

import argparse
from itertools import product

import common

from jaxft.finetune.fit import Extras
from jaxft.finetune.settings import FinetuneSettings

RATES, BATCHES, BETAS, UPDATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), (1, 5), (0.95, 0.999), 2000


def main(study, folder, seeds, batches, betas, wanted):
    """Every rate with every batch size and β₂."""
    journal = common.Journal(f"finetune_rates-{study}")
    for seed in range(seeds):
        base, train, tests, unseen = common.task(study, folder, seed)
        for batch, beta2 in product(batches, betas):
            these = {"batch": batch, "beta2": beta2, "seed": seed}
            rates = [rate for rate in wanted if not journal.has(rate=rate, **these)]
            members = [
                FinetuneSettings(updates=UPDATES, learning_rate=rate, batch_size=batch, adam_beta2=beta2, seed=seed)
                for rate in rates
            ]
            for rate, result in zip(rates, common.fit_all(base, train, members, Extras()), strict=True):
                found = common.measures(base, result.potential, tests, unseen)
                failed = result.failure is not None
                journal.add({"rate": rate, **these, "failed": failed, **found})
    return journal.read()


def summarise(study, folder, rows):
    """Means over seeds with standard errors."""
    base, _, tests, _ = common.task(study, folder)
    table = []
    for batch, beta2, rate in sorted({(row["batch"], row["beta2"], row["rate"]) for row in rows}):
        same = [row for row in rows if (row["batch"], row["beta2"], row["rate"]) == (batch, beta2, rate)]
        keys = [key for key in same[0] if key.split(",")[0] in ("forces", "energy", "forgetting")]
        means = {key: common.mean_and_error([row[key] for row in same]) for key in keys}
        failed = sum(row["failed"] for row in same)
        table.append(
            {"batch": batch, "beta2": beta2, "rate": rate, "seeds": len(same), "stopped early": failed, **means}
        )
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
    parser.add_argument("--beta2", nargs="*", type=float)
    parser.add_argument("--rates", nargs="*", type=float)
    a = parser.parse_args()
    found = main(a.study, a.folder, a.seeds, a.batch or BATCHES, a.beta2 or BETAS, a.rates or RATES)
    summarise(a.study, a.folder, found)
