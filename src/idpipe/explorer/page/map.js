// The map: a field for each combination of two dimensions, coloured by a measure.
const mapPlace = document.getElementById('map');
const told = document.getElementById('told');
let map = null; // what is drawn: {view, rows, columns, fields, cursor, ...}

function dimensionOf(view, key) {
  return (
    dimensions(view.study).find(dimension => dimension.key === key) ?? {
      key: NONE,
      label: '',
      values: [''],
    }
  );
}

// Mean over replicates that count, and half of its interval.
function summary(cell, measure, group) {
  const all = data.cells[cell].replicates;
  const counted = measure.all ? all : all.filter(isLive);
  const values = counted.map(r => valueOf(r, measure, group)).filter(value => value !== null);
  const count = values.length,
    lost = all.length - all.filter(isLive).length;
  if (!count) return {mean: null, half: null, count, lost, total: all.length};
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const spread = Math.sqrt(
    values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1),
  );
  const half =
    count > 1 && !measure.all ? (data.quantiles[count] * spread) / Math.sqrt(count) : null;
  return {mean, half, count, lost, total: all.length};
}

function valueOf(replicate, measure, group) {
  if (measure.own) return measure.own(replicate);
  const [identity, constant] = replicate.values.slice(group * 4);
  if (measure.key === 'gap')
    return identity === null || constant === null ? null : constant - identity;
  return replicate.values[group * 4 + measure.at];
}

function fieldsOf(view, rows, columns) {
  const measure = MEASURES.find(known => known.key === view.measure);
  const found = [];
  for (let row = 0; row < rows.values.length; row++) {
    for (let column = 0; column < columns.values.length; column++) {
      const position = {};
      for (const axis of view.study.axes)
        position[axis.key] = axis.values.indexOf(view.held[axis.key]);
      let group = data.groups.findIndex(known => known.key === view.probes);
      for (const [dimension, place] of [
        [rows, row],
        [columns, column],
      ]) {
        if (dimension.key === RHO) group = data.groups.indexOf(dimension.groups[place]);
        else if (dimension.key !== NONE) position[dimension.key] = place;
      }
      const cell = cellAt(view.study, position);
      found.push({row, column, cell, group, ...summary(cell, measure, group)});
    }
  }
  return found;
}

function limits(measure, fields) {
  if (measure.high !== undefined) return [measure.low, measure.high];
  const means = fields.map(field => field.mean).filter(mean => mean > 0);
  if (!means.length) return [0.1, 1];
  const low = Math.min(...means),
    high = Math.max(...means);
  return high > low ? [low, high] : [low / 2, high * 2];
}

function drawMap(view) {
  const rows = dimensionOf(view, view.y),
    columns = dimensionOf(view, view.x);
  const measure = MEASURES.find(known => known.key === view.measure);
  const fields = fieldsOf(view, rows, columns);
  const [low, high] = limits(measure, fields);
  const palette = measure.reverse ? [...data.colours].reverse() : data.colours;
  const make = measure.log ? Bokeh.LogColorMapper : Bokeh.LinearColorMapper;
  const mapper = new make({palette, low, high, nan_color: colour('--line')});
  const down = rows.values.length,
    across = columns.values.length;
  const width = Math.max(...columns.values.map(text => text.length));
  const steep = across * (width * 7 + 8) > mapPlace.clientWidth - 110;
  const foot = steep ? Math.min(130, width * 7) : 20;
  const made = plot({
    height: Math.max(3, down) * Math.min(44, Math.max(20, 420 / down)) + foot + 90,
    x_range: new Bokeh.Range1d({start: -0.5, end: across - 0.5}),
    y_range: new Bokeh.Range1d({start: down - 0.5, end: -0.5}),
    x_axis_label: columns.label,
    y_axis_label: rows.label,
  });
  const each = Math.ceil((across * 14) / Math.max(1, mapPlace.clientWidth - 110));
  nameTicks(
    made.xaxes[0],
    columns.values,
    columns.values.map((_, place) => place).filter(place => place % each === 0),
  );
  nameTicks(
    made.yaxes[0],
    rows.values,
    rows.values.map((_, place) => place),
  );
  if (steep) made.xaxes[0].major_label_orientation = Math.PI / 2;
  const places = some => ({x: some.map(field => field.column), y: some.map(field => field.row)});
  made.rect({
    ...XY,
    width: 1,
    height: 1,
    line_color: colour('--paper'),
    fill_color: {field: 'mean', transform: mapper},
    source: source({...places(fields), mean: fields.map(field => field.mean ?? NaN)}),
  });
  made.scatter({
    ...XY,
    marker: 'x',
    size: 9,
    line_color: colour('--ink'),
    line_width: 1.5,
    source: source(places(fields.filter(field => field.mean === null))),
  });
  const outline = (ink, thick, dash) => {
    const marked = source({x: [], y: [], w: [], h: []});
    made.rect({
      ...XY,
      width: {field: 'w'},
      height: {field: 'h'},
      fill_color: null,
      line_color: ink,
      line_width: thick,
      line_dash: dash,
      source: marked,
    });
    return marked;
  };
  const chosen = [outline('#fff', 5, 'solid'), outline('#d0021b', 2.5, 'solid')];
  const cursor = [outline('#fff', 4, 'solid'), outline('#000', 2, 'dashed')];
  made.add_layout(
    new Bokeh.ColorBar({
      color_mapper: mapper,
      width: 10,
      background_fill_color: null,
      major_label_text_color: colour('--ink'),
      major_label_text_font_size: '12px',
      padding: 4,
      title: null,
    }),
    'right',
  );
  const inside = event =>
    event.x > -0.5 && event.x < across - 0.5 && event.y > -0.5 && event.y < down - 0.5;
  const under = event => fields[Math.round(event.y) * across + Math.round(event.x)];
  made.on_event('tap', event => {
    if (inside(event)) choose(under(event));
  });
  made.on_event('mousemove', event => {
    if (inside(event)) tell(under(event));
  });
  made.on_event('mouseleave', () => {
    tell(fields[map.cursor]);
  });
  const words = `${measure.label}, ${down} rows by ${across} columns; rows ${rows.label || 'none'}, columns ${columns.label || 'none'}`;
  mapPlace.setAttribute('aria-label', words);
  map = {
    view,
    rows,
    columns,
    measure,
    fields,
    across,
    down,
    chosen,
    cursorSources: cursor,
    cursor: 0,
  };
  return show(made, mapPlace);
}

