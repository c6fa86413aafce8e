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

  // All tables of one figure: rows beyond the first dozen are folded into a second one.
  const parts = (table) => [...(table.closest("figure")?.querySelectorAll("table.dataframe") ?? [table])];

  function sort(table, i) {
    const all = parts(table), counts = all.map((t) => t.tBodies[0].rows.length);
    const up = all[0].tHead.rows[0].cells[i].getAttribute("aria-sort") !== "ascending";
    const rows = all.flatMap((t) => [...t.tBodies[0].rows]);
    rows.sort((a, b) => (up ? 1 : -1) * compare(value(a, i), value(b, i)));
    all.forEach((t, k) => {
      const heads = t.tHead.rows[0].cells;
      for (const head of heads) head.removeAttribute("aria-sort");
      heads[i].setAttribute("aria-sort", up ? "ascending" : "descending");
      t.tBodies[0].append(...rows.splice(0, counts[k]));
    });
  }

  function csv(table) {
    const line = (row) => [...row.cells].map((c) => `"${c.textContent.trim().replace(/"/g, '""')}"`).join(",");
    const rows = [table.tHead.rows[0], ...parts(table).flatMap((t) => [...t.tBodies[0].rows])];
    return rows.map(line).join("\r\n") + "\r\n";
  }

  function save(table) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
    const title = table.caption ?? table.closest("figure")?.querySelector("figcaption");
    link.download = `${(title?.textContent ?? "table").trim().slice(0, 40).replace(/\W+/g, "-")}.csv`;
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
    const all = parts(table);
    if (heads.length === 0 || all[0].tBodies[0].rows.length < 2) return;
    [...heads].forEach((head, i) => {
      const made = button(head.textContent, "", () => sort(table, i));
      made.className = "sort";
      head.replaceChildren(made);
    });
    if (table !== all[0]) return;
    const made = button("CSV", "save this table as CSV", () => save(table));
    made.className = "save";
    (table.closest(".table-scroll, figure") ?? table.parentElement).after(made);
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("table.dataframe").forEach(prepare));
})();
