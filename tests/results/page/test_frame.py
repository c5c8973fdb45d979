"""In a browser, from a file and without a network, the page draws, sorts, filters and logs no error."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import jinja2
import pytest
from records import HOSTILE, make_benchmark

from qubopress.results import report
from qubopress.results.page.frame import page as page_of
from qubopress.results.page.frame import render, script_json

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path; install Debian's chromium")

PROBE = """
<script>
const errors = [];
addEventListener('error', event => errors.push(event.message));
addEventListener('unhandledrejection', event => errors.push(String(event.reason)));
addEventListener('securitypolicyviolation', event => errors.push(event.violatedDirective));
const pause = () => new Promise(resolve => setTimeout(resolve, 50));
const board = () => document.querySelector('#leaderboard tbody:not([hidden])');
const solvers = () => [...board().rows].filter(row => !row.hidden).map(row => row.cells[1].textContent);
const set = (name, value) => {
  const control = document.querySelector(`[data-filter=${name}]`);
  control.value = value;
  control.dispatchEvent(new Event('input', {bubbles: true}));
};
const click = text => [...document.querySelectorAll('#leaderboard th button')]
  .find(button => button.textContent === text).click();
(async () => {
  const told = {};
  const plots = [...document.querySelectorAll('.plot')];
  for (let i = 0; i < 400 && !plots.every(plot => plot.querySelector('.trace')); i++) await pause();
  told.plots = plots.length;
  told.drawn = plots.filter(plot => plot.querySelectorAll('.trace').length > 0).length;
  told.wide = document.documentElement.scrollWidth - innerWidth;
  const scroll = document.querySelector('#leaderboard .scroll');
  told.board = scroll.scrollWidth - scroll.clientWidth;
  told.begins = board().dataset.family;
  set('family', ''); told.first = solvers();
  click('excess'); told.up = solvers();
  click('excess'); told.down = solvers();
  click('solver'); told.named = solvers();
  const lines = () => plots.flatMap(plot => plot.data ?? []).filter(one => one.visible).map(one => one.name);
  const nothing = () => document.querySelector('#leaderboard .nothing').checkVisibility();
  set('solver', 'neal'); told.filtered = solvers();
  told.lines = ['neal', 'beam'].map(solver => lines().some(name => name?.startsWith(solver)));
  told.nothing = [nothing()];
  set('solver', 'nobody'); told.nothing.push(nothing());
  set('solver', ''); told.nothing.push(nothing());
  set('family', 'pruning'); told.family = [board().dataset.family, solvers().length];
  told.sections = [...document.querySelectorAll('section[data-family]')]
    .filter(one => one.checkVisibility()).map(one => one.dataset.family);
  set('family', 'rounding'); set('budget', '20 s');
  told.budget = [board().dataset.family, board().dataset.budget, solvers().length];
  set('instance', 'int2');
  told.instances = [...document.querySelectorAll('#instances details')].filter(e => !e.hidden).length;
  const plot = plots.find(one => one.closest('section').querySelector('.legend'));
  const shown = () => plot.data.filter(trace => trace.visible).length;
  const before = shown();
  plot.closest('section').querySelector('.legend button').click();
  told.legend = [before, shown()];
  const section = document.querySelector('section[data-family=rounding]');
  const axis = () => section.querySelector('.plot').layout.xaxis.title.text;
  const press = which => section.querySelector(`[data-axis=${which}]`).click();
  const remark = section.querySelector('p.over-work');
  told.axes = [axis(), remark.checkVisibility()];
  press('work'); told.axes.push(axis(), remark.checkVisibility());
  press('seconds'); told.axes.push(axis(), remark.checkVisibility());
  const link = document.querySelector('a.download');
  link.addEventListener('click', event => event.preventDefault());
  link.click(); told.link = link.href.slice(0, 10);
  told.errors = errors;
  document.body.setAttribute('data-told', JSON.stringify(told));
})().catch(error => document.body.setAttribute('data-told', JSON.stringify({failed: String(error.stack)})));
</script>
"""


def visit(page: Path, width: int) -> tuple[dict[str, Any], list[str]]:
    """What the probe saw on the page, and what the browser's console said."""
    probed = page.with_name(f"probed-{width}.html")
    text, end, rest = page.read_text(encoding="utf-8").rpartition("</body>")
    probed.write_text(text + PROBE + end + rest, encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},2000", "--dump-dom"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=60000", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    (told,) = re.findall(r'data-told="([^"]*)"', done.stdout) or ["{}"]
    return json.loads(unescape(told)), re.findall(r".*CONSOLE.*", done.stderr)


