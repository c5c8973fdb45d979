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
  for (const body of scope.querySelectorAll('[data-family][data-budget]')) {
    body.hidden = body.dataset.family !== chosen('family') || body.dataset.budget !== chosen('budget');
    for (const row of body.rows ?? []) row.hidden = !holds(row.cells[1], 'solver');
  }
  const shown = [...scope.querySelectorAll('tbody[data-family]:not([hidden]) > tr, :scope > details')].some(one => !one.hidden);
  for (const note of scope.querySelectorAll('.nothing')) note.hidden = shown;
  if (control.closest('#leaderboard')) reachFigures();
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
const asked = name => document.querySelector(`#leaderboard [data-filter=${name}]`)?.value ?? '';
const stem = name => name?.split('(')[0];
const lineStems = new Set([...document.querySelectorAll('.legend button')].map(one => stem(one.dataset.name)));
const named = ({name}) => !lineStems.has(stem(name)) || name.toLowerCase().includes(asked('solver').toLowerCase());
const visible = (plot, trace) => !hidden.get(plot.closest('section'))?.has(trace.name) && named(trace);
function reachFigures() {
  for (const section of document.querySelectorAll('section[data-family]'))
    section.hidden = asked('family') !== '' && section.dataset.family !== asked('family');
  redraw();
}
function draw(plot) {
  const figure = figures[plot.dataset.figure];
  const {data, layout: own} = plot.closest('section').dataset.axis === 'work' && figure.work || figure;
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
for (const button of document.querySelectorAll('.switch button')) button.addEventListener('click', () => {
  const section = button.closest('section');
  section.dataset.axis = button.dataset.axis;
  for (const one of section.querySelectorAll('.switch button')) one.setAttribute('aria-pressed', one === button);
  redraw();
});
