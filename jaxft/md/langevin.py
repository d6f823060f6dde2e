"""Langevin dynamics: one BAOAB step, assembled from jax-md's pieces.

    B: p += (Δt/2) F      A: r += (Δt/2) p/m      O: p = c p + √((1 - c²) m kT) ξ,  c = exp(-γ Δt)

in the order B A O A B, with the force computed once. Momentum is not conserved, so the degrees of freedom are 3N. jax-md's
``nvt_langevin`` fixes γ when it is built; here timestep, temperature and friction are arguments, so a change never
recompiles. Source: Leimkuhler & Matthews, Appl. Math. Res. Express 2013, 34 (BAOAB); jax-md ``simulate.py``.
"""

from jax_md import simulate

from jaxft.md.dynamics import Bath, Dynamics, kinetic_energy
from jaxft.md.nve import shift


def before_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """B A O A: everything in a step that comes before the force at its new positions."""
    del n_dof
    half = 0.5 * bath.timestep
    state = simulate.momentum_step(state, half)
    state = simulate.position_step(state, shift, half)
    cold = kinetic_energy(state)
    state = simulate.stochastic_step(state, bath.timestep, bath.kT, bath.friction)
    state = state.set(heat=state.heat + kinetic_energy(state) - cold)
    return simulate.position_step(state, shift, half)


def after_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """The closing B, with the force at the positions that ``before_force`` reached."""
    del n_dof
    return simulate.momentum_step(state, 0.5 * bath.timestep)
