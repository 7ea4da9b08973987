// What is under the pointer: place, class and confidence.

import { toLonLat } from "ol/proj.js";
import { written } from "../panel/coordinates.js";
import { rgb } from "./palette.js";
import { make } from "../words.js";

const WAIT = 60;
const at = (id) => document.getElementById(id);

/** A layer's value in words, with its colour where it has one; null for nothing. */
export function worded(layer, value, view) {
  if (!value) return null;
  if (layer.kind === "classes" || layer.kind === "codes") {
    const entry = (layer.kind === "classes" ? view.legend : layer.codes).find((known) => known.value === value);
    return { text: entry ? entry.name : `value ${value}`, color: entry?.color };
  }
  if (layer.ramp === "ndvi") return { text: ((value - 1) / 127 - 1).toFixed(2) };
  return { text: `${value - (layer.plus ?? 0)} ${layer.unit}`.trim() };
}

/** Lines about a place: class and confidence of the map first, then the other layers. */
export async function valuesAt(view, sources, date, place, ids, signal) {
  const layers = ["prediction", "confidence", ...ids].map((id) => view.layers.find((layer) => layer.id === id));
  const wanted = [...new Set(layers)].filter((layer) => layer && layer.kind !== "picture");
  return Promise.all(wanted.map(async (layer) => ({ layer, found: worded(layer, await sources.valueAt(layer, date, place, signal), view) })));
}

export function swatched(found) {
  if (!found?.color) return [found?.text ?? "nothing"];
  const swatch = make("span", { className: "swatch" });
  swatch.style.background = `rgb(${rgb(found.color).join(" ")})`;
  return [swatch, " ", found.text];
}

export class Hover {
  constructor(view, state, sources, maps) {
    Object.assign(this, { view, state, sources, maps });
    this.tip = at("hover");
    this.line = at("position");
    this.timer = 0;
    this.asked = new AbortController();
    for (const pane of maps.panes) {
      pane.map.on("pointermove", (event) => {
        if (event.dragging || event.originalEvent.pointerType === "touch") this.#leave();
        else this.#over(pane, event);
      });
      pane.map.getViewport().addEventListener("pointerleave", () => this.#leave());
    }
  }

  /** The place in the middle, while no pointer is on a map. */
  middle() {
    if (this.tip.hidden) this.line.textContent = `Middle: ${written(this.maps.place().center, this.view.crs)}`;
  }

  #leave() {
    clearTimeout(this.timer);
    this.asked.abort();
    this.tip.hidden = true;
    this.middle();
  }

  #over(pane, event) {
    this.line.textContent = written(toLonLat(event.coordinate), this.view.crs);
    clearTimeout(this.timer);
    this.asked.abort();
    this.asked = new AbortController();
    const { signal } = this.asked;
    const { clientX, clientY } = event.originalEvent;
    this.timer = setTimeout(async () => {
      const ids = this.maps.under(pane, event.pixel);
      try {
        const told = await valuesAt(this.view, this.sources, this.state.date, event.coordinate, ids, signal);
        if (!signal.aborted) this.#show(told, clientX, clientY);
      } catch {
        this.tip.hidden = true;
      }
    }, WAIT);
  }

  #show(told, x, y) {
    const lines = told.filter(({ found }) => found).map(({ layer, found }) => make("div", {}, make("span", { className: "soft" }, `${layer.title}: `), ...swatched(found)));
    this.tip.replaceChildren(...lines);
    this.tip.hidden = !lines.length;
    const { offsetWidth, offsetHeight } = this.tip;
    this.tip.style.left = `${x + 16 + offsetWidth > innerWidth ? x - offsetWidth - 10 : x + 16}px`;
    this.tip.style.top = `${y + 16 + offsetHeight > innerHeight ? y - offsetHeight - 10 : y + 16}px`;
  }
}
