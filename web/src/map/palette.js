// What value has which colour. Tiles hold values; colours are given here, so that classes can be switched off.

const RAMPS = {
  // Little is dark blue, much is light yellow: told apart with colour-blind eyes and in grey.
  confidence: ["#2b1d5c", "#3f5f93", "#3f9a8f", "#8fc75b", "#f9e64c"],
  count: ["#1d1147", "#5b2a86", "#b23a7a", "#ee7c51", "#fbe08a"],
  ndvi: ["#5b3a1e", "#b98d55", "#f1e7c8", "#7fb262", "#15592c"],
};

/** Red, green, blue of #rrggbb. */
export function rgb(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

/** 256 colours as RGBA; value 0, nothing, is transparent. */
export function palette(layer, view, state) {
  const table = new Uint8Array(4 * 256);
  const put = (value, [red, green, blue]) => table.set([red, green, blue, 255], 4 * value);
  if (layer.kind === "classes") {
    for (const entry of view.legend) if (!state.off.has(entry.value)) put(entry.value, rgb(entry.color));
  } else if (layer.kind === "codes") {
    for (const entry of layer.codes) if (!state.offcodes.has(entry.value)) put(entry.value, rgb(entry.color));
  } else {
    const [first, last] = encoded(layer);
    for (let value = 1; value < 256; value += 1) put(value, shade(layer.ramp, (value - first) / Math.max(last - first, 1)));
  }
  return table;
}

/** Values as they stand in tiles for the least and the greatest that a ramp shows. */
function encoded(layer) {
  if (layer.ramp === "ndvi") return [1, 255];
  const plus = layer.plus ?? 0;
  return [layer.least + plus, layer.greatest + plus];
}

/** Colour of a ramp at a share, 0 to 1. */
export function shade(ramp, share) {
  const stops = RAMPS[ramp].map(rgb);
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  return stops[low].map((part, i) => Math.round(part + (stops[low + 1][i] - part) * (at - low)));
}
