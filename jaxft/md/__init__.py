"""Molecular dynamics: compiled blocks, guards, replicas, trajectories, restart."""
