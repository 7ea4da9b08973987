// The whole state of the page, kept in the address after #, so that a link opens the same place and layers.

const MODES = ["one", "swipe", "panels"];
/** What lies on the map beside its layers, switched on or off. */
const SWITCHES = ["grid", "samples", "outline", "districts"];
/** Classes and codes that are off, and overlays that are on. */
const SETS = ["off", "offcodes", "over"];

/** Text of the address to a state; what is unknown or malformed falls back to the defaults. */
export function read(hash, view) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = defaults(view);
  const number = (key, least, greatest) => {
    const value = given.has(key) ? Number(given.get(key)) : NaN;
    return Number.isFinite(value) && value >= least && value <= greatest ? value : null;
  };
  const known = new Set(view.layers.map((layer) => layer.id));
  const dated = new Set(view.layers.filter((layer) => layer.dated).map((layer) => layer.id));
  if (MODES.includes(given.get("view"))) state.mode = given.get("view");
  if (known.has(given.get("layer"))) state.layer = given.get("layer");
  if (known.has(given.get("with"))) state.other = given.get("with");
  if (dated.has(given.get("image"))) state.image = given.get("image");
  if (view.dates.some((day) => day.date === given.get("date"))) state.date = given.get("date");
  state.zoom = number("z", 0, 24) ?? state.zoom;
  const [lon, lat] = [number("lon", -180, 180), number("lat", -85, 85)];
  if (lon !== null && lat !== null) state.center = [lon, lat];
  state.at = number("at", 0, 1) ?? state.at;
  state.opacity = number("opacity", 0, 1) ?? state.opacity;
  for (const key of SWITCHES) state[key] = given.get(key) === "1";
  for (const key of SETS) {
    const values = (given.get(key) ?? "").split(",").filter((text) => /^\d{1,3}$/.test(text)).map(Number);
    state[key] = new Set(values.filter((value) => value <= 255));
  }
  for (const key of ["pixel", "mark"]) {
    const place = (given.get(key) ?? "").split(",").map(Number);
    if (place.length === 2 && place.every(Number.isFinite) && Math.abs(place[0]) <= 180 && Math.abs(place[1]) <= 90) state[key] = place;
  }
  return state;
}

/** A state as text for the address. */
export function write(state) {
  const told = new URLSearchParams();
  told.set("view", state.mode);
  told.set("layer", state.layer);
  if (state.mode === "swipe") {
    told.set("with", state.other);
    told.set("at", state.at.toFixed(3));
  }
  if (state.image) told.set("image", state.image);
  if (state.date) told.set("date", state.date);
  if (state.zoom !== null) told.set("z", state.zoom.toFixed(2));
  if (state.center) {
    told.set("lon", state.center[0].toFixed(6));
    told.set("lat", state.center[1].toFixed(6));
  }
  if (state.opacity !== 1) told.set("opacity", state.opacity.toFixed(2));
  for (const key of SWITCHES) if (state[key]) told.set(key, "1");
  for (const key of SETS) if (state[key].size) told.set(key, [...state[key]].sort((a, b) => a - b).join(","));
  for (const key of ["pixel", "mark"]) if (state[key]) told.set(key, state[key].map((value) => value.toFixed(6)).join(","));
  return `#${told.toString().replaceAll("%2C", ",")}`;
}

function defaults(view) {
  const ids = view.layers.map((layer) => layer.id);
  const dated = view.layers.filter((layer) => layer.dated).map((layer) => layer.id);
  const image = dated[0] ?? null;
  const clearest = view.dates.reduce((best, day) => (best && (best.valid ?? -1) >= (day.valid ?? -1) ? best : day), null);
  return {
    mode: "one", layer: ids[0], other: ids.includes("reference") ? "reference" : (image ?? ids.at(-1)), image,
    date: clearest ? clearest.date : null, zoom: null, center: null, at: 0.5, opacity: 1,
    ...Object.fromEntries(SWITCHES.map((key) => [key, false])),
    ...Object.fromEntries(SETS.map((key) => [key, new Set()])), pixel: null, mark: null,
  };
}
