// Which key says what while places are judged.

/** Keys of commands; none of them names a class. */
export const COMMANDS = { u: "unsure", a: "alternate", n: "note", z: "undo", s: "skip", b: "back", y: "year", i: "image" };

/** Keys that the page itself knows stay free: date, opacity, panel, place. */
const CLASSES = "123456789cdefhjkmopqrvwxACDEFHIJKMNOPQRSUVWXYZ";

/** A key for each class, in the order of the legend; classes beyond the keys have none, and are clicked. */
export function keysOf(legend) {
  return new Map(legend.map((entry, i) => [entry.name, CLASSES[i] ?? ""]));
}
