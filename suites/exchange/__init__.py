"""Instances as files for everybody's tools, and solutions that come back as files."""
