"""How is a cell run, and kept honest? Processes, deadlines, memory, provenance."""
