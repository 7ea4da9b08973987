// Areas within a polygon: drawn, a district, a patch, or from a GeoJSON file; and the map cut out by it.

import { rgb } from "../map/palette.js";
import { hectares, make, percent } from "../words.js";

const MOST = 20_000_000;
const at = (id) => document.getElementById(id);

export class Within {
  /** `fold` folds the panel away or shows it, where it covers the map. */
  constructor(view, maps, fold) {
    Object.assign(this, { view, maps, fold });
    this.asked = null;
    this.number = 0;
    at("within-ways").hidden = !view.areas;
    at("within-not").hidden = view.areas;
    at("within").hidden = view.areas === undefined;
    at("draw").addEventListener("click", () => this.#draw());
    at("named").addEventListener("change", () => {
      const [kind, ...name] = at("named").value.split(":");
      if (kind) this.#ask({ [kind]: name.join(":") }, true);
    });
    at("file").addEventListener("change", () => {
      this.#read(at("file").files[0]);
      at("file").value = "";
    });
    // Anywhere on the page: a browser would leave the page for a file that is dropped beside the map.
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) this.#read(event.dataTransfer.files[0]);
    });
    const group = (label, kind, names) => (names.length ? make("optgroup", { label }, ...names.map((name) => make("option", { value: `${kind}:${name}` }, name))) : null);
    at("named").append(make("option", { value: "" }, "district or patch"), ...[group("Districts", "district", view.districts ?? [])].filter(Boolean));
    this.patches = (names) => at("named").append(group("Patches", "patch", names));
  }

  /** Names of the patches, when they are known. */
  name(patches) {
    if (patches.length) this.patches(patches);
  }

  #draw() {
    const button = at("draw");
    if (this.maps.beside.drawing) {
      this.maps.beside.giveUp();
      return;
    }
    button.textContent = "Cancel drawing";
    const covered = matchMedia("(max-width: 720px)").matches;
    if (covered) this.fold(true);
    at("within-result").replaceChildren(make("p", { className: "soft" }, "Click the corners on the map; a double click ends it, Escape cancels."));
    this.maps.beside.draw(this.maps.panes[0].map, (geometry) => {
      button.textContent = "Draw";
      if (covered) this.fold(false);
      if (geometry) this.#ask({ geometry });
      else at("within-result").replaceChildren();
    });
  }

  async #read(file) {
    if (!file) return;
    at("within").open = true;
    if (!this.view.areas) return;
    try {
      if (file.size > MOST) throw new Error(`${file.name} is larger than ${MOST / 1e6} MB.`);
      this.#ask(polygonsOf(JSON.parse(await file.text()), file.name), true);
    } catch (error) {
      this.#say(error instanceof SyntaxError ? `${file.name} is not GeoJSON.` : error.message);
    }
  }

  #say(text) {
    at("within-result").replaceChildren(make("p", { role: "alert" }, text));
  }

  async #ask(asked, travel = false) {
    const number = (this.number += 1);
    this.asked = asked;
    if (!asked.geometry) this.maps.beside.show(null);
    at("within").open = true;
    at("within-result").replaceChildren(make("p", { className: "soft" }, "Counting …"));
    const answer = await post("areas", asked);
    if (number !== this.number) return;
    if (answer.detail) {
      this.#say(answer.detail);
      return;
    }
    const told = await answer.json();
    const extent = this.maps.beside.show(told.outline);
    if (travel) this.maps.fit(extent);
    this.#show(told);
  }

  #show(told) {
    const reference = told.classes.some((entry) => entry.reference_ha);
    const head = make("tr", {}, ...["class", "map, ha", "share", ...(reference ? ["reference, ha"] : [])].map((word) => make("th", { scope: "col" }, word)));
    const number = (value) => make("td", { className: "number" }, hectares(value).replace(" ha", ""));
    const rows = told.classes.filter((entry) => entry.pixels || entry.reference_ha).map((entry) => {
      const swatch = make("span", { className: "swatch" });
      const known = this.view.legend.find((one) => one.value === entry.value);
      if (known) swatch.style.background = `rgb(${rgb(known.color).join(" ")})`;
      const share = told.total_ha ? entry.area_ha / told.total_ha : 0;
      return make("tr", {}, make("td", { className: "wrap" }, swatch, ` ${entry.name}`), number(entry.area_ha), make("td", { className: "number" }, percent(share)), reference ? number(entry.reference_ha) : null);
    });
    const table = make("table", {}, make("caption", {}, `${told.title}: ${hectares(told.total_ha)} mapped (pixel count, not an estimate)`), make("thead", {}, head), make("tbody", {}, ...rows));
    const parts = [table];
    if (told.agreement) {
      const { share, agree_ha, differ_ha, edge_ha } = told.agreement;
      const title = this.view.layers.find((layer) => layer.id === "disagreement")?.title ?? "disagreement";
      parts.push(make("p", {}, `${title.replace("disagreement", "Agreement")}: `, make("b", {}, percent(share)), ` (${hectares(agree_ha)} agree, ${hectares(differ_ha)} differ, ${hectares(edge_ha)} differ at an edge)`));
    }
    const layer = make("select", { ariaLabel: "Layer to cut out" }, ...told.layers.map((id) => make("option", { value: id }, this.view.layers.find((known) => known.id === id).title)));
    const save = (word, form) => make("button", { type: "button", on: { click: () => this.#save(layer.value, form) } }, word);
    const clear = make("button", { type: "button", on: { click: () => this.clear() } }, "Clear");
    parts.push(make("div", { className: "row" }, layer, save("GeoTIFF", "tif"), save("PNG", "png"), clear));
    at("within-result").replaceChildren(make("div", { className: "scroll-x", tabIndex: 0, role: "region", ariaLabel: "Areas" }, ...parts));
  }

  clear() {
    this.number += 1;
    this.asked = null;
    at("named").value = "";
    this.maps.beside.show(null);
    at("within-result").replaceChildren();
  }

  async #save(layer, form) {
    const answer = await post("clip", { ...this.asked, layer, form });
    if (answer.detail) {
      at("within-result").append(make("p", { role: "alert" }, answer.detail));
      return;
    }
    const name = decodeURIComponent(/filename\*=UTF-8''([^;]+)/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? `clip.${form}`);
    const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    document.body.append(link); // Firefox may not follow a link that is nowhere
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}

/** An answer, or what is wrong with it. */
async function post(address, content) {
  try {
    const answer = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
    if (answer.ok) return answer;
    const { detail } = await answer.json();
    return { detail: typeof detail === "string" ? detail : "This polygon cannot be used." };
  } catch {
    return { detail: "The server does not answer." };
  }
}

/** All polygons of a GeoJSON file as one, with the CRS that the file names. */
function polygonsOf(content, name) {
  const parts = [];
  const collect = (thing) => {
    if (thing?.type === "FeatureCollection") thing.features.forEach(collect);
    else if (thing?.type === "Feature") collect(thing.geometry);
    else if (thing?.type === "GeometryCollection") thing.geometries.forEach(collect);
    else if (thing?.type === "Polygon") parts.push(thing.coordinates);
    else if (thing?.type === "MultiPolygon") parts.push(...thing.coordinates);
  };
  collect(content);
  if (!parts.length) throw new Error(`${name} contains no polygon.`);
  const rounded = JSON.parse(JSON.stringify(parts), (key, value) => (typeof value === "number" ? Math.round(value * 1e7) / 1e7 : value));
  const named = String(content.crs?.properties?.name ?? "");
  const code = /EPSG:+(?:[\d.]*:)?(\d{4,6})$/.exec(named)?.[1];
  if (named && !code && !/CRS84$/.test(named)) throw new Error(`${name}: its CRS ${named.slice(0, 60)} is not known; save it in degrees (EPSG:4326).`);
  return { geometry: { type: "MultiPolygon", coordinates: rounded }, crs: code ? `EPSG:${code}` : "EPSG:4326" };
}
