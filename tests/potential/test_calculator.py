"""The ASE calculator: what it gives, where it refuses, and when it compiles."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import FiniteDifferenceCalculator

import jaxft.potential.evaluate as evaluate
from jaxft.errors import InputError


def test_energies_sum_to_the_energy_and_include_reference_energies(tiny, water):
    water.calc = tiny.calculator()
    assert water.get_potential_energies().sum() == pytest.approx(water.get_potential_energy(), abs=1e-9)
    assert water.get_potential_energy(force_consistent=True) == water.get_potential_energy()
    atom = Atoms("Cl", calculator=tiny.calculator())
    assert abs(atom.get_potential_energy() + 400.0) < 10.0


def test_stress_has_ases_order_and_sign(tiny, water):
    water.calc = tiny.calculator("float64")
    analytical = water.get_stress()
    water.calc = FiniteDifferenceCalculator(water.calc, eps_disp=None, eps_strain=1e-5)
    np.testing.assert_allclose(analytical, water.get_stress(), atol=1e-7)


@pytest.mark.parametrize("kind", ["molecule", "slab", "wire"])
def test_stress_without_full_periodicity_is_not_implemented(tiny, structures, kind):
    atoms = structures[kind]
    atoms.calc = tiny.calculator()
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError, match="periodic in all three"):
        atoms.get_stress()


def test_float32_agrees_with_float64(tiny, water):
    water.calc = tiny.calculator("float64")
    exact = water.get_forces()
    water.calc = tiny.calculator("float32")
    np.testing.assert_allclose(water.get_forces(), exact, atol=1e-4 * max(1.0, np.abs(exact).max()))


def test_an_element_that_the_potential_lacks_is_named(tiny):
    atoms = Atoms("HAu", positions=[[0, 0, 0], [0, 0, 1.5]], calculator=tiny.calculator())
    with pytest.raises(InputError, match="does not know Au"):
        atoms.get_potential_energy()


def test_moving_atoms_compiles_nothing_new(tiny, water):
    rng = np.random.default_rng(0)
    water.calc = tiny.calculator()
    water.get_forces()
    before = evaluate.compiled_predict._cache_size()
    for _ in range(5):
        water.positions += rng.normal(scale=0.005, size=water.positions.shape)
        water.get_forces()
    assert evaluate.compiled_predict._cache_size() == before


def test_float64_without_x64_names_the_switch(tiny, tmp_path):
    import os
    import subprocess
    import sys

    tiny.save(tmp_path / "model")
    code = "import sys, jaxft; jaxft.load(sys.argv[1]).calculator(dtype='float64')"
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "JAX_ENABLE_X64=1" in done.stderr
