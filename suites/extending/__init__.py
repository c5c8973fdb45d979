"""I add one of my own: begin it, check it, tune it."""
