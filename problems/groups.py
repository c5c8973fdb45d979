"""Moved into `pruning`: what `new problem` once wrote into users' files still imports from here."""

from .moved import moved

__getattr__ = moved(__name__, "qubopress.problems.pruning.groups")
