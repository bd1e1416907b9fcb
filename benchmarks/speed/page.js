// Drawing what comes into sight, in the theme that is on; the theme button; print; the contents.
const read = id => JSON.parse(document.getElementById(id).textContent);
const SPECS = read("figures");
const DARK = read("colours");
const root = document.documentElement;
const drawn = new Set();
let printing = false;
const config = { showSendToCloud: false, displaylogo: false, displayModeBar: false, responsive: true };
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const dark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
const themed = value => {
  if (typeof value === "string") return dark() ? value.replace(/^#[0-9A-F]{6}(?=([0-9A-F]{2})?$)/, hex => DARK[hex] || hex) : value;
  if (Array.isArray(value)) return value.map(themed);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
  return value;
};
const draw = id => {
  const element = document.getElementById(id);
  const { data, layout } = themed(SPECS[id]);
  if (printing) Object.assign(layout, { autosize: false, width: element.clientWidth });
  drawn.add(id);
  element.classList.add("done");
  return Plotly.react(element, data, layout, config);
};
const redraw = () => drawn.forEach(draw);
document.querySelector(".theme").addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  redraw();
});
systemDark.addEventListener("change", redraw);
addEventListener("beforeprint", () => {
  printing = true;
  root.classList.add("printing");
  Object.keys(SPECS).forEach(draw);
});
addEventListener("afterprint", () => {
  printing = false;
  root.classList.remove("printing");
  redraw();
});
const seen = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) {
    seen.unobserve(entry.target);
    draw(entry.target.id);
  }
}, { rootMargin: "600px" });
document.querySelectorAll(".plot").forEach(element => seen.observe(element));
const links = [...document.querySelectorAll(".toc a")];
const here = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) for (const link of links) {
    if (link.hash === "#" + entry.target.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-20% 0px -70% 0px" });
document.querySelectorAll("main section[id]").forEach(section => here.observe(section));
