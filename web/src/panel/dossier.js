// The pixel dossier: what was seen of a pixel, what was made of it, and what it was called.

import { fromLonLat } from "ol/proj.js";
import uPlot from "uplot";
import { swatched, valuesAt } from "../map/hover.js";
import { rgb } from "../map/palette.js";
import { make, percent } from "../words.js";
import { written } from "./coordinates.js";

const panel = () => document.getElementById("dossier");
/** A date, or the time of a second pass of a day, which would hide the first one otherwise. */
const seconds = (date) => Date.parse(`${`${date} 00:00:00`.slice(0, 19).replace(" ", "T")}Z`) / 1000;
const MASKED = [["cloud", "#c0267e"], ["snow", "#2f7fd0"], ["too few", "#b98d55"]];

export class Dossier {
  constructor(view, sources, state, { closed }) {
    Object.assign(this, { view, sources, state, closed });
    this.layer = null;
    this.asked = 0;
    new ResizeObserver(() => this.#resize()).observe(panel());
  }

  /** Ask for a pixel and show it. */
  async open(pixel) {
    const number = (this.asked += 1);
    panel().hidden = false;
    panel().replaceChildren(this.#head("Looking …"));
    if (!this.view.dossier) return this.#values(pixel, number);
    try {
      const answer = await fetch(`pixel?lon=${pixel[0].toFixed(7)}&lat=${pixel[1].toFixed(7)}`);
      const told = await answer.json();
      if (number !== this.asked) return;
      if (answer.ok) this.#show(told);
      else panel().replaceChildren(this.#head(typeof told.detail === "string" ? told.detail : "This place cannot be asked for."));
    } catch {
      if (number === this.asked) panel().replaceChildren(this.#head("The server does not answer."));
    }
  }

  /** Without a server that knows the pixel: what the tiles say of it. */
  async #values(pixel, number) {
    const ids = this.view.layers.filter((layer) => !layer.dated).map((layer) => layer.id);
    let cells;
    try {
      const told = await valuesAt(this.view, this.sources, this.state.date, fromLonLat(pixel), ids);
      cells = told.map(({ layer, found }) => make("div", { className: "verdict" }, make("span", { className: "soft" }, layer.title), make("b", {}, ...swatched(found))));
    } catch {
      cells = [make("p", {}, "The values of this place could not be loaded.")];
    }
    if (number !== this.asked) return;
    const note = make("p", { className: "soft" }, "Observations and probabilities need the project itself, in `landweave view`.");
    panel().replaceChildren(this.#head(written(pixel, this.view.crs)), make("div", { className: "verdicts" }, ...cells), note);
  }

  close() {
    this.asked += 1;
    this.plot?.destroy();
    this.plot = null;
    panel().hidden = true;
    panel().replaceChildren();
  }

  #head(title, ...children) {
    const close = make("button", { type: "button", ariaLabel: "Close the dossier" }, "×");
    close.addEventListener("click", () => {
      this.close();
      this.closed();
    });
    return make("header", { className: "row" }, make("h2", { className: "grow" }, title), ...children, close);
  }

  #show(told) {
    const { lon, lat } = told.place;
    const save = make("a", { download: `pixel_${lon.toFixed(6)}_${lat.toFixed(6)}.json`, className: "button" }, "JSON");
    save.href = URL.createObjectURL(new Blob([JSON.stringify(told, null, 1)], { type: "application/json" }));
    const children = [this.#head(`Pixel ${lon.toFixed(5)}, ${lat.toFixed(5)}`, save), ...(told.blind ? [] : [this.#verdicts(told)])];
    const body = make("div", { className: "dossier-body" }, this.#probabilities(told));
    if (told.observations) body.append(this.#series(told));
    else body.append(make("p", { className: "soft" }, this.#missing(told)));
    panel().replaceChildren(...children, body, this.#details(told));
    if (told.observations) this.#draw(told);
  }

  /** Why there are no observations. */
  #missing(told) {
    const { failures, seen } = told.patch.record;
    if (failures?.length) return `This patch failed: ${failures.join("; ")}`;
    if (!seen) return "Nothing has been made of this patch.";
    return "The imagery of this patch was let go after its prediction: no observations are kept.";
  }

  #verdicts(told) {
    const cell = (word, found, more) => make("div", { className: "verdict" }, make("span", { className: "soft" }, word), found ? this.#class(found) : make("b", {}, "–"), make("span", { className: "soft" }, more));
    const reference = told.reference;
    const code = reference ? `code ${reference.code ?? "none"}${reference.at_an_edge ? ", at an edge" : ""}` : "none here";
    return make("div", { className: "verdicts" },
      cell("Map", told.prediction, told.prediction ? `confidence ${told.prediction.confidence} %` : "nothing"),
      cell("Held out", told.out_of_fold, told.out_of_fold ? `${told.out_of_fold.confidence} %, a model that never saw it` : "not made"),
      cell("Reference", reference, code),
      make("div", { className: "verdict" }, make("span", { className: "soft" }, "Patch"), make("b", {}, told.patch.name), make("span", { className: "soft" }, `row ${told.patch.row}, column ${told.patch.column}`)));
  }

  #class(found) {
    const entry = this.view.legend.find((known) => known.value === found.value);
    const swatch = make("span", { className: "swatch" });
    if (entry) swatch.style.background = `rgb(${rgb(entry.color).join(" ")})`;
    return make("b", {}, swatch, found.name ?? "no class");
  }

  #probabilities(told) {
    const list = make("div", { className: "bars" });
    for (const [name, share] of Object.entries(told.probabilities ?? {}).sort((a, b) => b[1] - a[1])) {
      const bar = make("span", { className: "bar" });
      bar.style.width = `${100 * share}%`;
      const entry = this.view.legend.find((known) => known.name === name);
      if (entry) bar.style.background = `rgb(${rgb(entry.color).join(" ")})`;
      list.append(make("span", { className: "bar-name" }, name), make("span", { className: "bar-room" }, bar), make("span", { className: "bar-share" }, percent(share)));
    }
    return list;
  }

  #series(told) {
    const names = Object.keys(told.observations[0]?.layers ?? {});
    if (!names.includes(this.layer)) this.layer = names.find((name) => name === "ndvi") ?? names[0];
    const choice = make("select", { ariaLabel: "Layer of the curve" }, ...names.map((name) => make("option", { value: name, selected: name === this.layer }, name)));
    choice.addEventListener("change", () => {
      this.layer = choice.value;
      this.#draw(told);
    });
    const key = (color, word, className) => {
      const dot = make("span", { className });
      dot.style.color = color;
      return make("span", {}, dot, word);
    };
    const keys = [key("var(--accent)", "interpolated", "line"), key("var(--ink)", "valid", "dot"), ...MASKED.map(([word, color]) => key(color, word === "too few" ? "date left out" : word, "ring"))];
    return make("div", { className: "series" }, make("div", { className: "row keys" }, choice, ...keys), make("div", { id: "plot" }));
  }

  #draw(told) {
    this.plot?.destroy();
    const room = document.getElementById("plot");
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink");
    const curve = told.curve ? told.curve.dates.map((date, i) => [seconds(date), told.curve.layers[this.layer]?.[i] ?? null]) : [];
    const series = [{ label: "interpolated", stroke: style.getPropertyValue("--accent"), width: 2, points: { show: false }, spanGaps: true }];
    const columns = [new Map(curve)];
    const observed = (test) => new Map(told.observations.filter(test).map((o) => [seconds(o.date), o.layers[this.layer]]));
    const points = (color, full) => ({ stroke: color, paths: () => null, points: { show: true, size: 8, width: 2, stroke: color, fill: full ? color : "transparent" } });
    columns.push(observed((o) => o.valid));
    series.push({ label: "valid", ...points(ink, true) });
    for (const [word, color] of MASKED) {
      columns.push(observed((o) => !o.valid && (o.reason ?? "").startsWith(word)));
      series.push({ label: word, ...points(color, false) });
    }
    const times = [...new Set(columns.flatMap((column) => [...column.keys()]))].sort((a, b) => a - b);
    const data = [times, ...columns.map((column) => times.map((time) => column.get(time) ?? (column === columns[0] ? undefined : null)))];
    const axis = { stroke: ink, grid: { stroke: style.getPropertyValue("--line"), width: 1 }, ticks: { stroke: style.getPropertyValue("--line") }, font: "12px system-ui, sans-serif" };
    const options = { width: Math.max(room.clientWidth, 200), height: 170, legend: { show: false }, cursor: { show: false }, tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "UTC"), scales: { x: { time: true } }, axes: [axis, { ...axis, size: 46 }], series: [{}, ...series] };
    this.plot = new uPlot(options, data, room);
    room.setAttribute("role", "img");
    room.setAttribute("aria-label", `${this.layer} of this pixel through the year; the numbers stand in the table below`);
  }

  #resize() {
    const room = document.getElementById("plot");
    if (this.plot && room?.clientWidth) this.plot.setSize({ width: room.clientWidth, height: 170 });
  }

  #details(told) {
    const details = make("details", {}, make("summary", {}, "Every observation, and the record of the patch"));
    if (told.observations) {
      const bands = Object.keys(told.observations[0]?.bands ?? {});
      const head = make("tr", {}, ...["date", "counts", ...bands].map((word) => make("th", {}, word)));
      const rows = told.observations.map((o) => make("tr", {}, make("td", {}, o.date), make("td", {}, o.valid ? "yes" : o.reason), ...bands.map((band) => make("td", { className: "number" }, o.bands[band] === null ? "–" : o.bands[band].toFixed(4)))));
      details.append(make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Every observation" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
    }
    details.append(make("pre", {}, JSON.stringify(told.patch.record, (key, value) => (key === "valid_fraction" || key === "valid_counts" ? undefined : value), 1)));
    return details;
  }
}
