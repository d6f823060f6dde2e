"""Analysis: records and trajectories in, numbers out. Runs no simulation."""
