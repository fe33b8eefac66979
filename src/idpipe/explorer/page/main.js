// What is shown follows the address; what is chosen changes the address.
let current = null;

function go(changes) {
  location.hash = addressOf({...current, ...changes});
}

// A field of the map, or with `cell` alone an entry of the list.
function choose(field) {
  const {cell} = field;
  if (map.fields.includes(field)) map.cursor = map.fields.indexOf(field);
  if (current.study.cells.includes(cell))
    go({
      cell,
      held: heldBy(cell),
      replicate: Math.min(
        current.cell === null ? data.replicate : current.replicate,
        data.cells[cell].replicates.length - 1,
      ),
    });
}

// Values of the axes that are not on the map, so that a cell is.
function heldBy(cell) {
  const position = positionOf(current.study, cell);
  return Object.fromEntries(
    current.study.axes
      .filter(axis => axis.key in current.held)
      .map(axis => [axis.key, axis.values[position[axis.key]]]),
  );
}

// What the map shows: all of a view but the cell.
function drawn(view) {
  return view && addressOf({...view, cell: null});
}

async function render() {
  const before = current,
    view = viewOf(location.hash);
  current = view;
  delete document.body.dataset.ready;
  const notice = document.getElementById('notice');
  notice.hidden = !view.wrong.length;
  notice.textContent = `The link asks for what this page does not have: ${view.wrong.join(', ')}. Something else is shown in its place.`;
  controls(view);
  const detail =
    before?.cell === view.cell &&
    before?.study === view.study &&
    before?.replicate === view.replicate &&
    before?.layers === view.layers
      ? null
      : drawCell(view);
  if (!map || drawn(before) !== drawn(view)) await drawMap(view);
  map.view = view;
  markChosen(view.cell);
  await detail;
  const title = document.getElementById('cell-title');
  if (before && view.cell !== before.cell && title.getBoundingClientRect().top > innerHeight - 120)
    title.scrollIntoView();
  if (view === current) document.body.dataset.ready = 'yes';
}

function controls(view) {
  const set = (id, options, value) => fill(document.getElementById(id), options, value);
  const all = dimensions(view.study).map(dimension => [dimension.key, dimension.label]);
  set(
    'study',
    data.studies.map(study => [study.name, study.name]),
    view.study.name,
  );
  set('y', [...all, [NONE, 'none']], view.y);
  set('x', [...all, [NONE, 'none']], view.x);
  set(
    'measure',
    MEASURES.map(measure => [measure.key, measure.label]),
    view.measure,
  );
  set(
    'probes',
    data.groups.filter(group => shows(view.study, group)).map(group => [group.key, group.label]),
    view.probes,
  );
  set(
    'cell',
    [['', 'choose …'], ...view.study.cells.map(cell => [String(cell), named(view.study, cell)])],
    view.study.cells.includes(view.cell) ? String(view.cell) : '',
  );
  const measure = MEASURES.find(known => known.key === view.measure);
  document.getElementById('probes-label').hidden =
    Boolean(measure.own) || [view.x, view.y].includes(RHO);
  const held = document.getElementById('held');
  const focused = document.activeElement?.id;
  held.replaceChildren(
    ...view.study.axes
      .filter(axis => axis.key in view.held)
      .map(axis =>
        choice(
          `at.${axis.key}`,
          axis.key,
          axis.values.map(value => [value, value]),
          view.held[axis.key],
          value => go({held: {...current.held, [axis.key]: value}}),
        ),
      ),
  );
  if (focused?.startsWith('at.')) document.getElementById(focused)?.focus();
}

// Rows and columns are never the same: the other one takes what this one had.
function place(side, value) {
  const other = side === 'x' ? 'y' : 'x';
  const sides = {x: current.x, y: current.y, [side]: value};
  if (value !== NONE && value === current[other]) sides[other] = current[side];
  const there = current.cell === null ? null : positionOf(current.study, current.cell);
  const held = {};
  for (const axis of current.study.axes) {
    if (axis.key !== sides.x && axis.key !== sides.y)
      held[axis.key] = current.held[axis.key] ?? axis.values[there?.[axis.key] ?? 0];
  }
  go({...sides, held});
}

document.getElementById('controls').addEventListener('submit', event => event.preventDefault());
document.getElementById('study').addEventListener('change', event => {
  location.hash = `#${new URLSearchParams({study: event.target.value, measure: current.measure})}`;
});
document.getElementById('x').addEventListener('change', event => place('x', event.target.value));
document.getElementById('y').addEventListener('change', event => place('y', event.target.value));
document
  .getElementById('measure')
  .addEventListener('change', event => go({measure: event.target.value}));
document
  .getElementById('probes')
  .addEventListener('change', event => go({probes: event.target.value}));
document.getElementById('cell').addEventListener('change', event => {
  if (event.target.value !== '') choose({cell: Number(event.target.value)});
});
addEventListener('hashchange', render);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  map = null;
  current = null;
  render();
});
render();
