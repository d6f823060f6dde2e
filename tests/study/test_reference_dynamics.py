"""Dynamics under a reference: ASE's velocity Verlet step by step, several systems at once, an end where a label fails."""

import numpy as np
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.md.verlet import VelocityVerlet

from jaxft.labels.label import Cost, Failure, Label, Provenance
from jaxft.study.reference_dynamics import follow_reference
from jaxft.units import FEMTOSECOND

FROM = Provenance("emt", "1", {}, 0.0, None)
FREE = Cost(None, None, None)


def emt(structures):
    labels = []
    for atoms in structures:
        atoms.calc = EMT()
        labels.append(Label(atoms.get_potential_energy(), atoms.get_forces(), None, FROM, FREE))
    return labels


def moving(name, seed):
    atoms = molecule(name)
    atoms.set_velocities(0.02 * np.random.default_rng(seed).normal(size=(len(atoms), 3)))
    return atoms


def test_it_goes_as_ase_goes():
    starts = [moving("CO", 0), moving("H2O", 1)]
    courses = follow_reference(starts, emt, steps=20, timestep_fs=0.5)
    for atoms, course in zip(starts, courses, strict=True):
        assert course.failure is None
        ours = atoms.copy()
        ours.calc = EMT()
        VelocityVerlet(ours, 0.5 * FEMTOSECOND).run(20)
        np.testing.assert_allclose(course.positions[-1], ours.positions, atol=1e-12)
        np.testing.assert_allclose(course.kinetic[-1], ours.get_kinetic_energy(), atol=1e-12)
        np.testing.assert_allclose(course.energies[-1], ours.get_potential_energy(), atol=1e-12)
        np.testing.assert_allclose(course.times_fs, 0.5 * np.arange(21))
        np.testing.assert_array_equal(course.positions[0], atoms.positions)
        np.testing.assert_allclose(course.temperatures(3 * len(atoms))[0], atoms.get_temperature())
        assert 0.0 < course.drift < 0.05


def test_one_that_fails_ends_and_the_others_go_on():
    asked = []

    def label(structures):
        asked.append(len(structures))
        entries = emt(structures)
        if len(asked) == 4:
            entries[0] = Failure("not converged", "", FROM, FREE)
        return entries

    failed, good = follow_reference([moving("CO", 0), moving("H2O", 1)], label, steps=6, timestep_fs=0.5)
    assert (len(failed.energies), failed.failure.reason) == (3, "not converged")
    assert (len(good.energies), good.failure) == (7, None)
    assert asked == [2, 2, 2, 2, 1, 1, 1]


def test_with_no_system_nothing_is_asked():
    assert follow_reference([], emt, steps=5, timestep_fs=0.5) == []
