/* The page "Try it": rounding a row of weights, and an attack query by query.  The data stand in the page as JSON. */
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const data = (id) => (byId(id) ? JSON.parse(byId(id).textContent) : null);
  const SVG = "http://www.w3.org/2000/svg";

  function make(tag, settings = {}, text = "") {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(settings)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  }

  function draw(parent, tag, settings) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(settings)) made.setAttribute(name, value);
    parent.append(made);
    return made;
  }

  const short = (x) => (x === 0 ? "0" : Math.abs(x) < 0.001 ? x.toExponential(2) : x.toPrecision(3));
  const percent = (p) => `${(100 * p).toFixed(1)} %`;
  const within = (value, low, high, other) =>
    Number.isInteger(value) && value >= low && value <= high ? value : other;

  function open(section) {
    section.hidden = false;
    for (const table of section.parentElement.querySelectorAll("details")) table.open = false;
  }

  /* Rounding */

  function bars(weights, width, largest) {
    const svg = draw(byId("play-bars"), "svg", { viewBox: "0 0 360 190", role: "img", "aria-labelledby": "play-error" });
    const y = (value) => 95 - (88 * value) / largest;
    const step = 356 / weights.length;
    if (width.steps <= 15)
      for (let k = -width.steps; k <= width.steps; k++)
        draw(svg, "line", { x1: 0, x2: 360, y1: y(k * width.scale), y2: y(k * width.scale), stroke: "currentColor", "stroke-width": k ? 0.4 : 1, "stroke-dasharray": k ? "2 3" : "none" });
    weights.forEach((weight, i) => {
      const after = width.codes[i] * width.scale;
      const box = (value, inset, more) =>
        draw(svg, "rect", { x: 2 + i * step + inset, width: step - 1.5 - 2 * inset, y: Math.min(y(0), y(value)), height: Math.max(0.8, Math.abs(y(value) - y(0))), ...more });
      box(after, 2.5, { style: "fill: var(--play-fill)" });
      box(weight, 0.5, { fill: "none", stroke: "currentColor", "stroke-width": 1.2 });
    });
  }

  function rounding() {
    const found = data("play-weights");
    if (!found) return null;
    const [slider, box] = [byId("play-bits"), byId("play-outlier")];
    const largest = Math.max(...found.cases[0].weights.map(Math.abs)) || 1;
    function show() {
      const one = found.cases[box.checked ? 1 : 0];
      const width = one.widths[slider.value];
      byId("play-width").textContent = slider.value;
      slider.setAttribute("aria-valuetext", `${slider.value} bits`);
      byId("play-bars").replaceChildren();
      bars(one.weights, width, largest);
      byId("play-error").textContent =
        `${slider.value} bits: ${2 * width.steps + 1} levels, ${short(width.scale)} apart (the scale). ` +
        `Mean absolute error ${short(width.mean)}, largest ${short(width.largest)}; ` +
        `${width.zeros} of ${one.weights.length} weights become 0.`;
      byId("play-bits-link").href = `#bits=${slider.value}${box.checked ? "&outlier=out" : ""}`;
    }
    slider.addEventListener("input", show);
    box.addEventListener("change", show);
    open(byId("play-rounding"));
    show();
    return (asked) => {
      slider.value = within(Number(asked.get("bits")), Number(slider.min), Number(slider.max), slider.value);
      box.checked = asked.get("outlier") === "out";
      show();
      byId("play-rounding").scrollIntoView();
    };
  }

  /* An attack */

  function odds(labels, label, p) {
    return labels.map((name, i) => {
      const row = make("div", { class: i === label ? "play-odd play-true" : "play-odd" });
      const bar = make("span");
      const fill = make("i");
      fill.style.width = percent(p[i]).replace(" ", "");
      bar.append(fill, make("b", {}, percent(p[i])));
      row.append(make("span", {}, i === label ? `${name} (true)` : name), bar);
      return row;
    });
  }

  function path(one, label, now) {
    const svg = draw(byId("play-path"), "svg", { viewBox: "0 0 360 90" });
    const x = (i) => 8 + (344 * i) / Math.max(1, one.queries.length - 1);
    const y = (i) => 84 - 78 * one.texts[one.queries[i][0]].p[label];
    draw(svg, "rect", { x: 1, y: 3, width: 358, height: 84, fill: "none", stroke: "currentColor", "stroke-width": 0.5 });
    one.queries.forEach((query, i) => {
      draw(svg, "circle", { cx: x(i), cy: y(i), r: query[2] ? 3.2 : 1.6, fill: query[4] ? "none" : "currentColor", stroke: "currentColor" });
    });
    draw(svg, "line", { x1: x(now), x2: x(now), y1: 3, y2: 87, style: "stroke: var(--play-mark)", "stroke-width": 1.5 });
    draw(svg, "circle", { cx: x(now), cy: y(now), r: 5, fill: "none", style: "stroke: var(--play-mark)", "stroke-width": 2 });
  }

  function attack() {
    const found = data("play-trace");
    if (!found) return null;
    const [section, name, slider] = [byId("play-attack"), byId("play-name"), byId("play-step")];
    const one = () => found.attacks[name.value];
    const MARKS = ["span", "ins", "del"];

    function said(at) {
      const [text, stage, kept, again, fools] = one().queries[at];
      const shown = one().texts[text];
      const then = [again ? "asked before" : "", fools ? "it fools the classifier" : "", found.kept[kept]];
      return (
        `Query ${at + 1} of ${one().queries.length}, ${found.stages[stage]}: ${shown.said}. ` +
        `${found.labels[found.label]} has ${percent(shown.p[found.label])}` +
        `${then.filter(Boolean).map((t) => `; ${t}`).join("")}.` +
        `${at + 1 === one().queries.length ? ` The attack has ${one().ended}.` : ""}`
      );
    }

    function show() {
      slider.max = one().queries.length;
      const at = Number(slider.value) - 1;
      const shown = one().texts[one().queries[at][0]];
      byId("play-number").textContent = slider.value;
      slider.setAttribute("aria-valuetext", `query ${slider.value} of ${slider.max}`);
      byId("play-said").textContent = said(at);
      byId("play-text").replaceChildren(...shown.parts.flatMap(([kind, words]) => [make(MARKS[kind], {}, words), " "]));
      byId("play-odds").replaceChildren(...odds(found.labels, found.label, shown.p));
      byId("play-path").replaceChildren();
      path(one(), found.label, at);
      for (const button of section.querySelectorAll("button")) {
        const end = button.dataset.go === "first" || button.dataset.go === "previous" ? at === 0 : at + 1 === Number(slider.max);
        button.setAttribute("aria-disabled", end);
      }
      byId("play-step-link").href = `#attack=${encodeURIComponent(name.value)}&step=${slider.value}`;
    }

    function go(where) {
      const now = Number(slider.value);
      const to = { first: 1, previous: now - 1, next: now + 1, last: Number(slider.max) }[where];
      slider.value = Math.min(Math.max(to, 1), Number(slider.max));
      show();
    }

    const KEYS = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last" };
    section.addEventListener("keydown", (event) => {
      if (event.target.matches("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
      if (!(event.key in KEYS)) return;
      event.preventDefault();
      event.stopPropagation();
      go(KEYS[event.key]);
    });
    section.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-go]");
      if (button) go(button.dataset.go);
    });
    slider.addEventListener("input", show);
    name.addEventListener("change", () => {
      slider.value = 1;
      show();
    });
    open(section);
    show();
    return (asked) => {
      if (Object.hasOwn(found.attacks, asked.get("attack") ?? "")) name.value = asked.get("attack");
      slider.max = one().queries.length;
      slider.value = within(Number(asked.get("step")), 1, Number(slider.max), 1);
      show();
      section.scrollIntoView();
    };
  }

  document.addEventListener("DOMContentLoaded", () => {
    const [width, query] = [rounding(), attack()];
    function follow() {
      const asked = new URLSearchParams(location.hash.slice(1));
      if (width && asked.has("bits")) width(asked);
      if (query && (asked.has("step") || asked.has("attack"))) query(asked);
    }
    window.addEventListener("hashchange", follow);
    follow();
  });
})();
