// The maps: one, one with a swipe, or three side by side; all look at the same place.

import OlMap from "ol/Map.js";
import View from "ol/View.js";
import { defaults as controls } from "ol/control/defaults.js";
import ScaleLine from "ol/control/ScaleLine.js";
import { defaults as interactions } from "ol/interaction/defaults.js";
import GeoJSON from "ol/format/GeoJSON.js";
import Feature from "ol/Feature.js";
import Point from "ol/geom/Point.js";
import VectorLayer from "ol/layer/Vector.js";
import { fromLonLat, toLonLat, transformExtent } from "ol/proj.js";
import { getRenderPixel } from "ol/render.js";
import VectorSource from "ol/source/Vector.js";
import { Beside } from "./beside.js";
import { Marks } from "./marks.js";
import { Slot } from "./slots.js";
import { gridStyle, outlineStyle, pixelStyle, placeStyle } from "./styles.js";

const DEEPEST = 4;

export class Maps {
  constructor(view, state, sources, { moved, clicked, swiped }) {
    this.description = view;
    this.state = state;
    this.sources = sources;
    this.extent = transformExtent(view.bounds, "EPSG:4326", "EPSG:3857");
    this.area = transformExtent(view.area, "EPSG:4326", "EPSG:3857");
    const [left, bottom, right, top] = this.extent;
    const [wide, high] = [right - left, top - bottom];
    const least = Math.min(...view.layers.map((layer) => layer.min_zoom));
    this.view = new View({
      extent: [left - wide / 2, bottom - high / 2, right + wide / 2, top + high / 2],
      constrainOnlyCenter: true,
      minZoom: Math.max(least - 1, 0),
      maxZoom: view.natural_zoom + DEEPEST,
      enableRotation: false,
    });
    this.grid = new VectorSource();
    this.marks = new VectorSource();
    this.pixel = new VectorSource();
    this.outlines = new VectorSource();
    for (const place of view.places) {
      const mark = new Feature(new Point(fromLonLat([place.lon, place.lat])));
      mark.set("name", place.name);
      this.marks.addFeature(mark);
    }
    this.points = new Marks(view, state, "points");
    this.samples = new Marks(view, state, "samples");
    this.beside = new Beside(view, state, sources.report);
    this.panes = [0, 1, 2].map((number) => this.#pane(number, clicked));
    this.handle = document.getElementById("swipe");
    this.#swipe(swiped);
    // "change" alone is not said of a centre or a zoom that is set.
    this.view.on(["change:center", "change:resolution"], () => moved(this.place()));
    this.panes[0].map.on("moveend", () => this.#look());
    // A window of another size shows the whole area too, if it was shown before.
    addEventListener("resize", () => {
      const whole = this.fitted !== null && this.fitted === this.#stand();
      requestAnimationFrame(() => whole && this.update());
    });
  }

  /** Zoom, longitude and latitude of the middle. */
  place() {
    const [lon, lat] = toLonLat(this.view.getCenter() ?? [0, 0]);
    return { zoom: this.view.getZoom(), center: [lon, lat] };
  }

  go(center, zoom) {
    this.view.setCenter(fromLonLat(center));
    if (zoom !== undefined && zoom !== null) this.view.setZoom(zoom);
  }

  /** Show an extent (web Mercator), or all of the area. */
  fit(extent = this.area) {
    this.fitted = null;
    this.view.fit(extent, { size: this.panes[0].map.getSize(), padding: [16, 16, 16, 16] });
    if (extent === this.area) this.fitted = this.#stand();
  }

  /** Where it stands, as text that can be compared. */
  #stand() {
    return [...(this.view.getCenter() ?? []), this.view.getResolution()].map((value) => Number(value).toPrecision(9)).join();
  }

  showGrid(features) {
    this.grid.addFeatures(new GeoJSON().readFeatures(features, { featureProjection: "EPSG:3857" }));
  }

  mark(pixel) {
    this.pixel.clear();
    if (pixel) this.pixel.addFeature(new Feature(new Point(fromLonLat(pixel))));
  }

  /** Draw the outline of a place (GeoJSON in degrees; null for none), and bring it into sight. */
  outline(geometry, deepest) {
    this.outlines.clear();
    if (!geometry) return;
    const drawn = new GeoJSON().readGeometry(geometry, { featureProjection: "EPSG:3857" });
    this.outlines.addFeature(new Feature(drawn));
    const { map } = this.panes[0];
    map.updateSize();
    const [wide, high] = map.getSize() ?? [300, 300];
    this.view.fit(drawn.getExtent(), { size: [wide, high], padding: [high / 5, wide / 5, high / 5, wide / 5], maxZoom: deepest });
  }

  /** Bring a pixel into sight, where the dossier has taken its place. */
  reveal(pixel) {
    const { map } = this.panes[0];
    map.updateSize();
    const [x, y] = fromLonLat(pixel);
    const [left, bottom, right, top] = this.view.calculateExtent(map.getSize());
    const spare = (top - bottom) / 10;
    if (x < left || x > right || y < bottom + spare || y > top) this.view.setCenter([x, y]);
  }

  /** Show what the state says. */
  update() {
    const { state } = this;
    const shown = this.#shown();
    const whole = this.fitted !== null && this.fitted === this.#stand();
    document.getElementById("stage").dataset.mode = state.mode;
    this.panes.forEach((pane, number) => {
      const what = shown[number];
      pane.section.hidden = !what;
      if (!what) return;
      const names = [what.top, what.other].filter(Boolean).map((id) => this.#title(id));
      [pane.title.textContent, pane.otherTitle.textContent] = [names[0], names[1] ?? ""];
      const acts = `arrows move it, plus and minus zoom, Enter opens the ${this.description.dossier ? "dossier" : "values"} of its middle`;
      pane.map.getTargetElement().setAttribute("aria-label", `${names.join(" and ")}; ${acts}`);
      // The image is below whatever is shown: a reference and a map may have holes.
      const imageOnly = what.top === state.image && (!what.other || what.other === state.image);
      this.#set(pane.base, imageOnly ? null : state.image);
      this.#set(pane.top, what.top);
      this.#set(pane.other, what.other ?? null);
      for (const slot of [pane.top, pane.other]) slot.setOpacity(state.opacity);
      pane.gridLayer.setVisible(state.grid);
      pane.points.setVisible([what.top, what.other].includes("reference"));
      pane.samples.setVisible(state.samples);
    });
    this.beside.update();
    this.handle.hidden = state.mode !== "swipe";
    this.#placeHandle();
    for (const pane of this.panes) if (!pane.section.hidden) pane.map.updateSize();
    // Who saw the whole area before there were more or fewer maps sees it after.
    if (whole) this.fit();
    this.#look();
    this.render();
  }

  /** Ask for the points of what is in sight, where points are shown. */
  #look() {
    const size = this.panes[0].map.getSize();
    if (!size || !this.view.getCenter()) return;
    const extent = this.view.calculateExtent(size);
    if (this.ids().includes("reference")) this.points.look(extent);
    if (this.state.samples) this.samples.look(extent);
  }

  /** Draw markers with the classes that are on now. */
  repaint() {
    for (const marks of [this.points, this.samples]) marks.repaint();
  }

  render() {
    for (const pane of this.panes) if (!pane.section.hidden) pane.map.render();
  }

  /** Layers that are shown, in words for legends and hints. */
  ids() {
    return [...new Set(this.#shown().flatMap((what) => [what.top, what.other]).filter(Boolean))];
  }

  /** Layers under a pixel of a pane. */
  under(pane, [x]) {
    const { top, other } = this.#shown()[this.panes.indexOf(pane)] ?? {};
    return [other && x > pane.map.getSize()[0] * this.state.at ? other : top].filter(Boolean);
  }

  #shown() {
    const { state } = this;
    if (state.mode === "swipe") return [{ top: state.layer, other: state.other }];
    if (state.mode === "one") return [{ top: state.layer }];
    const has = (id) => this.description.layers.some((layer) => layer.id === id);
    const images = this.description.layers.filter((layer) => layer.dated && layer.id !== state.image).map((layer) => layer.id);
    if (!has("prediction")) return [state.image, ...images].slice(0, 3).map((top) => ({ top }));
    const three = [state.image, has("reference") ? "reference" : "confidence", "prediction"];
    return three.filter(Boolean).map((top) => ({ top }));
  }

  #title(id) {
    const layer = this.#layer(id);
    return layer.dated ? `${layer.title}, ${this.state.date}` : layer.title;
  }

  #layer(id) {
    return this.description.layers.find((layer) => layer.id === id);
  }

