"""The exact frontier: it stops at the first miss, names limits, and its page holds everything."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qubopress.problems import Qubo
from qubopress.solvers import Status
from qubopress.suites import cli
from qubopress.suites.experiments import exact_frontier as module
from qubopress.suites.experiments.exact_frontier import (
    FAMILIES,
    SizedFamily,
    dense,
    dense_signs,
    frontier,
    largest,
    rounding,
    signs,
    sizes,
)

SMALL = SizedFamily("small", dense, most=14)


def call(*options: str) -> int:
    return cli.call(["experiment", "exact-frontier", *options])


def test_sizes_grow_by_one_factor_and_end_in_the_familys_largest() -> None:
    assert list(itertools.islice(sizes(), 8)) == [10, 12, 13, 15, 17, 20, 23, 27]
    assert list(sizes(21)) == [10, 12, 13, 15, 17, 20, 21]


def test_the_search_for_the_frontier_ends_with_the_family() -> None:
    rows = list(frontier(SMALL, "exhaustive", seconds=5.0))
    assert [(row["n"], row["status"]) for row in rows] == [(n, "OPTIMAL") for n in (10, 12, 13, 14)]
    assert rows[-1]["nodes"] == 2**14


def test_the_search_for_the_frontier_ends_with_the_first_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARE", np.inf)
    hard = SizedFamily("hard", lambda n: dense(n if n < 13 else 140))
    rows = list(frontier(hard, "branch-and-bound", seconds=1.0))
    assert [row["status"] for row in rows] == ["OPTIMAL", "OPTIMAL", "BUDGET"]
    assert rows[-1]["gap"] > 0


def test_a_solver_is_asked_up_to_its_limit_and_the_limit_is_told() -> None:
    easy = SizedFamily("easy", lambda n: Qubo(-np.eye(n)))
    rows = pd.DataFrame(frontier(easy, "exhaustive", seconds=20.0))
    assert rows["n"].iloc[-1] == 25
    assert largest(rows).to_dict("records") == [{"solver": "exhaustive", "easy": "≥ 25 (limit 25)"}]


def test_what_a_solver_declines_is_no_miss() -> None:
    states = [Status.OPTIMAL, Status.OPTIMAL, Status.SKIPPED]
    rows = pd.DataFrame(
        [{"family": "f", "solver": "mip", "n": n, "status": s.value} for n, s in zip((5, 7, 9), states)]  # noqa: B905
    )
    assert largest(rows)["f"].tolist() == ["≥ 7 (declines more)"]


def test_a_solver_that_has_used_its_share_starts_no_larger_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARE", 0.0)
    monkeypatch.setattr(module, "BRIEF", 0.0)
    assert len(list(frontier(SMALL, "exhaustive", seconds=5.0))) == 1


def test_a_frontier_that_a_miss_sets_is_a_number() -> None:
    states = [Status.OPTIMAL, Status.OPTIMAL, Status.BUDGET]
    rows = pd.DataFrame(
        [{"family": "f", "solver": "mip", "n": n, "status": s.value} for n, s in zip((5, 7, 9), states)]  # noqa: B905
    )
    assert largest(rows)["f"].tolist() == ["7"]
    assert largest(rows[2:])["f"].tolist() == ["< 9"]


def test_the_families_are_what_they_say() -> None:
    assert np.count_nonzero(dense(12).Q) == 144
    whole = dense_signs(12)
    assert set(np.unique(np.abs(2 * whole.couplings + np.diag(2 * whole.linear)))) <= {1.0, 2.0}
    sparse = signs(200)
    degree = sparse.couplings.count_nonzero() / 200
    assert 5 < degree < 7
    assert set(np.unique(2 * sparse.couplings.data)) == {-1.0, 1.0}
    assert set(np.unique(sparse.linear)) == {-1.0, 1.0}


def test_sparse_signs_are_what_whole_matrices_of_the_same_numbers_hold() -> None:
    rng = np.random.default_rng(57)
    bound = np.triu(rng.random((57, 57)) < 6 / 56, 1)
    upper = bound * rng.choice([-1.0, 1.0], (57, 57))
    Q = (upper + upper.T) / 2 + np.diag(rng.choice([-1.0, 1.0], 57))
    np.testing.assert_array_equal(signs(57).Q.toarray(), Q)


def test_a_rounding_row_of_fewer_bits_is_the_whole_row_with_the_rest_fixed() -> None:
    small, whole = rounding(20).row(0).qubo, rounding(301).row(0).qubo
    assert (small.n, whole.n) == (20, FAMILIES[3].most)
    np.testing.assert_allclose(small.couplings, whole.couplings[:20, :20])
    nearest = module._neuron().nearest()[0]
    for x in np.eye(20):
        assert small.loss(x) == pytest.approx(whole.loss(np.append(x, nearest[20:])))


def test_one_family_measured_alone_leaves_the_rows_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "FAMILIES", (SMALL, SizedFamily("tiny", dense, most=10)))
    monkeypatch.setattr(module, "SOLVERS", ("exhaustive",))
    assert call("--out", str(tmp_path)) == 0
    assert "(5 of 5 searches made now)" in capsys.readouterr().out
    before = pd.read_csv(tmp_path / "frontier.csv")
    assert call("--out", str(tmp_path), "--family", "tiny") == 0
    after = pd.read_csv(tmp_path / "frontier.csv")
    assert before["family"].tolist() == after["family"].tolist() == ["small"] * 4 + ["tiny"]
    pd.testing.assert_frame_equal(before[:4], after[:4])
    assert call("--out", str(tmp_path), "--family", "none") == 2
    assert "must be one of small, tiny, got none" in capsys.readouterr().err


@pytest.mark.parametrize(("share", "count"), [(0.2, 60), (0.4, 6)])
def test_brief_searches_use_no_share_of_the_time(
    share: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(family: SizedFamily, solver: str, n: int, seconds: float) -> dict[str, Any]:
        return {"n": n, "status": "OPTIMAL", "seconds": share * seconds}

    monkeypatch.setattr(module, "_measured", measured)
    rows = itertools.islice(frontier(SizedFamily("any", dense), "gurobi", seconds=10.0), 60)
    limit = sum(n <= 2000 for n in itertools.islice(module.sizes(2000), 60))
    assert len(list(rows)) == min(count, limit)


def test_a_run_that_was_broken_off_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAMILIES", (SMALL,))
    monkeypatch.setattr(module, "SOLVERS", ("exhaustive",))
    file, asked, measure = tmp_path / "frontier.csv", [], module._measured

    def measured(family: SizedFamily, solver: str, n: int, seconds: float) -> dict[str, Any]:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(n)
        return measure(family, solver, n, seconds)

    monkeypatch.setattr(module, "_measured", measured)
    with pytest.raises(KeyboardInterrupt):
        list(module.run(seconds=5.0, out=tmp_path))
    before = pd.read_csv(file)
    assert before["n"].tolist() == asked == [10, 12]
    asked.clear()
    (told, _), _ = module.run(seconds=5.0, out=tmp_path)
    assert "2 of 4 searches made now, 2 taken from frontier.csv; --anew makes all" in told
    assert asked == [13, 14]
    pd.testing.assert_frame_equal(pd.read_csv(file)[:2], before)
    asked.clear()
    with pytest.raises(KeyboardInterrupt):
        list(module.run(seconds=4.0, out=tmp_path))
    assert asked == [10, 12]  # as the limit is another one


def test_times_are_compared_at_each_other_solvers_own_largest_size() -> None:
    rows = [
        ("scip", 40, 9.0),
        ("scip", 30, 1.0),
        ("branch-and-bound", 40, 0.5),
        ("branch-and-bound", 90, 9.0),
    ]
    table = module.ratios(
        pd.DataFrame(
            [
                {"family": "f", "solver": solver, "n": n, "seconds": seconds, "status": "OPTIMAL"}
                for solver, n, seconds in rows
            ]
        )
    )
    (one,) = table.to_dict("records")
    assert one == {"instances": "f", "solver": "scip", "n": 40, "seconds": "9", "ours": "0.5", "ratio": "18"}


def test_the_page_and_the_table_hold_every_solver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "FAMILIES", (SMALL,))
    assert call("--seconds", "5", "--out", str(tmp_path / "new")) == 0
    printed = capsys.readouterr().out
    html = (tmp_path / "new" / "frontier.html").read_text()
    rows = pd.read_csv(tmp_path / "new" / "frontier.csv")
    assert set(rows["solver"]) == {solver for _, solver in module.pairs()}
    assert "sphere" not in set(rows["solver"])  # which takes no Qubo
    assert {"exhaustive", "branch-and-bound", "cp-sat", "mip"} <= set(rows["solver"])
    assert (rows["status"] == "OPTIMAL").all()
    for solver in rows["solver"].unique():
        assert solver in printed
        assert solver in html
    assert "src=" not in html.split('<script id="plotly">')[0]
    assert html.count('class="plot"') == 1
