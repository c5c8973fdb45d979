"""Compressed networks as files: integer codes, packed, for runtimes that are not ours."""
