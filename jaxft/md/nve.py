"""Constant energy: velocity Verlet, from jax-md's pieces.

    p += (Δt/2) F      r += Δt p/m      (force at the new positions)      p += (Δt/2) F

A step is split where the force is needed, so that the caller can look at the new positions first (is the neighbor list still
good?). Time-reversible and symplectic; the energy fluctuates with Δt² and does not drift. Source: W. Swope et al., J. Chem.
Phys. 76 (1982) 637.
"""

from jax_md import simulate, space

from jaxft.md.dynamics import Bath, Dynamics

_, shift = space.free()


def before_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """Everything in a step that comes before the force at its new positions."""
    del n_dof
    state = simulate.momentum_step(state, 0.5 * bath.timestep)
    return simulate.position_step(state, shift, bath.timestep)


def after_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """The closing half kick, with the force at the positions that ``before_force`` reached."""
    del n_dof
    return simulate.momentum_step(state, 0.5 * bath.timestep)
