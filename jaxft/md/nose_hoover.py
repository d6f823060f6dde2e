"""Nosé–Hoover chains: deterministic canonical dynamics with a conserved quantity.

    ṗ = F - (p_1/Q_1) p,    ξ̇_k = p_k/Q_k,    ṗ_1 = 2K - N_f kT - (p_2/Q_2) p_1,    ṗ_k = p_{k-1}²/Q_{k-1} - kT - ...

with Q_1 = N_f kT τ², Q_k = kT τ². The chain is advanced by half a step before and after velocity Verlet, in three
Suzuki–Yoshida parts. N_f = 3N - 3, since total momentum is removed and conserved (jax-md 0.2.29 counts 3N, which makes 51
atoms 2 % too warm, and its chain works in float32). Conserved: E + Σ p_k²/2Q_k + N_f kT ξ_1 + kT Σ_{k>1} ξ_k. Source:
Martyna, Tuckerman, Tobias & Klein, Mol. Phys. 87 (1996) 1117, equations 28 to 31.
"""

import jax.numpy as jnp
from jax_md import simulate
from jaxtyping import Array, Float

from jaxft.md import nve
from jaxft.md.dynamics import CHAIN, Bath, Dynamics, kinetic_energy

_CUBE_ROOT = 2.0 ** (1.0 / 3.0)
SUZUKI_YOSHIDA = (1.0 / (2.0 - _CUBE_ROOT), -_CUBE_ROOT / (2.0 - _CUBE_ROOT), 1.0 / (2.0 - _CUBE_ROOT))
"""Weights of a fourth-order splitting into three parts."""

Chain = tuple[Float[Array, "chain"], Float[Array, "chain"]]


def before_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """Half a step of the chain, then kick and drift."""
    return nve.before_force(thermostat_half_step(state, bath, n_dof), bath, n_dof)


def after_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """Kick, then the other half of the chain."""
    return thermostat_half_step(simulate.momentum_step(state, 0.5 * bath.timestep), bath, n_dof)


def thermostat_half_step(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """Advance the chain of the atoms by Δt/2 and rescale their momenta."""
    chain = state.chain_position[0], state.chain_momentum[0]
    twice_kinetic = 2.0 * kinetic_energy(state)
    (xi, p), scale = chain_half_step(chain, twice_kinetic, n_dof, bath.kT, bath.thermostat_time, bath.timestep)
    return state.set(
        momentum=state.momentum * scale,
        chain_position=state.chain_position.at[0].set(xi),
        chain_momentum=state.chain_momentum.at[0].set(p),
    )


def chain_masses(n_dof: int, kT: Float[Array, ""], time: Float[Array, ""]) -> Float[Array, "chain"]:
    """Q_1 = n_dof kT τ², Q_k = kT τ², in eV times the internal time squared."""
    return kT * time**2 * jnp.array([n_dof] + [1] * (CHAIN - 1), dtype=kT.dtype)


def chain_half_step(
    chain: Chain,
    twice_kinetic: Float[Array, ""],
    n_dof: int,
    kT: Float[Array, ""],
    time: Float[Array, ""],
    timestep: Float[Array, ""],
) -> tuple[Chain, Float[Array, ""]]:
    """Advance a chain by half a timestep: its new state, and the factor for the momenta that it drives.

    twice_kinetic: Σ p²/m of those, in eV.
    """
    xi, p = chain
    q = chain_masses(n_dof, kT, time)
    momenta = [p[k] for k in range(CHAIN)]
    scale = jnp.ones_like(twice_kinetic)

    def drive(k: int) -> Float[Array, ""]:
        return twice_kinetic - n_dof * kT if k == 0 else momenta[k - 1] ** 2 / q[k - 1] - kT

    def kick(k: int, delta: Float[Array, ""]) -> Float[Array, ""]:
        damping = jnp.exp(-0.125 * delta * momenta[k + 1] / q[k + 1])
        return damping * (damping * momenta[k] + 0.25 * delta * drive(k))

    for weight in SUZUKI_YOSHIDA:
        delta = weight * timestep
        momenta[-1] = momenta[-1] + 0.25 * delta * drive(CHAIN - 1)
        for k in reversed(range(CHAIN - 1)):
            momenta[k] = kick(k, delta)
        factor = jnp.exp(-0.5 * delta * momenta[0] / q[0])
        scale, twice_kinetic = scale * factor, twice_kinetic * factor**2
        xi = xi + 0.5 * delta * jnp.stack(momenta) / q
        for k in range(CHAIN - 1):
            momenta[k] = kick(k, delta)
        momenta[-1] = momenta[-1] + 0.25 * delta * drive(CHAIN - 1)
    return (xi, jnp.stack(momenta)), scale


def chain_energy(chain: Chain, n_dof: int, kT: Float[Array, ""], time: Float[Array, ""]) -> Float[Array, ""]:
    """Energy that a chain holds: Σ p_k²/2Q_k + n_dof kT ξ_1 + kT Σ_{k>1} ξ_k, in eV."""
    xi, p = chain
    return jnp.sum(0.5 * p**2 / chain_masses(n_dof, kT, time)) + kT * (n_dof * xi[0] + jnp.sum(xi[1:]))
