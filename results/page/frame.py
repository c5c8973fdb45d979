"""The report's page: its frame, its style sheet and its few lines of script. No figure of ours in here."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from plotly.offline import get_plotlyjs

CSS = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d9dee3; --paper: #fff;
  --tint: #f5f7f9; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa5b0; --line: #343b43;
  --paper: #14181c; --tint: #1c2127; --accent: #5bb5e8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1320px; padding: 2.2rem clamp(1rem, 3vw, 2.5rem) 4rem;
  background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.015em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .5rem; padding-top: .9rem; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.8rem 0 .3rem; }
p { max-width: 75ch; margin: .4rem 0 .8rem; }
.lead, .note, figcaption small { color: var(--soft); }
.note { font-size: .87rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 1rem 0 0; font-size: .92rem; }
a { color: var(--accent); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: .7rem 1.6rem;
  margin: 1.3rem 0 0; padding: 1rem 1.2rem; background: var(--tint); border-radius: 6px; }
dl div.wide { grid-column: 1 / -1; }
dt { color: var(--soft); font-size: .78rem; letter-spacing: .02em; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
.board table { font-size: .82rem; }
.board td, .board th button { padding-left: .38rem; padding-right: .38rem; }
.wider { display: none; }
th, td { padding: .36rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 1.5px solid var(--ink); vertical-align: bottom; font-weight: 600; padding: 0; }
th button { all: unset; cursor: pointer; padding: .36rem .6rem; width: 100%; box-sizing: border-box; }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
th[aria-sort=ascending] button::after { content: " ↑"; }
th[aria-sort=descending] button::after { content: " ↓"; }
.text { text-align: left; }
td.text { white-space: normal; overflow-wrap: anywhere; min-width: 7.5em; }
td.name { min-width: 9.5em; font-weight: 550; }
td small { display: block; color: var(--soft); font-size: .82em; font-weight: 400; line-height: 1.25; }
td.bound { color: var(--soft); }
td.message { font: .8rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; min-width: 20em; }
tbody tr:hover { background: var(--tint); }
.strip { position: relative; display: inline-block; width: 84px; height: 12px; vertical-align: -1px;
  border-left: 1px solid var(--line); }
.strip::after { content: ""; position: absolute; left: var(--one); top: -5px; bottom: -5px; border-left:
  1px dotted var(--soft); }
.strip i { position: absolute; top: 5px; height: 2px; background: var(--accent); opacity: .55; }
.strip b { position: absolute; top: 2px; width: 8px; height: 8px; margin-left: -4px; border-radius: 50%;
  background: var(--accent); }
.filters { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; margin: .8rem 0 .2rem; font-size: .88rem;
  color: var(--soft); }
.filters select, .filters input { font: inherit; color: var(--ink); background: var(--paper);
  padding: .1rem .4rem; border: 1px solid var(--line); border-radius: 5px; max-width: 16rem; }
.downloads { font-size: .88rem; }
.download { margin-right: .9rem; }
.narrow table { width: auto; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
details[open] { padding-bottom: 1.2rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary b { font-weight: 550; }
summary small { color: var(--soft); margin-left: .5em; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem .4rem; margin: .5rem 0 .8rem; }
.legend button { font: inherit; font-size: .84rem; color: inherit; background: none; cursor: pointer;
  border: 1px solid var(--line); border-radius: 5px; padding: .1rem .5rem; display: flex; align-items: center;
  gap: .4rem; }
.legend button[aria-pressed=false] { opacity: .35; }
.panels { display: grid; gap: 1.2rem 1.4rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: .92rem; line-height: 1.35; overflow-wrap: anywhere; }
figcaption small { display: block; font-weight: 400; }
.plot { height: 240px; }
@media (max-width: 1000px) { table, .board table { font-size: .74rem; }
  .board td, .board th button { padding-left: .26rem; padding-right: .26rem; }
  .board .minor { display: none; } .wider { display: block; }
  th button, th, td { padding-left: .35rem; padding-right: .35rem; }
  .board td.name { min-width: 7.5em; } }
@media print { body { max-width: none; padding: 0; } figure, tr { break-inside: avoid; }
  nav, .filters, .downloads, .legend button[aria-pressed=false] { display: none; } }
"""