  #set(slot, id) {
    if (id === null) slot.show(null);
    else slot.show(this.sources.get(this.#layer(id), this.state.date), this.#layer(id).min_zoom);
  }

  #pane(number, clicked) {
    const section = document.getElementById(`pane-${number}`);
    const pane = { section, title: section.querySelector(".pane-title"), otherTitle: section.querySelector(".other") ?? {} };
    pane.gridLayer = new VectorLayer({ source: this.grid, style: gridStyle, visible: false, zIndex: 10 });
    pane.points = this.points.layer(11);
    pane.samples = this.samples.layer(12);
    pane.map = new OlMap({
      target: section.querySelector(".map"),
      view: this.view,
      layers: [
        pane.gridLayer, pane.points, pane.samples, ...this.beside.layers(),
        new VectorLayer({ source: this.marks, style: placeStyle, declutter: true, zIndex: 20 }),
        new VectorLayer({ source: this.pixel, style: pixelStyle, zIndex: 21 }),
        new VectorLayer({ source: this.outlines, style: outlineStyle, zIndex: 22 }),
      ],
      controls: controls({ attribution: false, rotate: false, zoom: number === 0 }).extend(number === 0 ? [new ScaleLine()] : []),
      interactions: interactions({ altShiftDragRotate: false, pinchRotate: false }),
    });
    pane.map.on("click", (event) => this.beside.drawing || clicked(toLonLat(event.coordinate)));
    const slot = (zIndex, dress) => new Slot(pane.map, { zIndex, extent: this.extent, dress });
    pane.base = slot(0);
    pane.top = slot(1, number === 0 ? (layer) => this.#clip(pane, layer, true) : undefined);
    pane.other = slot(2, number === 0 ? (layer) => this.#clip(pane, layer, false) : undefined);
    return pane;
  }

  #clip(pane, layer, left) {
    layer.on("prerender", (event) => {
      const context = event.context;
      context.save();
      if (this.state.mode !== "swipe") return;
      const [width, height] = pane.map.getSize();
      const border = width * this.state.at;
      const [from, to] = left ? [0, border] : [border, width];
      const corners = [[from, 0], [to, 0], [to, height], [from, height]].map((corner) => getRenderPixel(event, corner));
      context.beginPath();
      corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      context.clip();
    });
    layer.on("postrender", (event) => event.context.restore());
  }

  #swipe(swiped) {
    const to = (share) => {
      this.state.at = Math.min(Math.max(share, 0), 1);
      this.#placeHandle();
      this.panes[0].map.render();
      swiped();
    };
    const stage = document.getElementById("stage");
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      to((event.clientX - box.left) / box.width);
    };
    this.handle.addEventListener("pointerdown", (event) => {
      this.handle.setPointerCapture(event.pointerId);
      this.handle.addEventListener("pointermove", follow);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.handle.addEventListener(end, () => this.handle.removeEventListener("pointermove", follow));
    }
    this.handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      to(this.state.at + step);
    });
  }

  #placeHandle() {
    this.handle.style.left = `${100 * this.state.at}%`;
    this.handle.setAttribute("aria-valuenow", String(Math.round(100 * this.state.at)));
  }
}
