// A place for one layer on a map. When the layer changes, its old tiles stay until the new ones are there.

import TileLayer from "ol/layer/Tile.js";

export class Slot {
  /** `dress` is called with every tile layer that is made. */
  constructor(map, { zIndex, extent, dress = () => {} }) {
    Object.assign(this, { map, zIndex, extent, dress });
    this.layer = null;
    this.old = null;
    this.opacity = 1;
    map.on("rendercomplete", ({ frameState }) => this.#settle(frameState));
  }

  /** Show a source; null shows nothing. Farther away than zoom `least`, no tiles are loaded. */
  show(source, least = 0) {
    if ((this.layer?.getSource() ?? null) === source) return;
    // What was never there whole need not stay.
    if (this.layer?.get("whole")) {
      this.#drop(this.old);
      this.old = this.layer;
    } else this.#drop(this.layer);
    this.layer = source ? this.#make(source, least) : null;
    if (!this.layer || !this.map.getSize()) this.#forgetOld();
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    for (const layer of [this.layer, this.old]) layer?.setOpacity(opacity);
  }

  #make(source, least) {
    const layer = new TileLayer({ extent: this.extent, preload: 0, zIndex: this.zIndex, source, opacity: this.opacity, minZoom: Math.max(least - 1, -1) });
    this.dress(layer);
    this.map.addLayer(layer);
    return layer;
  }

  /** All tiles of a frame are drawn: if the new layer was part of it, the old one has done its work. */
  #settle(frame) {
    if (!this.layer || !frame.layerStatesArray.some(({ layer }) => layer === this.layer)) return;
    this.layer.set("whole", true);
    this.#forgetOld();
  }

  #forgetOld() {
    this.#drop(this.old);
    this.old = null;
  }

  #drop(layer) {
    if (!layer) return;
    this.map.removeLayer(layer);
    layer.setSource(null);
    layer.dispose();
  }
}
