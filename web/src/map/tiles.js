// Tiles: from the server, from a PMTiles archive or from a folder; painted with the palette of the moment.

import { decode } from "fast-png";
import ImageTile from "ol/source/ImageTile.js";
import { createXYZ } from "ol/tilegrid.js";
import { PMTiles } from "pmtiles";
import { PartOrWhole, Unsent } from "./archive.js";
import { palette } from "./palette.js";

const SIDE = 256;
/** Metres of web Mercator from its middle to its edge. */
const EDGE = Math.PI * 6378137;
const KEPT = 300;
const BUSY_TRIES = 4;

/** Sources by layer and date, one for all maps. */
export class Sources {
  /** `report` is called with a sentence, `lost` when the server did not answer, `loading` counts what is under way. */
  constructor(view, state, { report, lost, loading }) {
    Object.assign(this, { view, state, report, lost, loading });
    this.round = 0;
    this.made = new Map();
    this.values = new Map();
    this.archives = new Map();
    this.blank = canvas();
  }

  get(layer, date) {
    const key = layer.dated ? `${layer.id}/${date}` : layer.id;
    if (!this.made.has(key)) this.made.set(key, this.#make(layer, key));
    return this.made.get(key);
  }

  /** Paint again what is shown with the palette of now; until then the old tiles stay. */
  repaint() {
    for (const source of this.made.values()) source.setKey(this.#key(source.get("kind")));
  }

  /** Ask again for tiles that failed. */
  retry() {
    this.round += 1;
    this.repaint();
  }

  #key(kind) {
    const off = { classes: this.state.off, codes: this.state.offcodes }[kind];
    return `${this.round}/${off ? [...off].sort().join() : ""}`;
  }

  #make(layer, key) {
    const source = new ImageTile({
      loader: (z, x, y, { signal }) => this.loading.during(this.#tile(layer, key, z, x, y, signal)),
      tileGrid: createXYZ({ minZoom: layer.min_zoom, maxZoom: layer.max_zoom, tileSize: SIDE }),
      interpolate: layer.kind === "picture",
      transition: 0,
      wrapX: false,
    });
    source.set("kind", layer.kind);
    source.setKey(this.#key(layer.kind));
    return source;
  }

  async #tile(layer, key, z, x, y, signal) {
    const name = `${key}/${z}/${x}/${y}`;
    if (layer.kind === "picture") {
      const bytes = await this.#bytes(layer, key, name, z, x, y, signal);
      return bytes ? createImageBitmap(new Blob([bytes])) : this.blank;
    }
    const values = await this.#values(layer, key, z, x, y, signal);
    return values ? painted(values, palette(layer, this.view, this.state)) : this.blank;
  }

  async #values(layer, key, z, x, y, signal) {
    const name = `${key}/${z}/${x}/${y}`;
    if (!this.values.has(name)) {
      const bytes = await this.#bytes(layer, key, name, z, x, y, signal);
      this.values.set(name, bytes ? decode(new Uint8Array(bytes)).data : null);
      if (this.values.size > KEPT) this.values.delete(this.values.keys().next().value);
    }
    return this.values.get(name);
  }

  /** Value of a layer of values at a place (web Mercator), as its finest own tile has it; 0 nothing. */
  async valueAt(layer, date, [east, north], signal) {
    const z = Math.min(this.view.natural_zoom, layer.max_zoom);
    const side = (2 * EDGE) / 2 ** z;
    const [x, y] = [(east + EDGE) / side, (EDGE - north) / side];
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (Math.min(column, row) < 0 || Math.max(column, row) >= 2 ** z) return 0;
    const values = await this.#values(layer, layer.dated ? `${layer.id}/${date}` : layer.id, z, column, row, signal);
    return values ? values[SIDE * Math.floor(SIDE * (y - row)) + Math.floor(SIDE * (x - column))] : 0;
  }

  async #bytes(layer, key, name, z, x, y, signal) {
    if (layer.archive) return this.#fromArchive(key, z, x, y, signal);
    const suffix = this.view.mode === "server" ? `?v=${this.view.version}` : `.${layer.suffix}`;
    for (let tried = 0; ; tried += 1) {
      const answer = await this.#fetched(`tiles/${name}${suffix}`, signal);
      const version = answer.headers.get("Landweave-Version");
      if (version && version !== this.view.version) this.report("The run has changed since this page was opened: reload it.");
      if (answer.status === 204) return null;
      if (answer.ok) return answer.arrayBuffer();
      if (answer.status !== 503 || tried === BUSY_TRIES) {
        const where = this.view.mode === "server" ? "; the terminal of `landweave view` says why" : "";
        this.report(`A part of "${layer.title}" could not be had (${answer.status})${where}.`);
        throw new Error(`tile ${name}: ${answer.status}`);
      }
      await new Promise((done) => setTimeout(done, 400 * 2 ** tried));
    }
  }

  async #fetched(address, signal) {
    try {
      return await fetch(address, { signal });
    } catch (error) {
      if (error.name !== "AbortError") this.lost();
      throw error;
    }
  }

  async #fromArchive(key, z, x, y, signal) {
    const file = `tiles/${key.replace("/", "-")}.pmtiles`;
    if (!this.archives.has(file)) this.archives.set(file, new PMTiles(new PartOrWhole(new URL(file, location.href).href)));
    try {
      return (await this.archives.get(file).getZxy(z, x, y, signal))?.data ?? null;
    } catch (error) {
      // A browser that gets no answer at all speaks of a type.
      if (error.name === "TypeError") this.lost();
      else if (error instanceof Unsent) {
        this.report("This web server does not send parts of files; publish again with --tiles folder, or use one that does (nginx, Apache, object storage).");
      }
      throw error;
    }
  }
}

function canvas() {
  const made = document.createElement("canvas");
  made.width = made.height = SIDE;
  return made;
}

function painted(values, table) {
  const pixels = new Uint32Array(SIDE * SIDE);
  const colors = new Uint32Array(table.buffer);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = colors[values[i]];
  const made = canvas();
  made.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), SIDE, SIDE), 0, 0);
  return made;
}
