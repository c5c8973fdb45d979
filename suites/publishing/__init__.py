"""How do results get into the docs? Published cells and the tables made of them."""
