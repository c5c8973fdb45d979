"""Solvers that prove what they find."""
