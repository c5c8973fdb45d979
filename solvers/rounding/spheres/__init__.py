"""Pieces of the sphere decoder: least costs of what is free, a neuron's own shift, the search over bits."""
