"""Which channels stay? Formulations of pruning, and the smaller network."""
