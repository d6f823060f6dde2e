"""Structures: ase.Atoms to arrays and back, neighbor lists, padding, datasets, packed boxes."""
