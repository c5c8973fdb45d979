"""What does the command line do? A file for each kind of command."""

from .app import call, main

__all__ = ["call", "main"]
