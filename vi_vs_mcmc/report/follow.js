// Figures that follow the chosen parameter or method: each function changes a figure's specification.
const METHOD = t => t.meta && t.meta.method;
const grid = j => Array.from({ length: D.points }, (_, i) => D.from[j] + (D.to[j] - D.from[j]) * i / (D.points - 1));
const levels = spec => spec.data.find(t => t.meta && t.meta.role === "chosen");
const ellipse = (method, a, b, r) => {
  const x = [], y = [], up = Math.sqrt(Math.max(1 - r * r, 0));
  for (let i = 0; i <= 48; i++) {
    const u = 2.146 * Math.cos(i * Math.PI / 24), v = 2.146 * Math.sin(i * Math.PI / 24);
    x.push(D.mean[method][a] + D.sd[method][a] * u);
    y.push(D.mean[method][b] + D.sd[method][b] * (r * u + up * v));
  }
  return { x, y, hovertemplate: `${D.safe[method]}, 90 % ellipse<br>correlation ${number(r, 2)}<extra></extra>` };
};
const markRow = (spec, j) => {
  const row = spec.layout.meta.order.indexOf(j);
  if (row < 0) return;
  const across = { xref: "paper", x0: 0, y0: row - .5, y1: row + .5 };
  spec.layout.shapes.push({ ...across, type: "rect", x1: 1, fillcolor: "#EFEDFA", line: { width: 0 }, layer: "below" });
  spec.layout.shapes.push({ ...across, type: "line", x1: 0, line: { color: "#5646B4", width: 3 } });
};
const put = (spec, curve) => { for (const t of spec.data) if (t.meta && t.meta.role === "chosen") t.y = curve(METHOD(t)); };
const NOMINAL = [5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 99];
const follow = {
  forest: markRow,
  centre: markRow,
  coverage: (spec, j) => put(spec, m => (D.apart[j] ? [] : [0, ...D.held[m][j], 100])),
  shortfall: (spec, j) => {
    put(spec, m => D.apart[j] ? [] : [0, ...D.held[m][j].map((h, i) => h - NOMINAL[i]), 0]);
    const ys = spec.data.filter(t => !state.hidden.has(METHOD(t)) && Array.isArray(t.y)).flatMap(t => t.y);
    const [low, high] = spec.layout.yaxis.range;
    spec.layout.yaxis.range = [Math.min(low, ...ys), Math.max(high, ...ys)];
  },
  sdsd: (spec, j) => {
    if (D.apart[j]) return;
    const shown = D.methods.filter(m => !state.hidden.has(m));
    Object.assign(spec.data.at(-1), { x: shown.map(() => D.sd[D.reference][j]), y: shown.map(m => D.sd[m][j]) });
  },
  marginal: (spec, j) => {
    const x = grid(j);
    const spread = spec.data.filter(t => t.meta.role === "density");
    for (const t of spread) Object.assign(t, { x, y: D.dens[METHOD(t)][j] });
    const top = 1.06 * Math.max(1, ...spread.flatMap(t => t.y));
    for (const t of spec.data) if (t.meta.role === "point") {
      const at = D.mean[METHOD(t)][j];
      Object.assign(t, { x: [at, at], y: [0, top] });
    }
    spec.layout.xaxis.range = [D.from[j], D.to[j]];
    spec.layout.yaxis.range = [0, top];
  },
  ranks: (spec, j) => {
    for (const t of spec.data) t.y = D.ranks[j][t.meta.chain];
    const axes = Object.keys(spec.layout).filter(k => k.startsWith("yaxis"));
    const top = Math.max(spec.layout.yaxis.range[1], 1.05 * Math.max(...D.ranks[j].flat()));
    for (const k of axes) spec.layout[k].range = [0, top];
  },
};
for (const k of [0, 1, 2]) follow["pair" + k] = (spec, j) => {
  const other = D.partners[j][k], column = i => D.dots.map(row => row[i]);
  for (const t of spec.data) {
    if (t.meta.role === "draws") Object.assign(t, { x: column(other), y: column(j) });
    else Object.assign(t, ellipse(METHOD(t), other, j, D.between[METHOD(t)][j][k]));
  }
  spec.layout.xaxis.title.text = D.axis[other];
  $("#pair" + k).setAttribute("aria-label", `${D.names[j]} against ${D.names[other]}`);
  delete spec.layout.xaxis.range;
  delete spec.layout.yaxis.range;
};
const matrices = {
  corr1: m => D.matrices[m],
  corr2: m => D.matrices[m].map((row, i) => row.map((v, k) => (v === null ? null : v - D.matrices[D.reference][i][k]))),
};
for (const id of Object.keys(matrices)) follow[id] = spec => {
  spec.data[0].z = matrices[id](state.against).map((row, i) => row.map((v, k) => (i === k ? null : v)));
};
follow.data1 = spec => {
  const parts = D.components[state.against];
  if (!parts) return;
  for (const t of spec.data.filter(t => t.meta.role === "component")) {
    const k = t.meta.component;
    t.line.color = D.look[state.against].color;
    t.meta.method = state.against;
    Object.assign(t, parts.means[0][0].length > 1 ? bundle(parts, k) : curves(parts, k, D.strip));
  }
  spec.layout.annotations.filter(a => a.name === "n").forEach(a => {
    const k = +a.text;
    const centre = axis => parts.means.reduce((sum, draw) => sum + draw[k][axis], 0) / parts.means.length;
    a.x = centre(0);
    if (parts.means[0][0].length > 1) a.y = centre(1);
  });
};
const bundle = (parts, k) => { // 90 % ellipses of component k, one per draw
  const x = [], y = [];
  parts.means.forEach((draw, s) => {
    const [mx, my] = draw[k], [[a, b], [c, d]] = parts.factors[s][k];
    for (let i = 0; i <= 48; i++) {
      const u = 2.146 * Math.cos(i * Math.PI / 24), v = 2.146 * Math.sin(i * Math.PI / 24);
      x.push(mx + a * u + b * v);
      y.push(my + c * u + d * v);
    }
    x.push(null);
    y.push(null);
  });
  return { x, y };
};
const curves = (parts, k, at) => { // weighted normal densities of component k, one per draw
  const x = [], y = [];
  parts.means.forEach((draw, s) => {
    const sd = Math.max(Math.hypot(...parts.factors[s][k][0]), 1e-9);
    for (const v of at) {
      x.push(v);
      y.push(parts.weights[s][k] * Math.exp(-.5 * ((v - draw[k][0]) / sd) ** 2) / (sd * Math.sqrt(2 * Math.PI)));
    }
    x.push(null);
    y.push(null);
  });
  return { x, y };
};
