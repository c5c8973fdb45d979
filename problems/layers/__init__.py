"""How is a network read, layer by layer? Inputs, norms, costs."""