// Draws an outline around fields, which stand side by side.
function mark(outlines, fields) {
  const rows = fields.map(field => field.row),
    columns = fields.map(field => field.column);
  const sides = all => (fields.length ? [Math.min(...all), Math.max(...all)] : []);
  const [left, right] = sides(columns),
    [top, bottom] = sides(rows);
  const box = {
    x: (left + right) / 2,
    y: (top + bottom) / 2,
    w: right - left + 1,
    h: bottom - top + 1,
  };
  for (const outline of outlines) {
    outline.data = Object.fromEntries(
      Object.entries(box).map(([key, value]) => [key, fields.length ? [value] : []]),
    );
  }
}

function markChosen(cell) {
  const fields = map.fields.filter(field => field.cell === cell);
  mark(map.chosen, fields);
  if (fields.length && map.fields[map.cursor].cell !== cell)
    map.cursor = map.fields.indexOf(fields[0]);
  tell(map.fields[map.cursor]);
}

function number(value) {
  const size = Math.abs(value);
  const text =
    size && (size < 0.001 || size >= 1e6)
      ? value.toExponential(1)
      : size >= 1000
        ? Math.round(value).toLocaleString('en')
        : size < 0.1
          ? value.toPrecision(2)
          : value.toFixed(2);
  return text.replace('-', '−');
}

function whyEmpty(field) {
  if (map.measure.own || field.lost === field.total)
    return 'no value: every replicate is dead or diverged';
  const probed = data.cells[field.cell].replicates.some(r =>
    r.values.slice(field.group * 4, field.group * 4 + 4).some(value => value !== null),
  );
  if (!probed) return 'no value: the network was not shown such probes';
  const constant = map.measure.key === 'gap' || map.measure.key.endsWith('constant');
  return constant
    ? 'no value: trained on several images, it has no constant map'
    : 'no value: outputs are without direction';
}

// A field in words.
function tell(field) {
  const place = [map.rows, map.columns]
    .map((dimension, side) =>
      dimension.key === NONE
        ? ''
        : `${dimension.key === RHO ? 'ρ' : dimension.key} ${dimension.values[side ? field.column : field.row]}`,
    )
    .filter(Boolean)
    .join(', ');
  const half = field.half === null ? '' : ` ± ${number(field.half)}`;
  const interval = field.half === null ? '' : `${100 * data.level} % interval, `;
  const lost =
    field.lost && !map.measure.all
      ? `; ${field.lost} of ${field.total} dead or diverged, left out`
      : '';
  const ofProbes =
    map.measure.own || [map.rows.key, map.columns.key].includes(RHO)
      ? ''
      : ` on ${data.groups[field.group].label}`;
  told.textContent =
    field.mean === null
      ? `${place}: ${whyEmpty(field)}.`
      : `${place}: ${map.measure.label}${ofProbes} is ${number(field.mean)}${half} (${interval}${field.count} replicate${field.count > 1 ? 's' : ''}${lost}).`;
}

function moveCursor(place) {
  map.cursor = place;
  mark(map.cursorSources, [map.fields[place]]);
  tell(map.fields[place]);
}

mapPlace.addEventListener('keydown', event => {
  const row = Math.floor(map.cursor / map.across),
    column = map.cursor % map.across;
  const moves = {
    ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1],
    ArrowUp: [row - 1, column],
    ArrowDown: [row + 1, column],
    Home: [row, 0],
    End: [row, map.across - 1],
  };
  if (event.key === 'Enter' || event.key === ' ') choose(map.fields[map.cursor]);
  else if (moves[event.key]) {
    const [to, along] = moves[event.key];
    if (to >= 0 && to < map.down && along >= 0 && along < map.across)
      moveCursor(to * map.across + along);
  } else return;
  event.preventDefault();
});
mapPlace.addEventListener('focus', () => {
  if (mapPlace.matches(':focus-visible')) moveCursor(map.cursor);
});
mapPlace.addEventListener('blur', () => mark(map.cursorSources, []));