SCRIPT = """
'use strict';
for (const button of document.querySelectorAll('th button')) button.addEventListener('click', () => {
  const head = button.closest('th'), bodies = head.closest('table').tBodies;
  const up = head.getAttribute('aria-sort') !== 'ascending';
  const value = row => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
  const compare = (a, b) => {
    const [p, q] = [value(a), value(b)], [x, y] = [Number(p), Number(q)];
    if (p === '' || q === '') return (p === '') - (q === '');
    return (up ? 1 : -1) * (isNaN(x) || isNaN(y) ? p.localeCompare(q) : x - y);
  };
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  for (const body of bodies) body.append(...[...body.rows].sort(compare));
});

for (const control of document.querySelectorAll('[data-filter]')) control.addEventListener('input', () => {
  const scope = control.closest('.board, section');
  const chosen = name => scope.querySelector(`[data-filter=${name}]`)?.value ?? '';
  const holds = (element, name) => element.textContent.toLowerCase().includes(chosen(name).toLowerCase());
  for (const entry of scope.querySelectorAll(':scope > details'))
    entry.hidden = !holds(entry.querySelector('summary'), 'instance');
  for (const body of scope.querySelectorAll('tbody[data-family]')) {
    body.hidden = body.dataset.family !== chosen('family') || body.dataset.budget !== chosen('budget');
    for (const row of body.rows) row.hidden = !holds(row.cells[1], 'solver');
  }
});

// Browsers refuse to save long data addresses, so a click turns one into an object first.
for (const link of document.querySelectorAll('a.download')) link.addEventListener('click', () => {
  if (!link.href.startsWith('data:')) return;
  const [head, body] = link.href.split(',');
  const bytes = Uint8Array.from(atob(body), letter => letter.charCodeAt(0));
  link.href = URL.createObjectURL(new Blob([bytes], {type: head.slice(5).split(';')[0]}));
});

const figures = JSON.parse(document.getElementById('figures').textContent);
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const config = {displaylogo: false, responsive: true, displayModeBar: false};
function layout(own) {
  const axis = {gridcolor: colour('--line'), zeroline: false, linecolor: colour('--line'), automargin: true};
  const title = {font: {size: 11.5, color: colour('--soft')}, standoff: 6};
  const dressed = which => ({...axis, ...own[which], title: {...title, ...own[which].title}});
  return {...own, xaxis: dressed('xaxis'), yaxis: dressed('yaxis'), margin: {l: 48, r: 8, t: 8, b: 38},
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', hovermode: 'closest',
    hoverlabel: {namelength: -1},
    font: {family: 'system-ui, sans-serif', size: 11.5, color: colour('--ink')}};
}
const hidden = new Map();
const visible = (plot, trace) => !hidden.get(plot.closest('section'))?.has(trace.name);
function draw(plot) {
  const {data, layout: own} = figures[plot.dataset.figure];
  Plotly.react(plot, data.map(t => ({...t, visible: visible(plot, t)})), layout(own), config);
}
const plots = [...document.querySelectorAll('.plot')];
(async () => {
  for (const plot of plots) { draw(plot); await new Promise(resolve => setTimeout(resolve)); }
})();
const redraw = () => plots.filter(plot => plot.data).forEach(draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
for (const button of document.querySelectorAll('.legend button')) button.addEventListener('click', () => {
  const section = button.closest('section'), names = hidden.get(section) ?? new Set();
  const show = button.getAttribute('aria-pressed') === 'false';
  button.setAttribute('aria-pressed', show);
  names[show ? 'delete' : 'add'](button.dataset.name);
  hidden.set(section, names);
  redraw();
});
"""

# Nothing may be loaded from anywhere, whatever a name or a message in the page tries.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def page(title: str, body: str, figures: Sequence[dict[str, Any]]) -> str:
    """Join a page from an escaped body and the data of its figures, with plotly.js inside, once."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body>
{body}
<script type="application/json" id="figures">{script_json(figures)}</script>
<script>{get_plotlyjs()}</script>
<script>{SCRIPT}</script>
</body>
</html>
"""


def script_json(value: Any) -> str:
    """Strict JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
