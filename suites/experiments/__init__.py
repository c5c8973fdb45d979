"""What stands behind the tables of the docs? Each is a command."""
