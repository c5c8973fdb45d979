"""Parameters that say all on one line, `name : meaning`, name no type: griffe reads them as if on two."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["OneLine"]


class OneLine(griffe.Extension):
    """Put the meaning below the name, where numpy's style has it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object of `results`, whose style this is."""
        if obj.docstring and "\n----------\n" in obj.docstring.value:
            obj.docstring.value = re.sub(
                r"^(\w+(?:, \w+)*) : ", r"\1\n    ", obj.docstring.value, flags=re.MULTILINE
            )
