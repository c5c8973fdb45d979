"""Which networks are compressed? Architectures, the networks by name, their weights."""
