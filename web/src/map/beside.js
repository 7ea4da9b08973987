// What is drawn over the maps: the outline of the area, districts, the project's overlays, and a polygon of interest.

import GeoJSON from "ol/format/GeoJSON.js";
import Draw from "ol/interaction/Draw.js";
import TileLayer from "ol/layer/Tile.js";
import VectorLayer from "ol/layer/Vector.js";
import TileWMS from "ol/source/TileWMS.js";
import VectorSource from "ol/source/Vector.js";
import XYZ from "ol/source/XYZ.js";
import { districtStyle, overlayStyle, shapeStyle } from "./styles.js";

const FORMAT = new GeoJSON();
const read = (told) => FORMAT.readFeatures(told, { featureProjection: "EPSG:3857" });

export class Beside {
  constructor(view, state, report) {
    Object.assign(this, { view, state, report });
    this.shape = new VectorSource();
    this.sources = new Map();
    this.drawing = false;
    const lines = { outline: ["outline.json", districtStyle(false)], districts: ["districts.json", districtStyle(true)] };
    this.kinds = Object.entries(lines).map(([key, [address, style]]) => ({ key, address, style, shown: () => state[key] }));
    for (const overlay of view.overlays ?? []) {
      const shown = () => state.over.has(overlay.id);
      if (overlay.type === "file") this.kinds.push({ key: `over-${overlay.id}`, address: `overlay/${overlay.id}`, style: overlayStyle, shown });
      else this.kinds.push({ key: `over-${overlay.id}`, tiles: overlay, shown });
    }
  }

  /** Layers for one map. */
  layers() {
    const made = this.kinds.map((kind) => {
      const layer = kind.tiles ? new TileLayer({ visible: false, zIndex: 5 }) : new VectorLayer({ visible: false, zIndex: kind.key === "districts" ? 9 : 8, style: kind.style, declutter: kind.key === "districts" });
      layer.set("kind", kind);
      return layer;
    });
    this.made = [...(this.made ?? []), ...made];
    return [...made, new VectorLayer({ source: this.shape, style: shapeStyle, zIndex: 15 })];
  }

  /** Show what the state says; what is shown for the first time is loaded then. */
  update() {
    for (const layer of this.made) {
      const kind = layer.get("kind");
      const shown = kind.shown();
      if (shown && !layer.getSource()) layer.setSource(this.#source(kind));
      layer.setVisible(shown);
    }
  }

  #source(kind) {
    if (!this.sources.has(kind.key)) this.sources.set(kind.key, kind.tiles ? elsewhere(kind.tiles) : this.#loaded(kind.address));
    return this.sources.get(kind.key);
  }

  #loaded(address) {
    const source = new VectorSource();
    const static_ = this.view.mode !== "server" && !address.endsWith(".json");
    fetch(static_ ? `${address}.json` : address).then(async (answer) => {
      const told = await answer.json();
      if (answer.ok) source.addFeatures(read(told));
      else this.report(told.detail ?? "These outlines could not be loaded.");
    }).catch(() => this.report("These outlines could not be loaded."));
    return source;
  }

  /** Show a polygon of interest, GeoJSON in degrees; null shows none. */
  show(geometry) {
    this.shape.clear();
    if (geometry) this.shape.addFeatures(read({ type: "Feature", properties: {}, geometry }));
    return this.shape.getExtent();
  }

  /** Let a polygon be drawn on a map; `done` is called with it, GeoJSON in degrees, or with null when it is given up. */
  draw(map, done) {
    this.stop?.();
    const draw = new Draw({ source: this.shape, type: "Polygon" });
    this.shape.clear();
    this.drawing = true;
    this.stop = () => {
      this.stop = null;
      // A double click that ends it must not zoom the map.
      setTimeout(() => {
        map.removeInteraction(draw);
        this.drawing = false;
      }, 300);
    };
    draw.on("drawend", ({ feature }) => {
      this.stop?.();
      done(FORMAT.writeGeometryObject(feature.getGeometry(), { featureProjection: "EPSG:3857", decimals: 7 }));
    });
    this.giveUp = () => {
      draw.abortDrawing();
      this.stop?.();
      done(null);
    };
    map.addInteraction(draw);
  }
}

// Whose it is, the panel says as text: the library would take it for markup.
function elsewhere(overlay) {
  if (overlay.type === "wms") return new TileWMS({ url: overlay.url, params: { LAYERS: overlay.layers, TRANSPARENT: true } });
  return new XYZ({ url: overlay.url });
}
