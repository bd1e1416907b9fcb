// Drawing: light figures, turned dark where wanted, narrower on a phone.
const forPhone = (id, spec) => {
  if (id !== "forest" && id !== "centre") return;
  spec.layout.margin.l = 150;
  spec.layout.margin.r = 52;
  spec.layout.yaxis.tickfont.size = 10.5;
  const title = spec.layout.xaxis.title;
  title.text = title.text.replace(" ÷ ", "<br>÷ ").replace(", in ", ",<br>in ");
  Object.assign(spec.layout.xaxis, { nticks: 4, tickangle: 0 });
  spec.layout.margin.b += 16;
  spec.layout.height += 16;
  spec.layout.annotations = spec.layout.annotations.filter(a => a.name !== "furthest");
  for (const a of spec.layout.annotations) a.text = a.text.replace("too ", "");
};
const square = (spec, width) => {
  if (!spec.layout.yaxis.scaleanchor && !(spec.layout.meta && spec.layout.meta.square)) return;
  const m = spec.layout.margin;
  spec.layout.height = Math.min(spec.layout.height, width - m.l - m.r + m.t + m.b); // never taller than wide
};
const draw = id => {
  const element = document.getElementById(id);
  if (element.closest("[hidden]")) return;
  const spec = JSON.parse(JSON.stringify(SPECS[id]));
  spec.layout.annotations ||= [];
  spec.layout.shapes ||= [];
  if (follow[id] && !(id.startsWith("pair") && D.partners[state.param].length <= +id.slice(4))) follow[id](spec, state.param);
  for (const t of spec.data) if (METHOD(t) && !["data0", "data1"].includes(id)) t.visible = !state.hidden.has(METHOD(t));
  if (element.clientWidth < 480 && !state.printing) forPhone(id, spec);
  square(spec, element.clientWidth);
  if (matchMedia("(pointer: fine)").matches && ["sdsd", "why", "data0", "data1"].includes(id)) {
    spec.layout.dragmode = "zoom";
    spec.layout.xaxis.fixedrange = spec.layout.yaxis.fixedrange = false;
  }
  const { data, layout } = themed(spec);
  if (state.printing) Object.assign(layout, { autosize: false, width: element.clientWidth });
  const first = !state.drawn.has(id);
  state.drawn.add(id);
  element.classList.add("done");
  const done = Plotly.react(element, data, layout, config);
  if (first && ["forest", "centre", "sdsd", "why"].includes(id)) element.on("plotly_click", event => {
    const j = event.points[0].customdata;
    if (j !== undefined) choose(j);
  });
  return done;
};
const redraw = ids => [...state.drawn].filter(id => !ids || ids.includes(id)).forEach(draw);
