"""Ours and nequix's own training, side by side: ``python against_nequix.py 3BPA_FOLDER PEER_PYTHON OUT [EPOCHS] [SEEDS]``.

Base nequix-oam-1 (from $JAXFT_MODELS), fifty structures of 3BPA, batches of five, squared errors, Adam, one warm-up epoch,
cosine, EMA 0.99: the same for both; then ours with our own choice, which is batches of one. Force RMSE on the other 450
structures and on train_mixedT, all judged by the same code; seconds of the epochs after the first (compilation apart) and in
all. Each piece is kept in OUT and not done again.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import common
import numpy as np

import jaxft
from jaxft.finetune.fit import fit
from jaxft.finetune.references import offset_for
from jaxft.finetune.settings import FinetuneSettings, LossWeights
from jaxft.potential.zoo import locate
from jaxft.structures.dataset import write_dataset

SAME = {
    "batch_size": 5,
    "learning_rate": 1e-3,
    "weights": LossWeights(1.0, 10.0),
    "gradient_clip": 10.0,
    "adam_beta2": common.BETA2_BEFORE,
    "ema_decay": 0.99,
}
# chosen on fifty other structures of train_300K (README.md): one structure per update, so five times as many updates an epoch
OURS = {**SAME, "batch_size": 1}
# what ``jaxft finetune`` takes by itself, chosen later and on other data (README.md)
DEFAULTS = {"batch_size": 1}


def main(data, peer_python, out, epochs, seeds):
    """All pieces, and the table."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    base = jaxft.load("nequix-oam-1")
    train, tests = common.three_bpa(data)
    offset = offset_for("refit", base, train)
    # the peer keeps the base's reference energies, so its labels are moved by the same offset that ours refits
    moved = [replace(item, energy=item.energy - offset.of(item.atoms.numbers)) for item in train]
    rows = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(train))
        rows[seed] = {
            "nequix": peer(out, peer_python, [moved[k] for k in order], epochs, seed, base, tests, offset),
            "same settings": ours("same", out, base, train, epochs, seed, SAME, tests),
            "our settings": ours("ours", out, base, train, epochs, seed, OURS, tests),
            "our defaults": ours("defaults", out, base, train, epochs, seed, DEFAULTS, tests),
        }
    ratios = {
        name: {test: [rows[s][name][test] / rows[s]["nequix"][test] for s in rows] for test in (*tests, "seconds")}
        for name in ("same settings", "our settings", "our defaults")
    }
    means = {name: {test: float(np.mean(values)) for test, values in of.items()} for name, of in ratios.items()}
    before = {name: common.forces_rmse(base, labelled) for name, labelled in tests.items()}
    common.write(
        f"finetune_against_nequix-{epochs}-epochs",
        {
            "epochs": epochs,
            "settings": {"same": str(SAME), "ours": str(OURS), "defaults": str(FinetuneSettings())},
            "before": before,
            "seeds": rows,
            "mean_paired_ratios": means,
        },
    )
    print(json.dumps(means, indent=1))


def ours(kind, out, base, train, epochs, seed, settings, tests):
    """One fine-tune of ours."""
    path = out / f"{kind}-{epochs}-{seed}.json"
    if not path.exists():
        updates = epochs * len(train) // settings["batch_size"]
        chosen = FinetuneSettings(updates=updates, seed=seed, warmup_fraction=1.0 / epochs, **settings)
        marks = []
        began = time.perf_counter()
        result = fit(
            base, train, chosen, chunk=updates // epochs, on_progress=lambda now: marks.append(time.perf_counter())
        )
        row = {"seconds_in_all": time.perf_counter() - began, "seconds": marks[-1] - marks[0]}
        path.write_text(json.dumps({**row, **errors(result.potential, tests)}))
    return json.loads(path.read_text())


def peer(out, python, train, epochs, seed, base, tests, offset):
    """One run of nequix's training, judged by our code."""
    path = out / f"nequix-{epochs}-{seed}.json"
    if not path.exists():
        weights, config, model = locate("nequix-oam-1"), out / "config.json", out / f"peer-{epochs}-{seed}.nqx"
        with Path(weights).open("rb") as file:
            header = json.loads(file.readline())
        keep = ("atomic_numbers", "hidden_irreps", "lmax", "cutoff", "n_layers", "radial_basis_size", "radial_mlp_size")
        keep += (
            "shift",
            "scale",
            "avg_n_neighbors",
            "radial_mlp_layers",
            "radial_polynomial_p",
            "mlp_init_scale",
            "index_weights",
            "layer_norm",
        )
        config.write_text(
            json.dumps(
                {
                    **{name: header[name] for name in keep},
                    "kernel": False,
                    "batch_size": SAME["batch_size"],
                    "optimizer": "adamw",
                    "learning_rate": SAME["learning_rate"],
                    "weight_decay": 0.0,
                    "grad_clip_norm": SAME["gradient_clip"],
                    "ema_decay": SAME["ema_decay"],
                    "energy_weight": SAME["weights"].energy,
                    "force_weight": SAME["weights"].forces,
                    "stress_weight": 0.0,
                    "loss_type": "mse",
                    "warmup_epochs": 1,
                    "warmup_factor": 0.1,
                    "log_every": 1000,
                }
            )
        )
        data = out / f"peer-train-{seed}.extxyz"
        write_dataset(data, train)
        script = Path(__file__).with_name("peer.py")
        command = [python, script, data, weights, epochs, seed, model, config]
        subprocess.run([str(part) for part in command], check=True)
        said = json.loads(model.with_suffix(".json").read_text())
        tuned = offset.apply(jaxft.load(str(model)))
        row = {"seconds_in_all": said["seconds"], "seconds": said["seconds_after_first_epoch"]}
        path.write_text(json.dumps({**row, **errors(tuned, tests)}))
    return json.loads(path.read_text())


def errors(potential, tests):
    """Force RMSE in meV/Å on each test set."""
    return {name: common.forces_rmse(potential, data) for name, data in tests.items()}


if __name__ == "__main__":
    epochs = int(sys.argv[4]) if len(sys.argv) > 4 else 20
    seeds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    main(sys.argv[1], sys.argv[2], sys.argv[3], epochs, seeds)
