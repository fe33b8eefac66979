// One cell: settings, how its replicates ended, predictions, training, layers.
const details = document.getElementById('details');
const STATUS = {
  converged: 'converged',
  max_steps: 'ended at its budget of steps',
  dead: 'dead: a layer without an active unit',
  diverged: 'diverged',
};
const KINDS = {
  train: 'training image',
  blend: 'blend',
  unseen: 'unseen image',
  out_of_domain: 'out-of-domain image',
  pattern: 'pattern',
};

function element(name, content = [], attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...[content].flat());
  return made;
}

function choice(id, label, options, value, change) {
  const select = element('select', [], {id});
  fill(select, options, value);
  select.addEventListener('change', () => change(select.value));
  return element('label', [label + ' ', select]);
}

function fill(select, options, value) {
  select.replaceChildren(...options.map(([key, label]) => element('option', label, {value: key})));
  select.value = value;
}

// Draws one tile of a sprite; what is not finite is crossed out.
function tile(sprite, place, picture, words) {
  const size = sprite.size,
    broken = sprite.broken.includes(place);
  const canvas = element('canvas', [], {
    class: 'tile',
    width: size,
    height: size,
    role: 'img',
    'aria-label': broken ? `${words}: not finite` : words,
  });
  const pen = canvas.getContext('2d');
  if (!broken) {
    const left = (place % sprite.columns) * size,
      top = Math.floor(place / sprite.columns) * size;
    pen.drawImage(picture, left, top, size, size, 0, 0, size, size);
    return canvas;
  }
  pen.strokeStyle = '#b3261e';
  pen.lineWidth = size / 14;
  for (const [from, to] of [
    [0, size],
    [size, 0],
  ]) {
    pen.beginPath();
    pen.moveTo(0, from);
    pen.lineTo(size, to);
    pen.stroke();
  }
  return canvas;
}

async function decoded(sprite) {
  const picture = new Image();
  picture.src = `data:image/png;base64,${sprite.png}`;
  await picture.decode();
  return picture;
}

// A cell need not be of the study that is on the map.
function titleOf({study, cell}) {
  return study.cells.includes(cell) ? `${study.name}: ${named(study, cell)}` : data.cells[cell].id;
}

async function drawCell(view) {
  const title = document.getElementById('cell-title');
  delete details.dataset.ready;
  if (view.cell === null) {
    title.textContent = 'Cell';
    details.replaceChildren(
      element('p', 'No cell is chosen yet: choose a field of the map, or from the list of cells.'),
    );
    return;
  }
  const known = data.cells[view.cell],
    cell = block(`cell-${view.cell}`);
  title.textContent = titleOf(view);
  const parts = [
    element(
      'p',
      [element('code', cell.folder + '/'), ` trained ${number(cell.seconds)} s on ${cell.device}.`],
      {class: 'quiet'},
    ),
    choice(
      'replicate',
      'Replicate',
      known.replicates.map((r, place) => [String(place), `${place}: ${STATUS[r.status]}`]),
      String(view.replicate),
      value => go({replicate: Number(value)}),
    ),
    element('h3', 'Predictions'),
    await predictions(view, cell),
    element('h3', 'Training'),
    ...training(view, known, cell),
    element('h3', 'Layers'),
    ...(await layers(view, known, cell)),
    element('details', [element('summary', 'Settings'), settings(cell.settings)]),
  ];
  if (view !== current) return;
  const focused = document.activeElement?.id;
  details.replaceChildren(...parts);
  if (['replicate', 'layers'].includes(focused)) document.getElementById(focused)?.focus();
  await Promise.all([...details.querySelectorAll('.chart')].map(place => charts.get(place)()));
  if (view === current) details.dataset.ready = known.id;
}

// Charts take their width from the page, so they are drawn once they stand in it.
const charts = new WeakMap();
function chart(draw) {
  const place = element('div', [], {class: 'chart'});
  charts.set(place, () => draw(place));
  return place;
}

async function predictions(view, cell) {
  const probes = block(`probes-${cell.probes}`);
  const shown = probes.sets[probes.sets.length > 1 ? view.replicate : 0],
    made = cell.predictions[view.replicate];
  const [inputs, outputs] = await Promise.all([decoded(shown), decoded(made)]);
  const items = probes.names.map((name, place) =>
    element(
      'li',
      [
        tile(shown, place, inputs, `input ${name}`),
        tile(made, place, outputs, `prediction ${name}`),
        name.replaceAll('_', ' '),
      ],
      {class: probes.kinds[place], title: KINDS[probes.kinds[place]]},
    ),
  );
  return element('div', [
    element(
      'p',
      'Above what the network is shown, below what it makes of it. Training images left of the dashed line.',
      {class: 'quiet'},
    ),
    element('ul', items, {class: 'tiles', id: 'predictions'}),
  ]);
}

