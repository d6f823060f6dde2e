"""Executors: how many independent tasks are run, here or elsewhere. Knows no atoms."""
