"""The help of the command line: its commands under a heading for each kind."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

__all__ = ["Grouped"]


class Grouped(TyperGroup):
    """Commands in the order of their panels, which Typer itself shows only with Rich's markup."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names as Typer has them, groups of commands behind the commands of their panel."""
        names = super().list_commands(ctx)
        groups = [name for name in names if hasattr(self.commands[name], "commands")]
        return [name for name in names if name not in groups] + groups

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A section a panel, all in columns of one width."""
        panels: dict[str, list[str]] = {}
        names = self.list_commands(ctx)
        for name in names:
            panels.setdefault(
                str(getattr(self.commands[name], "rich_help_panel", None) or "Commands"), []
            ).append(name)
        widest = max(map(len, names))
        room = formatter.width - 6 - widest
        for panel, members in panels.items():
            rows = [(f"{name:{widest}}", self.commands[name].get_short_help_str(room)) for name in members]
            with formatter.section(panel):
                formatter.write_dl(rows)
