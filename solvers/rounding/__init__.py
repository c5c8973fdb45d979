"""Solvers of layers alone: the closest-vector problem in a box."""
