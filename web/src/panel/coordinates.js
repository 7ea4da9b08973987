// Coordinates as people write them, and in the CRS of the map.

import { fromLonLat, toLonLat } from "ol/proj.js";

/** Chebyshev polynomials in two coordinates, as the server fitted them. */
function polynomial({ box: [left, bottom, right, top], x, y }, [a, b]) {
  const terms = (count, at) => {
    const found = [1, at];
    while (found.length < count) found.push(2 * at * found.at(-1) - found.at(-2));
    return found;
  };
  const [u, v] = [(2 * a - left - right) / (right - left), (2 * b - bottom - top) / (top - bottom)];
  const [tu, tv] = [terms(x.length, u), terms(x.length, v)];
  return [x, y].map((rows) => rows.reduce((sum, row, i) => sum + tu[i] * row.reduce((inner, value, j) => inner + value * tv[j], 0), 0));
}

/** Web Mercator to the CRS of the map. */
export const toMapCrs = (crs, place) => polynomial(crs.to, place);

/** Longitude and latitude of coordinates in the CRS of the map; null where they are far from it. */
function fromMapCrs(crs, [x, y]) {
  const [left, bottom, right, top] = crs.back.box;
  const [wide, high] = [right - left, top - bottom];
  const near = x >= left - wide / 4 && x <= right + wide / 4 && y >= bottom - high / 4 && y <= top + high / 4;
  return near ? toLonLat(polynomial(crs.back, [x, y])) : null;
}

/** A place (longitude, latitude) in words. */
export function written([lon, lat], crs) {
  const part = (value, positive, negative) => `${Math.abs(value).toFixed(5)}° ${value < 0 ? negative : positive}`;
  const degrees = `${part(lat, "N", "S")}, ${part(lon, "E", "W")}`;
  if (!crs) return degrees;
  const [x, y] = toMapCrs(crs, fromLonLat([lon, lat]));
  return `${degrees} · ${crs.name} ${x.toFixed(0)}, ${y.toFixed(0)}`;
}

const NUMBER = String.raw`[-+]?\d+(?:\.\d+)?`;
const HOW = "Give longitude and latitude, such as 14.5 46.2, 46.2 N 14.5 E, 46°12'N 14°30'E";

/**
 * Where a text points.
 *
 * Latitude and longitude come in any order: letters decide, else which of the two orders lies within the project; where
 * both do, longitude comes first.
 *
 * @returns {{center: number[]}|{error: string}}
 */
export function readPlace(text, view) {
  const crs = view.crs;
  let plain = text.trim().replace(/[−–]/g, "-").replace(/[º˚]/g, "°").replace(/[′’‘]|\u00b4/g, "'").replace(/[″”“]|''/g, '"').replace(/\s+/g, " ");
  const named = /\bEPSG:(\d+)\b[\s:;,]*/i.exec(plain);
  plain = plain.replace(named?.[0] ?? "", "");
  const known = crs ? ["EPSG:4326", crs.name] : ["EPSG:4326"];
  if (named && !known.includes(`EPSG:${named[1]}`)) return { error: `EPSG:${named[1]} is not known here; give ${known.join(" or ")}.` };
  const candidates = fromLink(plain) ?? fromLetters(plain, crs) ?? fromNumbers(plain, crs);
  if (!candidates?.length) return { error: `${HOW}${crs ? `, or metres in ${crs.name}` : ""}, or one of the places.` };
  const [west, south, east, north] = view.bounds;
  const inside = candidates.find(([lon, lat]) => lon >= west && lon <= east && lat >= south && lat <= north);
  return inside ? { center: inside } : { error: `This lies outside the project: ${written(candidates[0], null)}.` };
}

/** Links of common maps, and geo: addresses, which have latitude first. */
function fromLink(text) {
  const found = new RegExp(`(?:@|geo:|[?&]q=)(${NUMBER}),(${NUMBER})`).exec(text) ?? new RegExp(`map=\\d+(?:\\.\\d+)?/(${NUMBER})/(${NUMBER})`).exec(text);
  if (found) return sound([[Number(found[2]), Number(found[1])]]);
  const point = new RegExp(`^POINT ?\\(\\s*(${NUMBER}) (${NUMBER})\\s*\\)$`, "i").exec(text);
  return point ? sound([[Number(point[1]), Number(point[2])]]) : null;
}

