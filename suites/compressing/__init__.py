"""What a compression does, stage after stage, and what it tells of it."""
