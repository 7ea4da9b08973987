// The panel: what is shown, of which date, with which legend.

import { make, percent } from "../words.js";
import { doubtfulPlaces, placesToGo } from "./goto.js";
import { Legend } from "./legend.js";

const MODES = [["one", "One map", "1"], ["swipe", "Swipe", "2"], ["panels", "Three maps", "3"]];
const SWITCHES = ["grid", "samples", "outline", "districts"];
const at = (id) => document.getElementById(id);

export class Controls {
  constructor(view, state, { changed, toggled, went, whole }) {
    this.view = view;
    this.state = state;
    this.changed = changed;
    this.toggled = toggled;
    for (const id of ["name", "heading"]) at(id).textContent = view.name;
    at("about").textContent = `${view.period[0]} to ${view.period[1]}, pixels of ${view.pixel_metres} m`;
    document.title = `${view.name} - landweave`;
    this.#modes();
    this.#choices();
    this.#dates();
    placesToGo(view, { went, whole });
    doubtfulPlaces(view, (center) => {
      state.mode = "panels";
      changed();
      went(center, { marked: true });
    });
    this.#links();
    this.#keys();
    at("opacity").addEventListener("input", () => {
      state.opacity = Number(at("opacity").value) / 100;
      changed();
    });
    this.legend = new Legend(view, state, at("legends"), toggled);
    for (const key of SWITCHES) {
      at(key).addEventListener("change", () => {
        state[key] = at(key).checked;
        changed();
      });
    }
    at("samples").closest("label").hidden = !view.samples;
    at("outline").closest("label").hidden = !view.outline;
    at("districts").closest("label").hidden = !view.districts?.length;
    this.#overlays();
    at("open").addEventListener("click", () => this.fold());
    if (matchMedia("(max-width: 720px)").matches) this.fold(true);
  }

  /** Fold the panel, or unfold it. */
  fold(closed = at("open").getAttribute("aria-expanded") === "true") {
    at("open").setAttribute("aria-expanded", String(!closed));
    at("controls").hidden = closed;
    document.body.classList.toggle("folded", closed);
  }

  /** Show what the state says. */
  update(shown) {
    const { state } = this;
    for (const input of document.querySelectorAll("input[name=mode]")) input.checked = input.value === state.mode;
    at("layer").value = state.layer;
    at("other").value = state.other;
    if (at("image")) at("image").value = state.image;
    at("layer").closest("label").hidden = state.mode === "panels";
    at("other").closest("label").hidden = state.mode !== "swipe";
    at("layer-word").textContent = state.mode === "swipe" ? "Left" : "Layer";
    for (const key of SWITCHES) at(key).checked = state[key];
    for (const box of at("overlays").querySelectorAll("input")) box.checked = state.over.has(Number(box.value));
    at("opacity").value = String(Math.round(100 * state.opacity));
    at("opacity-shown").textContent = `${Math.round(100 * state.opacity)} %`;
    const number = this.#number();
    at("dates").hidden = number < 0 || !state.image;
    if (number >= 0) {
      const day = this.view.dates[number];
      at("date").value = String(number);
      at("date-shown").textContent = `${day.date}, ${day.valid === null ? "cloudiness not known" : `${percent(1 - day.valid)} cloudy or missing`}`;
      at("date").setAttribute("aria-valuetext", at("date-shown").textContent);
    }
    this.#sky(number);
    this.legend.show(shown);
  }

  /** The date before or after. */
  step(by) {
    const number = this.#number() + by;
    if (number < 0 || number >= this.view.dates.length) return;
    this.state.date = this.view.dates[number].date;
    this.changed();
  }

