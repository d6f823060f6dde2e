"""Relaxation: taking overlaps out of a structure before dynamics begins (ASE's FIRE with our calculator)."""

from collections.abc import Callable

from ase import Atoms
from ase.optimize import FIRE

from jaxft.potential.potential import Potential

LONGEST_STEP = 0.1
"""Å per step and atom."""


def relax(
    potential: Potential,
    atoms: Atoms,
    *,
    max_force: float = 0.5,
    max_steps: int = 200,
    dtype: str = "float32",
    on_step: Callable[[int], None] | None = None,
) -> Atoms:
    """A copy of ``atoms`` moved downhill until no force exceeds ``max_force`` (eV/Å), or for ``max_steps`` steps.

    A liquid needs no minimum, only no overlaps, so the steps may run out. The cell stays. Source: E. Bitzek et al., Phys. Rev.
    Lett. 97 (2006) 170201.
    """
    relaxed = atoms.copy()
    relaxed.calc = potential.calculator(dtype)
    with FIRE(relaxed, logfile=None, maxstep=LONGEST_STEP) as fire:
        if on_step is not None:
            fire.attach(lambda: on_step(fire.nsteps), interval=1)
        fire.run(fmax=max_force, steps=max_steps)
    relaxed.calc = None
    return relaxed
