// The data, and the view as the page's address names it: #study=...&x=...&cell=...
const data = block('index');
const RHO = 'rho',
  NONE = 'none';
const MEASURES = [
  {key: 'correlation.identity', label: 'correlation to the identity', low: 0, high: 1, at: 0},
  {key: 'correlation.constant', label: 'correlation to the constant', low: 0, high: 1, at: 1},
  {key: 'gap', label: 'correlation: constant less identity', low: -1, high: 1},
  {
    key: 'mse.identity',
    label: 'MSE to the identity',
    low: 0.001,
    high: 3,
    log: true,
    reverse: true,
    at: 2,
  },
  {
    key: 'mse.constant',
    label: 'MSE to the constant',
    low: 0.001,
    high: 3,
    log: true,
    reverse: true,
    at: 3,
  },
  {key: 'train_mse', label: 'final train MSE', log: true, reverse: true, own: r => r.mse},
  {key: 'steps', label: 'steps trained', log: true, reverse: true, own: r => r.steps},
  {
    key: 'lost',
    label: 'share of replicates dead or diverged',
    low: 0,
    high: 1,
    reverse: true,
    all: true,
    own: r => (isLive(r) ? 0 : 1),
  },
];

function block(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function isLive(replicate) {
  return data.live.includes(replicate.status);
}

function rhoGroups() {
  return data.groups.filter(group => 'rho' in group);
}

// Whether some cell of the study was shown a group of probes.
function shows(study, group) {
  const place = data.groups.indexOf(group) * 4;
  return study.cells.some(cell =>
    data.cells[cell].replicates.some(r =>
      r.values.slice(place, place + 4).some(value => value !== null),
    ),
  );
}

// What rows and columns can be: what the study varies, and rho where it has correlated probes.
function dimensions(study) {
  const found = study.axes.map(axis => ({...axis, label: axis.key}));
  const rhos = rhoGroups().filter(group => shows(study, group));
  if (rhos.length > 1) {
    const values = rhos.map(group => String(group.rho));
    found.push({key: RHO, label: 'ρ of the probe', values, groups: rhos});
  }
  return found;
}

// The view that an address asks for, with what it leaves out filled in; `wrong` says what it
// asks for that is not there.
function viewOf(hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ''));
  const wrong = [];
  const pick = (key, choices, otherwise) => {
    if (!asked.has(key) || choices.includes(asked.get(key))) return asked.get(key) ?? otherwise;
    wrong.push(`${key} “${asked.get(key)}”`);
    return otherwise;
  };
  const ids = data.cells.map(cell => cell.id);
  const cell = pick('cell', ids, null);
  const number = cell === null ? null : ids.indexOf(cell);
  const home = data.studies.find(study => study.cells.includes(number)) ?? data.studies[0];
  const preferred = data.studies.find(study => study.name === 'cnn_depth') ?? home;
  const name = pick(
    'study',
    data.studies.map(study => study.name),
    (number === null ? preferred : home).name,
  );
  const study = data.studies.find(known => known.name === name);
  const all = dimensions(study);
  const keys = all.map(dimension => dimension.key);
  const varied = keys.filter(key => key !== RHO);
  const y = pick('y', [...keys, NONE], varied.length > 1 ? varied[0] : (varied[0] ?? NONE));
  const rest = keys.filter(key => key !== y);
  const x = pick(
    'x',
    [...keys, NONE],
    varied.length > 1 ? rest.filter(key => key !== RHO).at(-1) : (rest[0] ?? NONE),
  );
  const measure = pick(
    'measure',
    MEASURES.map(known => known.key),
    MEASURES[0].key,
  );
  const groups = data.groups.filter(group => shows(study, group)).map(group => group.key);
  const probes = pick(
    'probes',
    groups,
    groups.includes('correlated') ? 'correlated' : groups.includes('unseen') ? 'unseen' : groups[0],
  );
  const there = number === null ? null : positionOf(study, number);
  const held = {};
  for (const axis of study.axes) {
    const place = there?.[axis.key] ?? 0;
    if (axis.key !== x && axis.key !== y)
      held[axis.key] = pick(`at.${axis.key}`, axis.values, axis.values[place]);
  }
  const count = number === null ? 0 : data.cells[number].replicates.length;
  const replicate = pick(
    'replicate',
    [...Array(count).keys()].map(String),
    String(Math.max(0, Math.min(data.replicate, count - 1))),
  );
  return {
    study,
    x,
    y,
    measure,
    probes,
    held,
    cell: number,
    replicate: Number(replicate),
    layers: asked.get('layers'),
    wrong,
  };
}

function addressOf(view) {
  const told = new URLSearchParams({
    study: view.study.name,
    y: view.y,
    x: view.x,
    measure: view.measure,
  });
  if (view.probes !== undefined) told.set('probes', view.probes);
  for (const [key, value] of Object.entries(view.held)) told.set(`at.${key}`, value);
  if (view.cell !== null) {
    told.set('cell', data.cells[view.cell].id);
    told.set('replicate', view.replicate);
    if (view.layers) told.set('layers', view.layers);
  }
  return `#${told}`;
}

// Axis -> place of its value, of one cell of a study; null where it is none of the study's.
function positionOf(study, cell) {
  let left = study.cells.indexOf(cell);
  if (left < 0) return null;
  const found = {};
  for (const axis of [...study.axes].reverse()) {
    found[axis.key] = left % axis.values.length;
    left = Math.floor(left / axis.values.length);
  }
  return found;
}

function cellAt(study, position) {
  return study.cells[
    study.axes.reduce((place, axis) => place * axis.values.length + position[axis.key], 0)
  ];
}

function named(study, cell) {
  const position = positionOf(study, cell);
  const told = study.axes.map(axis => `${axis.key} ${axis.values[position[axis.key]]}`);
  return told.join(', ') || data.cells[cell].id;
}
