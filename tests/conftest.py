"""Tests keep what they measure in a folder of their own, so that no earlier run can speak for this one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

os.environ["QUBOPRESS_CACHE"] = tempfile.mkdtemp(prefix="qubopress-tests-")
atexit.register(shutil.rmtree, os.environ["QUBOPRESS_CACHE"], ignore_errors=True)
