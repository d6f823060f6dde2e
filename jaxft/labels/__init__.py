"""Labels: structures in, trustworthy energies, forces and stresses out. Needs no JAX."""