/** With N, S, E, W, or the words latitude and longitude. */
function fromLetters(text, crs) {
  const short = text
    .replace(/\b(?:latitude|lat)\b ?[:=]?/gi, " N ").replace(/\b(?:longitude|long|lon|lng)\b ?[:=]?/gi, " E ")
    .replace(/\b(?:northing|y)\b ?[:=]?/gi, " N ").replace(/\b(?:easting|x)\b ?[:=]?/gi, " E ").trim().toUpperCase();
  if (!/[NSEW]/.test(short) || /[^NSEW\d\s.,;:°'"+-]/.test(short)) return null;
  const before = /^[NSEW]/.test(short);
  const groups = [...short.matchAll(before ? /([NSEW])([^NSEW]+)/g : /([^NSEW]+)([NSEW])/g)].map((group) => (before ? [group[1], group[2]] : [group[2], group[1]]));
  if (groups.length !== 2) return [];
  const place = {};
  for (const [letter, digits] of groups) {
    const value = angle(digits);
    if (value === null) return [];
    place[/[NS]/.test(letter) ? "lat" : "lon"] = /[SW]/.test(letter) ? -value : value;
  }
  if (place.lat === undefined || place.lon === undefined) return [];
  const metres = Math.abs(place.lon) > 180 || Math.abs(place.lat) > 90;
  return metres ? ofMap(crs, [[place.lon, place.lat]]) : sound([[place.lon, place.lat]]);
}

/** Degrees, or degrees and minutes, or all three; null for what is none. */
function angle(text) {
  const comma = text.trim().replace(/^[,;]|[,;]$/g, "").replace(/^(\s*[-+]?\d+),(\d+)/, "$1.$2");
  const parts = (comma.match(new RegExp(NUMBER, "g")) ?? []).map(Number);
  if (!parts.length || parts.length > 3 || parts.slice(1).some((part) => part < 0 || part >= 60)) return null;
  const [degrees, minutes = 0, seconds = 0] = parts;
  const size = Math.abs(degrees) + minutes / 60 + seconds / 3600;
  return /^\s*-/.test(comma) ? -size : size;
}

/** Without letters: degrees in either order, or metres of the map in either order. */
function fromNumbers(text, crs) {
  if (/[a-z]/i.test(text.replace(/\bm\b/gi, ""))) return [];
  let two;
  if (/[°'"]/.test(text)) two = (text.match(/[-+]?\d+(?:[.,]\d+)? ?°(?: ?\d+(?:[.,]\d+)? ?')?(?: ?\d+(?:[.,]\d+)? ?")?/g) ?? []).map(angle);
  else two = numbers(text);
  if (two.length !== 2 || two.some((value) => value === null)) return [];
  const orders = [two, [two[1], two[0]]];
  return two.some((value) => Math.abs(value) > 180) ? ofMap(crs, orders) : sound(orders);
}

/** Two numbers, with a decimal comma or commas between thousands too. */
function numbers(text) {
  const whole = /^[\d,. ]+$/.test(text) && /^\d{1,3}(?:,\d{3})+(?:\.\d+)?[ ;]+\d{1,3}(?:,\d{3})+(?:\.\d+)?$/.test(text);
  if (whole) return text.split(/[ ;]+/).map((part) => Number(part.replaceAll(",", "")));
  const comma = /^([-+]?\d+,\d+)(?: ?; ?|, ?| )([-+]?\d+,\d+)$/.exec(text.replace(/ ?m\b/gi, ""));
  if (comma) return comma.slice(1).map((part) => Number(part.replace(",", ".")));
  return (text.match(new RegExp(NUMBER, "g")) ?? []).map(Number);
}

const sound = (places) => places.filter(([lon, lat]) => Math.abs(lon) <= 180 && Math.abs(lat) <= 85);

const ofMap = (crs, places) => (crs ? places.map((place) => fromMapCrs(crs, place)).filter(Boolean) : []);
