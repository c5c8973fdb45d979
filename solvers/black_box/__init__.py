"""Solvers of a BlackBox: only by asking for losses."""
