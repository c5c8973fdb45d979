"""Benchmarks over commits: time and memory of kernels at fixed work, and the quality they reach."""
