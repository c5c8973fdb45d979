"""Names that become folders and files: what they may be made of."""

from __future__ import annotations

import re

__all__ = ["LONGEST", "unfit"]

LONGEST = 100
"""Most characters of a name; file systems take 255 bytes."""

_PLAIN = re.compile(r"[^\W_](?:[\w .,+=()-]*[\w+)])?")


def unfit(name: str) -> str:
    """Why a name must not become a folder's, "" where it may: it stays inside the folder it is put in."""
    if len(name) <= LONGEST and _PLAIN.fullmatch(name) and ".." not in name:
        return ""
    shown = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    return (
        f"must be at most {LONGEST} letters, digits and . , + - = _ ( ), beginning with a letter or digit, "
        f"got {shown!r}"
    )
