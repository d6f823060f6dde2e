"""Ensembles by name: which two functions make a step, what is conserved, how many degrees of freedom are thermal.

Each ensemble is a file with ``before_force`` and ``after_force``, functions of (state, bath, degrees of freedom); adding one
is adding a file and a line here.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

from jaxft.md import langevin, nose_hoover, npt_nose_hoover, nve, velocity_rescaling
from jaxft.md.dynamics import Bath, Dynamics, kinetic_energy
from jaxft.md.nose_hoover import chain_energy

Half = Callable[[Dynamics, Bath, int], Dynamics]


class Ensemble(NamedTuple):
    """One ensemble.

    before_force, after_force  the two parts of a step
    uses              settings that it reads; any other that a user gives is refused
    conserves_momentum  total momentum stays zero, so 3N - 3 degrees of freedom are thermal, else 3N
    chains            how many Nosé–Hoover chains it has: none, that of the atoms, or that of the barostat too
    """

    before_force: Half
    after_force: Half
    uses: tuple[str, ...]
    conserves_momentum: bool = True
    chains: int = 0

    @property
    def moves_cell(self) -> bool:
        """Whether the cell changes."""
        return self.chains == 2


ENSEMBLES = {
    "nve": Ensemble(nve.before_force, nve.after_force, ()),
    "nvt-langevin": Ensemble(
        langevin.before_force, langevin.after_force, ("friction_per_ps",), conserves_momentum=False
    ),
    "nvt-nose-hoover": Ensemble(nose_hoover.before_force, nose_hoover.after_force, ("thermostat_time_fs",), chains=1),
    "nvt-csvr": Ensemble(velocity_rescaling.before_force, velocity_rescaling.after_force, ("thermostat_time_fs",)),
    "npt-nose-hoover": Ensemble(
        npt_nose_hoover.before_force,
        npt_nose_hoover.after_force,
        ("thermostat_time_fs", "barostat_time_fs", "pressure_gpa"),
        chains=2,
    ),
}


def degrees_of_freedom(ensemble: str, n_atoms: int) -> int:
    """3N under Langevin dynamics, whose noise moves the centre of mass; 3N - 3 where total momentum is removed and conserved."""
    return 3 * n_atoms - (3 if ENSEMBLES[ensemble].conserves_momentum else 0)


def conserved_energy(ensemble: str, state: Dynamics, energy: Float[Array, ""], bath: Bath) -> Float[Array, ""]:
    """What the exact equations of motion keep constant, in eV: a check of the timestep.

    Total energy for NVE; with the chains and P V where there are any (the extended Hamiltonian); minus the heat received for
    stochastic thermostats (their effective energy). ``energy``: potential energy.
    """
    kind, n_dof = ENSEMBLES[ensemble], degrees_of_freedom(ensemble, state.position.shape[0])
    total = energy + kinetic_energy(state) - state.heat
    if kind.chains > 0:
        chain = state.chain_position[0], state.chain_momentum[0]
        total = total + chain_energy(chain, n_dof, bath.kT, bath.thermostat_time)
    if kind.chains > 1:
        total = total + npt_nose_hoover.barostat_energy(state, bath, n_dof)
    return total
