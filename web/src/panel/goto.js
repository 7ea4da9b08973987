// Where to look: coordinates as they come, named places, and places where the reference is likely wrong.

import { rgb } from "../map/palette.js";
import { hectares, make } from "../words.js";
import { readPlace } from "./coordinates.js";

const at = (id) => document.getElementById(id);

export function placesToGo(view, { went, whole }) {
  at("whole").addEventListener("click", whole);
  for (const place of view.places) {
    at("places").append(make("option", { value: place.name }));
    const go = make("button", { type: "button", className: "place" }, place.name);
    go.addEventListener("click", () => went([place.lon, place.lat]));
    at("whole").before(go);
  }
  at("goto").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = at("where").value.trim();
    const place = view.places.find((known) => known.name.toLowerCase() === text.toLowerCase());
    const found = place ? { center: [place.lon, place.lat] } : readPlace(text, view);
    at("where").setCustomValidity(found.error ?? "");
    if (at("where").reportValidity()) went(found.center, { marked: !place });
  });
  at("where").addEventListener("input", () => at("where").setCustomValidity(""));
}

/** Places where the reference is likely wrong; image, reference and map are shown side by side. */
export function doubtfulPlaces(view, chosen) {
  const places = view.doubtful ?? [];
  at("doubtful").hidden = !places.length;
  for (const place of places) {
    const swatches = [place.reference_class, place.suggested_class].map((name) => {
      const swatch = make("span", { className: "swatch" });
      const entry = view.legend.find((known) => known.name === name);
      if (entry) swatch.style.background = `rgb(${rgb(entry.color).join(" ")})`;
      return [swatch, name];
    });
    const go = make("button", { type: "button" }, ...swatches[0], " → ", ...swatches[1], `, ${hectares(place.area_ha)}`);
    go.addEventListener("click", () => chosen([place.lon, place.lat]));
    at("doubtful-list").append(make("li", {}, go));
  }
}
