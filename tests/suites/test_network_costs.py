"""A table over bits says what its networks cost."""

from __future__ import annotations

import pandas as pd
import pytest

from qubopress.suites import network_costs


def test_a_table_over_bits_says_what_the_network_costs() -> None:
    table = pd.DataFrame({"network": ["digits-mlp", "digits-mlp", "a stranger's"], "bits": [8, 4, 4]})
    found = network_costs.with_costs(table)
    assert found["KiB"][:2].tolist() == pytest.approx([(2368 + 4 * 42) / 1024, (2368 / 2 + 4 * 42) / 1024])
    assert found["nJ"][:2].tolist() == pytest.approx([2368 * 0.3 / 1000, 2368 * 0.2 / 1000])
    assert found[["KiB", "nJ"]].isna().iloc[2].all()
