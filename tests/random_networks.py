"""Networks of random weights for tests, drawn in one compiled program.

Drawn one operation after another, each small one is compiled anew, which takes longer than most tests do.
"""

from typing import Any

import jax
import numpy as np
from flax import linen as nn


def drawn(network: nn.Module, seed: int) -> Any:
    """Parameters of a network, float32; the same for the same seed."""
    ends = np.array([0, 1], dtype=np.int32)
    params = jax.jit(network.init)(jax.random.key(seed), np.ones((2, 3), np.float32), 0 * ends, ends, ends[::-1])
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
