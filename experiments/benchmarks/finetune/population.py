"""Sixteen settings as one vmapped program against sixteen runs in turn: ``python population.py [UPDATES]``, when idle."""

import sys
import time

import common
import jax
import numpy as np

import jaxft
from jaxft.finetune.fit import fit, fit_members
from jaxft.finetune.settings import FinetuneSettings

updates = int(sys.argv[1]) if len(sys.argv) > 1 else 100
base = jaxft.load("cobalt-mini")
train, tests = common.study_box()
rates = np.geomspace(1e-4, 1e-2, 16)
members = [
    FinetuneSettings(updates=updates, batch_size=5, learning_rate=float(rate), adam_beta2=common.BETA2_BEFORE, seed=k)
    for k, rate in enumerate(rates)
]
# compile first: the ratio of the work itself is what is asked
fit(base, train, members[0], chunk=50)
fit_members(base, train, members, chunk=50)
began = time.perf_counter()
alone = [fit(base, train, one, chunk=50) for one in members]
in_turn = time.perf_counter() - began
began = time.perf_counter()
together = fit_members(base, train, members, chunk=50)
at_once = time.perf_counter() - began
errors = [[common.forces_rmse(r.potential, tests["study box"]) for r in results] for results in (alone, together)]
common.write(
    f"finetune_population-{jax.default_backend()}",
    {
        "settings": 16,
        "updates": updates,
        "batch_size": 5,
        "seconds_in_turn": in_turn,
        "seconds_at_once": at_once,
        "ratio": at_once / in_turn,
        "largest_relative_difference_of_force_rmse": float(np.max(np.abs(np.divide(*errors) - 1.0))),
    },
)
