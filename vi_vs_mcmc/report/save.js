// Downloads, pictures and the clipboard.
const save = (name, type, text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
for (const button of $$("[data-download]")) button.addEventListener("click", () => {
  const name = button.dataset.download;
  save(name, name.endsWith("csv") ? "text/csv" : "application/json", read(name));
});
for (const button of $$("[data-save]")) button.addEventListener("click", async () => {
  for (const id of button.dataset.save.split(" ")) {
    await draw(id);
    const element = document.getElementById(id);
    const size = { width: element.clientWidth, height: element.clientHeight };
    await Plotly.downloadImage(element, { format: "svg", filename: id, ...size });
  }
});
for (const button of $$("[data-copy]")) button.addEventListener("click", async () => {
  const code = $("code", button.parentElement);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch { // no permission from a file: leave it selected for the reader's own copy
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
