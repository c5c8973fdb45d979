"""What networks cost to store and to run, beside a table over bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ..problems.layers.costs import Costs

__all__ = ["with_costs"]


def with_costs(table: pd.DataFrame) -> pd.DataFrame:
    """A table over bits with `KiB`, the size of the parameters, and `nJ`, the energy of one inference.

    See `problems.costs` for the model of energy. Networks that are not ours, or lack their weights or data
    here, have none.
    """
    found = {network: _costs_of(network) for network in table["network"].unique()}
    rows = list(zip(table["network"], table["bits"], strict=True))
    known = [(found[network], int(bits)) for network, bits in rows]
    return table.assign(
        KiB=[cost.bytes(bits) / 1024 if cost else None for cost, bits in known],
        nJ=[cost.nanojoules(bits) if cost else None for cost, bits in known],
    )


def _costs_of(network: str) -> Costs | None:
    from ..problems import InputError, task_of
    from ..problems.layers.costs import costs

    try:
        task = task_of(network, calibration=1)
    except InputError:
        return None
    return costs(task.network, task.inputs)
