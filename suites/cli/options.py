"""Options that nobody loses: what may be repeated takes commas, what may not is refused when it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand

from .panels import Grouped

__all__ = ["USAGE_ERROR", "Careful", "CarefulGroup", "careful"]

# Typer carries click inside or beside it, depending on its version; its own errors lead to the base class.
USAGE_ERROR: Any = next(
    kind for kind in reversed(typer.BadParameter.__mro__) if hasattr(kind, "format_message")
)

WHOLE = ("instance", "set_", "solver_set", "layer", "add", "tasks")
"""Repeatable options whose values may hold a comma: files, settings such as levels=[1, 2], names of tasks."""


class _Once:
    """Looks at what was parsed before any value is converted."""

    def make_parser(self, ctx: Any) -> Any:
        """Typer's parser, whose findings are gone over."""
        parser = super().make_parser(ctx)  # type: ignore[misc]  # of the command that this is mixed into
        parse = parser.parse_args

        def parsed(args: list[str]) -> Any:
            values, rest, order = parse(args)
            _refuse_repeated(order)
            for param in set(order):
                if getattr(param, "multiple", False) and param.name not in WHOLE:
                    values[param.name] = _parts(param, values[param.name])
            return values, rest, order

        parser.parse_args = parsed
        return parser


class Careful(_Once, TyperCommand):
    """A command."""


class CarefulGroup(_Once, Grouped):
    """A group of commands with options of its own."""


def careful(group: typer.Typer) -> typer.Typer:
    """The group with all of its commands so."""
    for command in group.registered_commands:
        command.cls = Careful
    return group


def _refuse_repeated(order: list[Any]) -> None:
    for param, times in Counter(order).items():
        if times > 1 and param.param_type_name == "option" and not getattr(param, "multiple", False):
            raise USAGE_ERROR(f"{param.opts[0]} must be given once, got it {times} times; keep one")


def _parts(param: Any, texts: Any) -> list[str]:
    """The values of an option that may be several each, with commas."""
    parts = [part.strip() for text in texts for part in str(text).split(",")]
    if not all(parts):
        given = " ".join(map(repr, texts))
        raise USAGE_ERROR(f"{param.opts[0]} must be names with commas between them, got {given}")
    return list(dict.fromkeys(parts))
