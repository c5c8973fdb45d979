"""Solvers of a Capacity: exactly, or at most, so much is kept."""
