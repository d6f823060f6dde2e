"""A run that the tests kill: ``python killed_run.py FOLDER FRAMES`` waits for a line on its input, then runs."""

import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from lennard_jones import liquid

from jaxft.md.run import Outcome, run


def argon_run(folder: Path, n_frames: int) -> Outcome:
    """Two replicas, 50 fs a frame, blocks of 4; checkpoints every few blocks, so that a kill finds frames beyond them."""
    return run(
        liquid(2, seed=3),
        n_frames,
        checkpoint=folder / "state.safetensors",
        trajectories=[folder / "0.h5md", folder / "1.h5md"],
        block_frames=4,
        checkpoint_every_s=0.03,
    )


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    argon_run(Path(sys.argv[1]), int(sys.argv[2]))
