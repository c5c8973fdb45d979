"""The asv benchmarks run, and their figures are lower the better they are, as asv's regressions expect."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType

import pytest
from repository import module_at

from qubopress.results import leaderboard, load


def module(name: str) -> ModuleType:
    return module_at(f"suites/asv/{name}.py")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, as asv has it."""
    monkeypatch.chdir(tmp_path)


def test_every_benchmark_runs_and_lower_is_better() -> None:
    rounding = module("rounding")
    path = rounding.Layer().setup_cache()
    quality = rounding.Quality()
    shares = {solver: quality.track_excess(path, solver) for solver in rounding.Quality.params}
    assert 0 < shares["beam"] < shares["nearest-plane"] < shares["one-flip"] < 1
    assert quality.unit == "excess"
    assert quality.track_excess(path, "sa") == shares["sa"]
    assert all(rounding.Counts().track_count(path, solver) > 0 for solver in rounding.Counts.params)
    timed = rounding.Time()
    timed.setup(path, "nearest-plane")
    timed.time_solve(path, "nearest-plane")
    rounding.Memory().peakmem_solve(path, "nearest-plane")
    rounding.Build().time_first_layer()


def test_every_binary_benchmark_runs_and_no_loss_is_below_the_stated_best() -> None:
    binary = module("binary")
    path = binary.Built().setup_cache()
    quality, counts = binary.Quality(), binary.Counts()
    for name, solver in itertools.product(*binary.Quality.params):
        if solver not in binary.SOLVERS[name]:
            with pytest.raises(NotImplementedError, match=r"^$"):
                quality.setup(path, name, solver)
            continue
        quality.setup(path, name, solver)
        assert -1e-9 < quality.track_excess(path, name, solver) < 1
        if solver in binary.COUNTED:
            counts.instance = quality.instance
            assert counts.track_count(path, name, solver) > 0
        binary.Time.time_solve(quality, path, name, solver)
        binary.Memory.peakmem_solve(quality, path, name, solver)
    binary.Build().peakmem_build("gaussian")


def test_the_benchmark_of_a_store_ranks_ten_thousand_cells_in_the_order_they_were_given() -> None:
    stored = module("results")
    ranked = stored.Ranked()
    path = ranked.setup_cache()
    assert len(load(path)) == 10_000
    board = leaderboard(path)
    assert board["solver"].tolist() == [f"solver-{i}" for i in range(stored.SOLVERS)]
    assert board["cells"].tolist() == [1_000] * stored.SOLVERS
    ranked.time_load(path)
    ranked.time_leaderboard(path)
    ranked.peakmem_leaderboard(path)


def test_every_benchmark_has_a_version_that_is_set_by_hand() -> None:
    for name in ("rounding", "binary"):
        found = module(name)
        kinds = [
            kind
            for kind in vars(found).values()
            if getattr(kind, "__module__", "") == found.__name__ and isinstance(kind, type)
        ]
        assert len(kinds) == 6
        assert {kind.version for kind in kinds} == {found.VERSION}
