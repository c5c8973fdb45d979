"""The asv benchmarks run, and their figures are lower the better they are, as asv's regressions expect."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark module, working in a folder of its own as asv has it."""
    spec = importlib.util.spec_from_file_location("asv_rounding", ROOT / "suites/asv/rounding.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    return module


def test_every_benchmark_runs_and_lower_is_better(rounding: ModuleType) -> None:
    path = rounding.Layer().setup_cache()
    quality = rounding.Quality()
    shares = {solver: quality.track_loss(path, solver) for solver in rounding.Quality.params}
    assert shares["nearest-plane"] < shares["one-flip"] < 1
    assert quality.unit.startswith("loss")
    assert quality.track_loss(path, "neal") == shares["neal"]
    timed = rounding.Time()
    timed.setup(path, "nearest-plane")
    timed.time_solve(path, "nearest-plane")
    rounding.Memory().peakmem_nearest_plane(path)
