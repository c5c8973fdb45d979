"""Which way does each weight round? Grids and formulations of rounding."""
