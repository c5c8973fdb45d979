"""Other people's programs as contestants of the experiments."""
