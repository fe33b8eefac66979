// Bokeh: one place that knows its names.
const INKS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#56b4e9',
  '#e69f00',
  '#6a3d9a',
  '#8c6d31',
];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A figure without tools, in the page's colours.
function plot(options) {
  const ink = colour('--ink'),
    line = colour('--line');
  const made = Bokeh.Plotting.figure({
    sizing_mode: 'stretch_width',
    tools: '',
    toolbar_location: null,
    output_backend: 'canvas',
    background_fill_color: null,
    border_fill_color: null,
    outline_line_color: line,
    ...options,
  });
  for (const axis of [...made.xaxes, ...made.yaxes]) {
    axis.major_label_text_color = ink;
    axis.axis_label_text_color = ink;
    axis.axis_label_text_font_style = 'normal';
    axis.axis_label_text_font_size = '13px';
    axis.major_label_text_font_size = '12px';
    axis.axis_line_color = line;
    axis.major_tick_line_color = line;
    axis.minor_tick_line_color = null;
  }
  for (const grid of [...made.xgrids, ...made.ygrids]) grid.grid_line_color = null;
  return made;
}

const XY = {x: {field: 'x'}, y: {field: 'y'}};

function source(columns) {
  return new Bokeh.ColumnDataSource({data: columns});
}

function nameTicks(axis, labels, shown) {
  axis.ticker = new Bokeh.FixedTicker({ticks: shown});
  axis.major_label_overrides = new Map(shown.map(place => [place, labels[place]]));
}

// Shows a figure in a place, in the stead of what stood there.
const standing = new Map();
function show(made, place) {
  const before = standing.get(place) ?? Promise.resolve(null);
  const now = before.then(async old => {
    old?.remove();
    place.replaceChildren();
    return Bokeh.Plotting.show(made, place);
  });
  standing.set(place, now);
  return now;
}

// Lines of {x, y, ink, dash, width} over common axes.
function lines(place, options, all, words) {
  const made = plot({height: 230, ...options});
  for (const {x, y, ink, dash, width} of all) {
    const points = source({x, y: y.map(value => value ?? NaN)});
    made.line({
      ...XY,
      source: points,
      line_color: ink,
      line_dash: dash ?? 'solid',
      line_width: width ?? 2,
    });
    if (x.length <= 30)
      made.scatter({...XY, source: points, fill_color: ink, line_color: null, size: 5});
  }
  place.setAttribute('role', 'img');
  place.setAttribute('aria-label', words);
  return show(made, place);
}
