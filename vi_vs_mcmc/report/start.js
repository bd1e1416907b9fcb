// The theme button, print, drawing what comes into sight, and the contents.
$(".theme").addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  announce(`${root.dataset.theme} theme`);
  redraw();
});
systemDark.addEventListener("change", () => redraw());
addEventListener("beforeprint", () => {
  state.printing = true;
  root.classList.add("printing");
  Object.keys(SPECS).forEach(draw);
});
addEventListener("afterprint", () => {
  state.printing = false;
  root.classList.remove("printing");
  redraw();
});
const seen = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) {
    seen.unobserve(entry.target);
    draw(entry.target.id);
  }
}, { rootMargin: "600px" });
$$(".plot").forEach(element => seen.observe(element));
const here = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) for (const link of $$(".toc a")) {
    if (link.hash === "#" + entry.target.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-20% 0px -70% 0px" });
$$("main section[id]").forEach(section => here.observe(section));
choose(state.param);
filter();