  #number() {
    return this.view.dates.findIndex((day) => day.date === this.state.date);
  }

  #modes() {
    for (const [mode, word, key] of MODES) {
      const input = make("input", { type: "radio", name: "mode", value: mode, title: `key ${key}` });
      input.addEventListener("change", () => {
        this.state.mode = mode;
        this.changed();
      });
      at("modes").append(make("label", {}, input, make("span", {}, word)));
    }
  }

  #choices() {
    const select = (id, word, layers, key) => {
      const box = make("select", { id }, ...layers.map((layer) => make("option", { value: layer.id }, layer.title)));
      box.addEventListener("change", () => {
        this.state[key] = box.value;
        this.changed();
      });
      at("choices").append(make("label", { className: "row" }, make("span", { id: `${id}-word`, className: "word" }, word), box));
    };
    select("layer", "Layer", this.view.layers, "layer");
    select("other", "Right", this.view.layers, "other");
    const dated = this.view.layers.filter((layer) => layer.dated);
    if (dated.length) select("image", "Image", dated, "image");
  }

  #dates() {
    const slider = at("date");
    slider.max = String(Math.max(this.view.dates.length - 1, 0));
    slider.addEventListener("input", () => {
      this.state.date = this.view.dates[Number(slider.value)].date;
      this.changed();
    });
    at("before").addEventListener("click", () => this.step(-1));
    at("after").addEventListener("click", () => this.step(1));
    new ResizeObserver(() => this.#sky(this.#number())).observe(at("sky"));
  }

  /** A bar a date, as high as its share of clear land. */
  #sky(chosen) {
    const canvas = at("sky");
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const n = this.view.dates.length;
    const span = n > 1 ? (width - 16) / (n - 1) : 0; // the slider's thumb stays within it
    this.view.dates.forEach((day, i) => {
      context.fillStyle = style.getPropertyValue(i === chosen ? "--accent" : "--faint-ink");
      const high = Math.max(1, (day.valid ?? 0) * height);
      context.fillRect(8 + i * span - Math.max(span * 0.35, 1), height - high, Math.max(span * 0.7, 2), high);
    });
  }

  /** The project's own overlays: off until they are asked for, and a word on where they come from. */
  #overlays() {
    const overlays = this.view.overlays ?? [];
    at("overlays").hidden = !overlays.length;
    for (const overlay of overlays) {
      const box = make("input", { type: "checkbox", value: String(overlay.id) });
      box.addEventListener("change", () => {
        if (box.checked) this.state.over.add(overlay.id);
        else this.state.over.delete(overlay.id);
        this.changed();
      });
      const lines = [overlay.host ? `loads from ${overlay.host}, which sees what you look at` : "", overlay.attribution].filter(Boolean);
      at("overlays").append(make("label", { className: "row" }, box, make("span", { className: "grow" }, overlay.name, ...lines.map((line) => make("span", { className: "soft note" }, line)))));
    }
  }

  #links() {
    const links = at("links");
    const server = this.view.mode === "server";
    if (this.view.report) links.append(make("a", { href: server ? "report" : "report.html", target: "_blank", rel: "noopener" }, "Report"));
    if (this.view.comparison) links.append(make("a", { href: server ? "compare" : "compare.html", target: "_blank", rel: "noopener" }, "Register against map"));
    links.append(make("a", { href: "page/licences.txt", target: "_blank", rel: "noopener" }, "Licences of the page's parts"));
    for (const file of this.view.downloads ?? []) links.append(make("a", { href: file.href, download: "" }, `${file.name} (${file.size})`));
    const lines = [this.view.attribution, this.view.licence, this.view.dossier ? "" : "A click shows class and confidence; the dossier of a pixel needs the project itself, in `landweave view`."];
    for (const line of lines.filter(Boolean).reverse()) links.after(make("p", { className: "soft" }, line));
  }

  #keys() {
    const keys = { "1 2 3": "one map, swipe, three maps", ", .": "date before, after", "[ ]": "less, more opacity", g: "patches", t: "training and test pixels", "+ −": "zoom, with the map in focus", "arrows": "move the map or the swipe, in focus", Enter: `${this.view.dossier ? "dossier" : "values"} of the middle, with the map in focus`, "/": "go to", 0: "whole map", l: "this panel", Esc: "close" };
    for (const [key, does] of Object.entries(keys)) if (does) at("keys").append(make("dt", {}, key), make("dd", {}, does));
  }
}
