// How patches, places, points and pixels are drawn.

import { Circle, Fill, RegularShape, Stroke, Style, Text } from "ol/style.js";

export const ROLES = { train: "#ffffff", test: "#ff9a1f", mixed: "#ffd79a", none: "#9aa0a6", failed: "#e00034" };

export function gridStyle(feature) {
  const failed = String(feature.get("state") ?? "").startsWith("failed");
  const role = failed ? "failed" : feature.get("role");
  return [
    new Style({ stroke: new Stroke({ color: "rgba(0,0,0,.55)", width: 4 }) }),
    new Style({
      stroke: new Stroke({ color: ROLES[role] ?? ROLES.none, width: role === "train" ? 1.2 : 2.4 }),
      fill: failed ? new Fill({ color: "rgba(224,0,52,.35)" }) : undefined,
      zIndex: role === "train" ? 0 : 1,
    }),
  ];
}

export function placeStyle(feature) {
  return new Style({
    image: new Circle({ radius: 5, fill: new Fill({ color: "#ffffff" }), stroke: new Stroke({ color: "#14171a", width: 2 }) }),
    text: new Text({
      text: feature.get("name"), font: "600 13px system-ui, sans-serif", offsetY: -15,
      fill: new Fill({ color: "#14171a" }), stroke: new Stroke({ color: "#ffffff", width: 4 }),
    }),
  });
}

export const pixelStyle = [
  new Style({ image: new RegularShape({ points: 4, radius: 12, angle: Math.PI / 4, stroke: new Stroke({ color: "#000000", width: 4 }) }) }),
  new Style({ image: new RegularShape({ points: 4, radius: 12, angle: Math.PI / 4, stroke: new Stroke({ color: "#ffffff", width: 2 }) }) }),
];

/** The outline of a place that is judged: seen on any image. */
export const outlineStyle = [
  new Style({ stroke: new Stroke({ color: "#14171a", width: 5 }) }),
  new Style({ stroke: new Stroke({ color: "#ffe14d", width: 2 }) }),
];

/** Styles of markers by class colour, role and size, made once each: round ones taught, square ones were held out. */
export function markStyles() {
  const made = new Map();
  return (color, role, small) => {
    const key = `${color} ${role} ${small}`;
    if (!made.has(key)) {
      const fill = new Fill({ color });
      const shape = (width, ink) => {
        const stroke = new Stroke({ color: ink, width: small ? width / 2 : width });
        const radius = small ? 2.5 : 5;
        return role === "test" ? new RegularShape({ points: 4, radius: 1.4 * radius, angle: Math.PI / 4, fill, stroke }) : new Circle({ radius, fill, stroke });
      };
      made.set(key, [new Style({ image: shape(4, "#14171a") }), new Style({ image: shape(1.5, ROLES[role] ?? "#ffffff") })]);
    }
    return made.get(key);
  };
}

const HALO = new Style({ stroke: new Stroke({ color: "rgba(0,0,0,.6)", width: 5 }) });

/** Outlines of districts, with their names, or of the area. */
export function districtStyle(named) {
  const line = new Style({ stroke: new Stroke({ color: named ? "#ffe14d" : "#ffffff", width: 2, lineDash: named ? undefined : [8, 5] }) });
  return (feature) => {
    if (!named) return [HALO, line];
    const text = new Text({ text: feature.get("name"), font: "600 13px system-ui, sans-serif", overflow: true, fill: new Fill({ color: "#14171a" }), stroke: new Stroke({ color: "#ffffff", width: 4 }) });
    return [HALO, line, new Style({ text })];
  };
}

export const overlayStyle = [
  new Style({ stroke: new Stroke({ color: "rgba(255,255,255,.8)", width: 4 }), image: new Circle({ radius: 5, fill: new Fill({ color: "#ffffff" }) }) }),
  new Style({ stroke: new Stroke({ color: "#a100a1", width: 2 }), image: new Circle({ radius: 3.5, fill: new Fill({ color: "#a100a1" }) }) }),
];

export const shapeStyle = [
  new Style({ stroke: new Stroke({ color: "#000000", width: 5 }), fill: new Fill({ color: "rgba(255,255,255,.12)" }) }),
  new Style({ stroke: new Stroke({ color: "#00e5ff", width: 2.5 }) }),
];
