"""How does it look on a terminal? Tables, boards, progress."""
