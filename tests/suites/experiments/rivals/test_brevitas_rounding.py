"""Other packages' rounding gets our grid and Gram matrix, and its levels come back."""

from __future__ import annotations

import numpy as np
import pytest
from instances import gram

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.suites.experiments.rivals import brevitas_rounding


@pytest.mark.parametrize("levels", [4, 16])
def test_brevitas_gptq_is_our_nearest_plane(levels: int) -> None:
    pytest.importorskip(brevitas_rounding.BREVITAS, reason="of the extra peers")
    rng = np.random.default_rng(0)
    # Some weights lie beyond either end of the grid.
    shift, scale = rng.uniform(-1.0, levels, (9, 40)), rng.uniform(0.5, 2.0, 9)
    rounding = Rounding(gram(40), shift, scale, levels)
    found = brevitas_rounding.brevitas_gptq(rounding)
    ours = solvers.solve(rounding, "nearest-plane", restarts=1, seed=0)
    assert rounding.loss(found) == pytest.approx(ours.loss, rel=1e-3)
    assert (found != ours.x).mean() < 0.02
