// Points with the colour of their class: those of the reference, and the pixels that a model learned from.

import Feature from "ol/Feature.js";
import Point from "ol/geom/Point.js";
import VectorLayer from "ol/layer/Vector.js";
import { fromLonLat, transformExtent } from "ol/proj.js";
import VectorSource from "ol/source/Vector.js";
import { markStyles } from "./styles.js";

const ROLES = ["", "train", "test"];
/** More of them in sight are drawn small. */
const MANY = 500;

export class Marks {
  /** `kind`: "points" of the reference, or "samples". */
  constructor(view, state, kind) {
    Object.assign(this, { view, state, kind });
    this.source = new VectorSource();
    this.colors = new Map(view.legend.map((entry) => [entry.value, entry.color]));
    this.asked = "";
    this.shown = null;
    this.told = () => {};
  }

  get there() {
    return Boolean(this.view[this.kind]);
  }

  layer(zIndex) {
    const style = markStyles();
    return new VectorLayer({
      source: this.source, zIndex, visible: false, updateWhileInteracting: true,
      style: (feature) => (this.state.off.has(feature.get("value")) ? null : style(this.colors.get(feature.get("value")) ?? "#9aa0a6", feature.get("role"), (this.shown?.points ?? 0) > MANY)),
    });
  }

  /** Ask for those within what is in sight (web Mercator), and show them when they are there. */
  async look(extent) {
    if (!this.there) return;
    const box = transformExtent(extent, "EPSG:3857", "EPSG:4326").map((degrees) => degrees.toFixed(5));
    const address = this.view.mode === "server" ? `${this.kind}?bounds=${box}` : `${this.kind}.json`;
    if (address === this.asked) return;
    this.asked = address;
    try {
      const answer = await fetch(address);
      if (!answer.ok || address !== this.asked) return;
      const told = await answer.json();
      if (address !== this.asked) return;
      this.shown = { total: told.total, points: told.points.length };
      this.source.clear(true);
      this.source.addFeatures(told.points.map(([lon, lat, value, role]) => {
        const feature = new Feature(new Point(fromLonLat([lon, lat])));
        feature.setProperties({ value, role: ROLES[role] }, true);
        return feature;
      }));
      this.told(this.shown);
    } catch {
      this.asked = "";
    }
  }

  repaint() {
    this.source.changed();
  }
}
