"""Did a commit make it worse? The gate, and asv's pages."""
