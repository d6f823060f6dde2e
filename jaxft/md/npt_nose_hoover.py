"""Constant pressure, isotropic: the barostat of Martyna, Tobias & Klein, with a Nosé–Hoover chain for atoms and barostat each.

    ṙ = p/m + v r,    ṗ = F - (1 + 3/N_f) v p - (chain),    V̇ = 3 V v,    v = p_ε/W,    W = (N_f + 3) kT τ²
    ṗ_ε = (1 + 3/N_f) Σ p²/m - tr ∂E/∂ε - 3 P V - (chain)

integrated in the measure-preserving splitting of Tuckerman et al. (J. Phys. A 39 (2006) 5629, equations 2.9 to 2.20; symbols
as there). Conserved: E + P V + p_ε²/2W + both chains. N_f = 3N - 3. The forces at the new positions are computed once a step,
in the new cell. Source of the equations: Martyna, Tobias & Klein, J. Chem. Phys. 101 (1994) 4177, with the chains of Martyna
et al. (1996).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxft.md.dynamics import Bath, Dynamics, kinetic_energy, volume
from jaxft.md.nose_hoover import chain_energy, chain_half_step, thermostat_half_step


def before_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """Chains, barostat kick, momenta, then positions and cell together."""
    state = thermostat_half_step(_barostat_chain(state, bath, n_dof), bath, n_dof)
    state = _momenta(_strain_kick(state, bath, n_dof), bath, n_dof)
    x = bath.timestep * _strain_rate(state, bath, n_dof)
    drift = bath.timestep * state.momentum / state.mass * jnp.exp(0.5 * x) * _sinhc(0.5 * x)
    return state.set(position=state.position * jnp.exp(x) + drift, cell=state.cell * jnp.exp(x))


def after_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """The mirror image: momenta, barostat kick, chains."""
    state = _strain_kick(_momenta(state, bath, n_dof), bath, n_dof)
    return _barostat_chain(thermostat_half_step(state, bath, n_dof), bath, n_dof)


def barostat_energy(state: Dynamics, bath: Bath, n_dof: int) -> Float[Array, ""]:
    """P V + p_ε²/2W and the barostat's chain, in eV."""
    chain = state.chain_position[1], state.chain_momentum[1]
    kinetic = 0.5 * state.strain_momentum**2 / _strain_mass(bath, n_dof)
    return bath.pressure * volume(state) + kinetic + chain_energy(chain, 1, bath.kT, bath.barostat_time)


def _strain_mass(bath: Bath, n_dof: int) -> Float[Array, ""]:
    return (n_dof + 3) * bath.kT * bath.barostat_time**2


def _strain_rate(state: Dynamics, bath: Bath, n_dof: int) -> Float[Array, ""]:
    return state.strain_momentum / _strain_mass(bath, n_dof)


def _barostat_chain(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """Half a step of the chain that keeps the barostat at its temperature."""
    chain = state.chain_position[1], state.chain_momentum[1]
    twice_kinetic = state.strain_momentum**2 / _strain_mass(bath, n_dof)
    (xi, p), scale = chain_half_step(chain, twice_kinetic, 1, bath.kT, bath.barostat_time, bath.timestep)
    return state.set(
        strain_momentum=state.strain_momentum * scale,
        chain_position=state.chain_position.at[1].set(xi),
        chain_momentum=state.chain_momentum.at[1].set(p),
    )


def _strain_kick(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    driving = 2.0 * (1.0 + 3.0 / n_dof) * kinetic_energy(state) - state.virial - 3.0 * bath.pressure * volume(state)
    return state.set(strain_momentum=state.strain_momentum + 0.5 * bath.timestep * driving)


def _momenta(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """ṗ = F - α v p over half a step, solved exactly."""
    half = 0.5 * bath.timestep
    x = half * (1.0 + 3.0 / n_dof) * _strain_rate(state, bath, n_dof)
    kick = half * state.force * jnp.exp(-0.5 * x) * _sinhc(0.5 * x)
    return state.set(momentum=state.momentum * jnp.exp(-x) + kick)


def _sinhc(x: Float[Array, ""]) -> Float[Array, ""]:
    """sinh(x)/x for the small x of one timestep, by its series (which has no 0/0)."""
    square = x**2
    return 1.0 + square / 6.0 * (1.0 + square / 20.0 * (1.0 + square / 42.0))
