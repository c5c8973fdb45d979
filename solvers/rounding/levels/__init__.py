"""Layers of many levels: in units of their weights, and the cheapest prefixes of a neuron."""
