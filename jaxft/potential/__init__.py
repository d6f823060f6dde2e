"""Potentials: networks, their derivatives, where weights come from and go to, and the ASE calculator."""