function training(view, known, cell) {
  const ink = place => INKS[place % INKS.length];
  const rows = known.replicates.map((r, place) => {
    const earlier = cell.earlier[place];
    const before = earlier
      .map(attempt => `${attempt.status} at step ${number(attempt.steps)}`)
      .join(', ');
    return element(
      'tr',
      [
        element('td', [
          element('span', [], {class: 'swatch', style: `border-color:${ink(place)}`}),
          String(place),
        ]),
        element(
          'td',
          STATUS[r.status] +
            (r.restarts ? `; restarted ${r.restarts} times${before ? ` (${before})` : ''}` : ''),
        ),
        element('td', r.steps.toLocaleString('en')),
        element('td', r.mse === null ? 'not finite' : number(r.mse)),
      ],
      {class: place === view.replicate ? 'chosen' : ''},
    );
  });
  const head = ['no.', 'ended', 'steps', 'train MSE'].map(name =>
    element('th', name, {scope: 'col'}),
  );
  const table = element(
    'div',
    element('table', [element('thead', element('tr', head)), element('tbody', rows)], {
      id: 'status',
    }),
    {class: 'table'},
  );
  const curves = cell.curves
    .map((curve, place) => ({
      x: curve.step.map(step => step + 1),
      y: curve.mse,
      ink: ink(place),
      dash: isLive(known.replicates[place]) ? 'solid' : 'dashed',
      width: place === view.replicate ? 3 : 1.2,
    }))
    .filter(curve => curve.x.length);
  if (!curves.length) return [table, element('p', 'No training curve is stored.')];
  const r = known.replicates[view.replicate],
    first = cell.curves[view.replicate].mse.find(mse => mse !== null);
  const words =
    `Train MSE of ${curves.length} replicates over steps. Replicate ${view.replicate} began at ` +
    `${first === undefined ? 'no finite MSE' : number(first)} and ended at ${r.mse === null ? 'no finite MSE' : number(r.mse)} after ${r.steps} steps.`;
  const options = {
    x_axis_type: 'log',
    y_axis_type: 'log',
    x_axis_label: 'steps + 1',
    y_axis_label: 'train MSE',
  };
  return [table, chart(place => lines(place, options, curves, words))];
}

const QUANTITIES = {
  error_rate: 'error rate of the averaging classifier on each layer',
  distance: 'distance of each layer’s weights from initialization',
};

async function layers(view, known, cell) {
  const parts = [];
  for (const [quantity, label] of Object.entries(QUANTITIES)) {
    const found = (cell.layers ?? []).filter(curve => curve.quantity === quantity);
    if (!found.length) continue;
    const all = found.map(curve => ({
      x: curve.layer,
      y: curve.values[view.replicate] ?? [],
      ink: curve.state === 'trained' ? INKS[0] : INKS[1],
      dash: curve.state === 'trained' ? 'solid' : 'dashed',
    }));
    const states = found.map(curve =>
      curve.state === 'trained' ? 'solid: trained' : 'dashed: before training',
    );
    const key = found.length > 1 ? ` (${states.join(', ')})` : '';
    parts.push(
      element('p', `The ${label}${key}.`, {class: 'quiet'}),
      chart(place =>
        lines(
          place,
          {height: 190, x_axis_label: 'layer'},
          all,
          `The ${label}, replicate ${view.replicate}`,
        ),
      ),
    );
  }
  if (cell.views) parts.push(...(await views(view, cell)));
  return parts.length
    ? parts
    : [element('p', 'No figure asks for the layers of this cell, so none are stored.')];
}

async function views(view, cell) {
  const {of, probes: places, replicate} = cell.views;
  const shown = of.find(one => one.key === view.layers) ?? of[0];
  const picture = await decoded(shown),
    {names} = block(`probes-${cell.probes}`);
  const count = of[0].columns,
    grid = element('div', [], {
      class: 'layers',
      id: 'views',
      style: `grid-template-columns: 3.2rem repeat(${count}, minmax(0, 1fr))`,
    });
  const depth = cell.settings['net.depth'] - 1;
  for (let layer = 0; layer < depth; layer++) {
    grid.append(element('span', `layer ${layer + 1}`));
    for (let place = 0; place < count; place++) {
      grid.append(
        tile(shown, layer * count + place, picture, `layer ${layer + 1}, ${names[places[place]]}`),
      );
    }
  }
  const note =
    replicate === view.replicate ? '' : ` Views are kept of replicate ${replicate} alone.`;
  return [
    choice(
      'layers',
      'Views of hidden layers',
      of.map(one => [one.key, one.label]),
      shown.key,
      value => go({layers: value}),
    ),
    element(
      'p',
      `Of replicate ${replicate}; each picture over its own range. Columns: ${places.map(place => names[place]).join(', ')}.${note}`,
      {class: 'quiet'},
    ),
    grid,
  ];
}

function settings(all) {
  const rows = Object.entries(all).map(([key, value]) =>
    element('tr', [
      element('th', key, {scope: 'row'}),
      element('td', typeof value === 'string' ? value : JSON.stringify(value)),
    ]),
  );
  return element('div', element('table', element('tbody', rows), {id: 'settings'}), {
    class: 'table',
  });
}
