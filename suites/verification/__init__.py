"""Is a stored number true? Every number from its bits."""
