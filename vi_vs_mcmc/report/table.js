// The table of every number: search, filter, sort.
const body = $("#table tbody"), rows = $$("tr", body), search = $("#search"), only = $("#only");
const cells = row => [...row.cells].flatMap(cell => Array(cell.colSpan).fill(cell.dataset.v ?? "")); // a wide cell is several
const keys = new Map(rows.map(row => [row, cells(row)]));
let all = false;
const filter = () => {
  const wanted = search.value.trim().toLowerCase(), m = only.value;
  let matching = 0, shown = 0;
  for (const row of rows) {
    const fits = (!m || row.dataset.method === m) && !state.hidden.has(row.dataset.method) && row.dataset.name.includes(wanted);
    matching += fits;
    row.hidden = !fits || (!all && shown >= ROWS);
    shown += !row.hidden;
  }
  $("#count").textContent = `${shown} of ${matching} rows`;
  $("#more").hidden = all || shown >= matching;
};
const sortBy = button => {
  const head = button.closest("th"), column = head.cellIndex;
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of $$("#table th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => keys.get(row)[column];
  const numeric = rows.every(row => !Number.isNaN(Number(key(row))));
  const order = (a, b) => {
    if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === ""); // unknown values last, either way
    const by = numeric ? key(a) - key(b) : key(a).localeCompare(key(b), "en", { numeric: true });
    return up ? by : -by;
  };
  body.append(...rows.sort(order));
  filter();
  announce(`Table sorted by ${button.textContent}, ${up ? "ascending" : "descending"}`);
};
search.addEventListener("input", filter);
only.addEventListener("change", filter);
$("#more").addEventListener("click", () => { all = true; filter(); });
for (const button of $$("#table thead button")) button.addEventListener("click", () => sortBy(button));
