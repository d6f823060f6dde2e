"""Conversion factors: the only home of unit conversions (everything else is eV, Å, fs, K, u).

Taken from ASE (CODATA 2014), as Python floats so that they never decide a dtype.
"""

from ase import units as _ase

KELVIN = float(_ase.kB)
"""k_B in eV/K: multiply a temperature in K to get kT in eV."""

FEMTOSECOND = float(_ase.fs)
"""One fs in the internal time unit Å·√(u/eV), in which momenta are √(eV·u) and dp/dt = F without a factor."""

GPA = float(_ase.GPa)
"""One GPa in eV/Å³."""

KCAL_PER_MOL = float(_ase.kcal / _ase.mol)
"""One kcal/mol in eV."""

GRAM_PER_CM3 = float(_ase._Nav) * 1.0e-24
"""One g/cm³ in u/Å³ (1 g is N_A·u; 1 cm³ is 10²⁴ Å³)."""

MEV = 1.0e-3
"""One meV in eV."""
