// What all scripts of the page share: its data, its state, themes and words.
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const read = id => JSON.parse(document.getElementById(id).textContent);
const D = read("data");
const SPECS = read("figures");
const DARK = read("colours");
const root = document.documentElement;
const everyone = [D.reference, ...D.methods];
const state = { param: D.chosen, against: D.against, hidden: new Set(), drawn: new Set(), printing: false };
const config = { showSendToCloud: false, displaylogo: false, displayModeBar: false, responsive: true, doubleClick: "reset" };
const ROWS = 12; // of the table, before "Show all rows"

// --- themes: figures hold light colours; the dark ones are put in as they are drawn
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const dark = () => !state.printing && (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
const themed = value => {
  if (typeof value === "string") return dark() ? value.replace(/^#[0-9A-F]{6}(?=([0-9A-F]{2})?$)/, hex => DARK[hex] || hex) : value;
  if (Array.isArray(value)) return value.map(themed);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
  return value;
};

// --- words
const minus = text => (/^-0(\.0*)?$/.test(text) ? text.slice(1) : text).replace("-", "\u2212");
const number = (value, digits) => (value === null || !Number.isFinite(value) ? "–" : minus(value.toFixed(digits)));
const signed = (value, digits) => (value > 0 && +value.toFixed(digits) > 0 ? "+" : "") + number(value, digits);
const likeSd = (value, j) => {
  const sd = D.sd[D.reference][j];
  return number(value, sd > 0 ? Math.min(8, Math.max(0, 2 - Math.floor(Math.log10(sd)))) : 3);
};
const say = (id, text) => { // a sentence in which `..` is code
  const element = document.getElementById(id);
  if (!element) return;
  element.replaceChildren(...text.split(/(`[^`]*`)/).filter(Boolean).map(piece => {
    if (!/^`.*`$/.test(piece)) return document.createTextNode(piece);
    const code = document.createElement("code");
    code.textContent = piece.slice(1, -1);
    return code;
  }));
};
const sayBoth = (block, [title, what]) => {
  say(block + "-title", title);
  say(block + "-what", what);
  for (const e of $$(`[data-title="${block}"]`)) e.textContent = title.replaceAll("`", "");
};
