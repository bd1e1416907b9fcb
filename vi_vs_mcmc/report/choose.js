// Choosing a parameter, comparing a method, hiding one; each is announced.
const announce = text => { $("#live").textContent = text; };
const choose = j => {
  state.param = j;
  $("#param").value = j;
  for (const e of $$("[data-param]")) {
    const on = +e.dataset.param === j;
    if (e.matches("tr")) e.classList.toggle("on", on); else e.setAttribute("aria-pressed", on);
  }
  for (const e of $$(".chosen")) e.textContent = D.names[j];
  const apart = D.apart[j];
  $("#numbers").classList.toggle("apart", !!apart);
  for (const row of $$("#numbers tbody tr")) {
    const m = row.dataset.method;
    const cells = [D.mean[m][j], D.sd[m][j], ...D.q[m][j]].map(v => likeSd(v, j));
    if (apart) cells.splice(2, 3, ...apart.q[m]);
    cells.push(m === D.reference ? "1" : number(D.ratio[m][j], 2));
    cells.forEach((text, i) => { row.cells[i + 1].textContent = text; });
  }
  $("#marginal-note").hidden = !apart;
  if (apart) say("marginal-note", apart.why);
  const pairs = $("#pairs");
  if (pairs) pairs.hidden = !D.partners[j].length;
  sayBoth("marginal", D.say.marginal[j]);
  say("coverage-what", D.say.coverage[j][1]);
  if (D.say.pair.length) sayBoth("pair", D.say.pair[j]);
  tables(j);
  sayBoth("ranks", D.say.ranks[j]);
  redraw(Object.keys(follow).filter(id => !matrices[id] && id !== "data1"));
};
const tables = j => { // the numbers behind coverage and pairs, for the chosen parameter
  for (const e of $$("#fig-coverage thead code, #fig-pair thead code")) e.textContent = D.names[j];
  $$("#fig-coverage tbody tr").forEach((row, i) => D.wide.forEach((m, k) => {
    row.cells[2 * k + 2].textContent = D.apart[j] ? "–" : `${number(D.held[m][j][i], 1)}\u202f%`;
  }));
  const body = $("#fig-pair tbody");
  if (body) body.replaceChildren(...D.partners[j].map((other, k) => {
    const row = document.createElement("tr"), head = document.createElement("th"), name = document.createElement("code");
    head.scope = "row";
    name.textContent = D.names[other];
    head.append(name);
    row.append(head);
    for (const m of everyone) row.insertCell().textContent = signed(D.between[m][j][k], 2);
    return row;
  }));
};
const compare = m => {
  state.against = m;
  for (const select of $$("select.against")) select.value = m;
  for (const e of $$(".against-name")) e.textContent = D.label[m];
  if (D.say.corr[m]) sayBoth("corr", D.say.corr[m]);
  if (D.components[m]) say("data-what", D.components[m].say);
  redraw([...Object.keys(matrices), "data1"]);
};
$("#param").addEventListener("change", event => {
  choose(+event.target.value);
  announce(`${D.names[state.param]} chosen in every figure`);
});
for (const select of $$("select.against")) select.addEventListener("change", () => {
  compare(select.value);
  announce(`${D.label[state.against]} compared with ${D.label[D.reference]}`);
});
document.addEventListener("click", event => {
  const button = event.target.closest("button[data-param],button[data-pick]");
  if (!button) return;
  choose(+(button.dataset.param ?? button.dataset.pick));
  announce(`${D.names[state.param]} chosen in every figure`);
});
for (const button of $$(".toggle:not([disabled])")) button.addEventListener("click", () => {
  const m = button.dataset.method, show = state.hidden.has(m);
  if (show) state.hidden.delete(m); else state.hidden.add(m);
  button.setAttribute("aria-pressed", show);
  announce(`${D.label[m]} ${show ? "shown" : "hidden"}`);
  redraw();
  filter();
});
