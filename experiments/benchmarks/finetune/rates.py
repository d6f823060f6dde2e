"""Which learning rate and batch size at the default number of updates? ``python rates.py study``, ``python rates.py 3bpa FOLDER``.

study   cobalt-mini on 50 GFN1 labels of the study box
3bpa    nequix-mp-1 on 50 structures of 3BPA (FOLDER holds its files)

One seed: those of full fine-tunes differ by less than a per cent (``methods.py``). With the force error before the fit, error and
forgetting after it, and seconds of processor time. Goes on where it was stopped.
"""

import sys
import time

import common

from jaxft.finetune.fit import fit
from jaxft.finetune.settings import FinetuneSettings

RATES, BATCHES = (1e-3, 3e-3, 1e-4, 1e-2, 3e-4), (1, 5)


def main(study, folder=None):
    """Every rate with every batch size; small batches first, since they cost least."""
    base, train, tests, unseen = common.task(study, folder)
    journal = common.Journal(f"finetune_rates-{study}")
    for batch in BATCHES:
        for rate in RATES:
            if journal.has(rate=rate, batch=batch):
                continue
            settings = FinetuneSettings(learning_rate=rate, batch_size=batch)
            began = time.process_time()
            result = fit(base, train, settings)
            seconds = time.process_time() - began
            found = common.measures(base, result.potential, tests, unseen)
            journal.add({"rate": rate, "batch": batch, "processor seconds": seconds, **found})
    common.write(
        f"finetune_rates-{study}",
        {
            "base": common.BASES[study],
            "updates": FinetuneSettings().updates,
            "before": {f"forces, {name}": common.forces_rmse(base, data) for name, data in tests.items()},
            "rows": journal.rows,
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
