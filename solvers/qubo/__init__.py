"""Heuristics for any Qubo."""