NAMES = [pytest.param(False, id="plain"), pytest.param(True, id="hostile", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=NAMES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    store = make_benchmark(folder / "s.db", seeds=1, hostile=request.param, budgets=(10.0, 20.0))
    return report(store, folder / "page.html")


@pytest.fixture(scope="module")
def seen(page: Path) -> tuple[dict[str, Any], list[str]]:
    return visit(page, 1400)


def test_no_error_reaches_the_console(seen: tuple[dict[str, Any], list[str]]) -> None:
    told, console = seen
    assert "failed" not in told
    assert told["errors"] == []
    assert console == []


def test_every_figure_draws(seen: tuple[dict[str, Any], list[str]]) -> None:
    told, _ = seen
    assert told["plots"] == told["drawn"] > 15


def test_a_click_on_a_head_sorts_and_another_reverses(seen: tuple[dict[str, Any], list[str]]) -> None:
    told, _ = seen
    assert told["up"] == told["first"]
    assert told["down"][0] == told["up"][-1] == "random(10 s)"
    assert sorted(told["down"]) == sorted(told["up"])
    assert told["named"][0] == "beam(10 s)"
    assert told["named"] == sorted(told["named"], key=str.lower)


def test_filters_narrow_by_solver_family_budget_and_instance(seen: tuple[dict[str, Any], list[str]]) -> None:
    told, _ = seen
    assert sorted(told["filtered"]) == [
        f"neal({seconds} s, num_reads={reads})" for seconds in (10, 20) for reads in (10, 100)
    ]
    assert told["family"] == ["pruning", 23]  # eleven solvers at two budgets, and doing nothing
    assert told["budget"] == ["rounding", "20 s", 12]
    assert told["instances"] == 2


def test_filters_reach_the_figures_and_say_when_nothing_matches(
    seen: tuple[dict[str, Any], list[str]],
) -> None:
    told, _ = seen
    assert told["lines"] == [True, False]
    assert told["nothing"] == [False, True, False]
    assert told["begins"] == "analog"  # families are no rivals
    assert told["sections"] == ["pruning"]


def test_the_legend_hides_a_solver(seen: tuple[dict[str, Any], list[str]]) -> None:
    before, after = seen[0]["legend"]
    assert 0 < after < before


def test_the_axis_changes_to_own_work_and_back(seen: tuple[dict[str, Any], list[str]]) -> None:
    work = "own work, in each solver's unit"
    assert seen[0]["axes"] == ["seconds", False, work, True, "seconds", False]


def test_a_download_becomes_an_object_that_a_browser_can_save(seen: tuple[dict[str, Any], list[str]]) -> None:
    assert seen[0]["link"] == "blob:null/"


def test_the_page_fits_its_window(seen: tuple[dict[str, Any], list[str]]) -> None:
    assert seen[0]["wide"] <= 0
    assert seen[0]["board"] <= 0


@pytest.mark.slow
def test_the_page_and_its_board_fit_a_narrow_window(page: Path) -> None:
    told, _ = visit(page, 800)
    assert told["wide"] <= 0
    assert told["board"] <= 0


def test_data_cannot_end_its_script() -> None:
    text = script_json({"name": HOSTILE})
    assert "<" not in text
    assert json.loads(text) == {"name": HOSTILE}


def test_a_template_escapes_what_it_is_given_and_not_what_a_template_made() -> None:
    made = render("failures_section.html", heads=((HOSTILE, "text"),), rows=[], more=0)
    assert str(made) in page_of("report.html", title=HOSTILE, **ONE_SECTION, sections=[made])
    assert HOSTILE not in page_of("report.html", title=HOSTILE, **ONE_SECTION, sections=[HOSTILE])


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'missed' is undefined"):
        render("downloads.html", files=[])


def test_a_page_without_figures_carries_no_plotly() -> None:
    assert len(page_of("report.html", title="", **ONE_SECTION, sections=[])) < 30_000


ONE_SECTION: dict[str, Any] = {
    "heading": HOSTILE,
    "entries": [(HOSTILE, HOSTILE)],
    "links": [("policy", HOSTILE)],
    "paragraphs": [HOSTILE],
    "references": HOSTILE,
}
