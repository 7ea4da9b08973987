// The legends of what is shown: classes that can be switched off, ramps, roles of patches and pixels.

import { ROLES } from "../map/styles.js";
import { rgb, shade } from "../map/palette.js";
import { hectares, make } from "../words.js";

export class Legend {
  constructor(view, state, room, toggled) {
    Object.assign(this, { view, state, room, toggled });
    this.counts = {};
  }

  /** Show what belongs to some layers. */
  show(ids) {
    // What was clicked keeps the focus.
    const focused = document.activeElement?.dataset?.toggle;
    const parts = [];
    const layers = ids.map((id) => this.view.layers.find((layer) => layer.id === id));
    const markers = this.state.samples && this.view.samples;
    if (markers || layers.some((layer) => layer.kind === "classes")) parts.push(...this.#classes());
    for (const layer of layers) {
      if (layer.kind === "codes") parts.push(this.#head(layer.title, layer.codes, "offcodes"), ...layer.codes.map((entry) => this.#entry(entry, "offcodes", [], layer.codes)));
      if (layer.kind === "ramp") parts.push(make("h2", {}, layer.title), this.#ramp(layer));
    }
    if (this.view.points && ids.includes("reference")) parts.push(make("h2", {}, "Reference"), make("p", { className: "soft", id: "points-shown" }, this.#counted("points")));
    if (markers) parts.push(make("h2", {}, "Training and test pixels"), this.#markers());
    if (this.state.grid) parts.push(make("h2", {}, "Patches"), this.#roles());
    this.room.replaceChildren(...parts);
    if (focused) document.querySelector(`[data-toggle="${focused}"]`)?.focus();
  }

  /** How many points or samples are in sight, and how many of them are shown. */
  count(kind, told) {
    this.counts[kind] = told;
    const line = document.getElementById(`${kind}-shown`);
    if (line) line.textContent = this.#counted(kind);
  }

  #counted(kind) {
    const told = this.counts[kind];
    if (!told) return "";
    const words = (number) => number.toLocaleString("en");
    const [what, where] = [kind === "points" ? "points" : "pixels", this.view.mode === "server" ? " in sight" : ""];
    if (told.points === told.total) return `${words(told.total)} ${what}${where}.`;
    return `${words(told.points)} of ${words(told.total)} ${what}${where} are shown${where ? "; zoom in for more" : ""}.`;
  }

  /** A heading, with all and none. */
  #head(title, entries, key) {
    const button = (word, off) => {
      const made = make("button", { type: "button", className: "small", ariaLabel: `${word} of ${title}` }, word);
      made.dataset.toggle = `${key}-${word}`;
      made.addEventListener("click", () => this.#set(key, off));
      return made;
    };
    return make("div", { className: "row legend-head" }, make("h2", { className: "grow" }, title), button("All", []), button("None", entries.map((entry) => entry.value)));
  }

  #set(key, values) {
    this.state[key].clear();
    for (const value of values) this.state[key].add(value);
    this.toggled();
  }

  #classes() {
    const estimated = this.view.legend.some((entry) => entry.estimate?.value !== undefined);
    const note = make("p", { className: "soft" }, `${this.view.area_title}${estimated ? `; ${this.view.estimate_title}, 95 %` : ""}`);
    return [this.#head("Classes", this.view.legend, "off"), note, ...this.view.legend.map((entry) => {
      const cells = [make("span", { className: "area" }, hectares(entry.area_ha))];
      const e = entry.estimate;
      if (e?.value !== undefined && e?.value !== null) {
        const interval = e.low === null || e.low === undefined ? "" : ` (${hectares(e.low)} to ${hectares(e.high)})`;
        cells.push(make("span", { className: "estimate" }, `${hectares(e.value)}${interval}`));
      }
      return this.#entry(entry, "off", cells);
    })];
  }

  #entry(entry, key, cells, all = this.view.legend) {
    const box = make("input", { type: "checkbox", checked: !this.state[key].has(entry.value) });
    box.dataset.toggle = `${key}-${entry.value}`;
    box.addEventListener("change", () => {
      if (box.checked) this.state[key].delete(entry.value);
      else this.state[key].add(entry.value);
      this.toggled();
    });
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = `rgb(${rgb(entry.color).join(" ")})`;
    const label = make("label", { className: "entry" }, box, swatch, make("span", { className: "grow" }, entry.name), ...cells);
    const only = make("button", { type: "button", className: "small only", ariaLabel: `Only ${entry.name}`, title: "show only this" }, "only");
    only.dataset.toggle = `${key}-only-${entry.value}`;
    const others = all.filter((other) => other.value !== entry.value);
    only.addEventListener("click", () => this.#set(key, others.map((other) => other.value)));
    return make("div", { className: "entry-row" }, label, only);
  }

  #ramp(layer) {
    const bar = make("span", { className: "ramp" });
    const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => `rgb(${shade(layer.ramp, share).join(" ")})`);
    bar.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
    const unit = layer.unit ? ` ${layer.unit}` : "";
    return make("p", { className: "row" }, `${layer.least}`, bar, `${layer.greatest}${unit}`);
  }

  #markers() {
    const row = (className, word) => make("li", {}, make("span", { className: `marker ${className}` }), word);
    const list = make("ul", { className: "roles" }, row("round", "the model learned from it"), row("square", "held out to measure"));
    return make("div", {}, list, make("p", { className: "soft", id: "samples-shown" }, this.#counted("samples")));
  }

  #roles() {
    const words = { train: "trained on", test: "held out to measure", mixed: "partly either", none: "without reference", failed: "failed" };
    return make("ul", { className: "roles" }, ...Object.entries(words).map(([role, word]) => {
      const swatch = make("span", { className: "outline" });
      swatch.style.borderColor = ROLES[role];
      return make("li", {}, swatch, word);
    }));
  }
}
