"""Which shapes of instance are there? Qubo, Capacity, Rounding, BlackBox."""
