"""Runs the same eight replicas on one host device and on eight, and prints how far apart they end. Started by a test."""

import jax
import numpy as np
from lennard_jones import ample, liquid

from jaxft.md.devices import distribute
from jaxft.md.simulation import advance

jax.config.update("jax_enable_x64", True)
begun = ample(liquid(8))
spread = distribute(begun)
end, frames = advance(spread, 20)
_, alone = advance(begun, 20)
print(
    len(jax.devices()),
    len(end.replicas.dynamics.position.sharding.device_set),
    float(np.abs(frames.positions - alone.positions).max()),
    len(distribute(ample(liquid(6))).replicas.energy.sharding.device_set),
)
