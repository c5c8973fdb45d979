"""Other people's solvers: of packages, and any executable."""
