/* Tables of results: a heading sorts the rows, a button saves them as CSV.  Without script they read as they are. */
(() => {
  "use strict";
  const value = (row, i) => row.cells[i]?.textContent.trim() ?? "";
  const number = (text) => parseFloat(text.replace(/,/g, "").replace("−", "-"));

  function compare(a, b) {
    const [x, y] = [number(a), number(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y) && x !== y) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.localeCompare(b, undefined, { numeric: true });
  }

  function sort(table, head, i) {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => (up ? 1 : -1) * compare(value(a, i), value(b, i)));
    body.append(...rows);
  }

  function csv(table) {
    const line = (row) => [...row.cells].map((c) => `"${c.textContent.trim().replace(/"/g, '""')}"`).join(",");
    return [...table.rows].map(line).join("\r\n") + "\r\n";
  }

  function save(table) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
    link.download = `${(table.caption?.textContent ?? "table").trim().slice(0, 40).replace(/\W+/g, "-")}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function button(text, label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  function prepare(table) {
    const heads = table.tHead?.rows[0]?.cells ?? [];
    if (heads.length === 0 || table.tBodies[0].rows.length < 2) return;
    [...heads].forEach((head, i) => {
      const made = button(head.textContent, "", () => sort(table, head, i));
      made.className = "sort";
      head.replaceChildren(made);
    });
    const made = button("CSV", "save this table as CSV", () => save(table));
    made.className = "save";
    (table.closest("figure, .table-scroll") ?? table.parentElement).after(made);
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("table.dataframe").forEach(prepare));
})();
