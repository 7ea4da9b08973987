// What the interpreter sees: the place, a button a class, and how far the work is.

import { rgb } from "../map/palette.js";
import { hectares, make, percent } from "../words.js";
import { COMMANDS } from "./keys.js";

const WORDS = { unsure: "Unsure", alternate: "Alternate", note: "Note", undo: "Undo", skip: "Skip", back: "Back", year: "Year", image: "Image" };
const LONG = {
  unsure: "Unsure: name no class", alternate: "Alternate: the next class is a second one that it may be", note: "Write a note", undo: "Take the last verdict back",
  skip: "Skip this place for now", back: "Back to the place before", year: "The year of this pixel", image: "Next kind of image",
};

const swatchOf = (view, name) => {
  const swatch = make("span", { className: "swatch", ariaHidden: "true" });
  const entry = view.legend.find((known) => known.name === name);
  if (entry) swatch.style.background = `rgb(${rgb(entry.color).join(" ")})`;
  return swatch;
};

export class Panel {
  constructor(view, keys, { named, classed, command, step, noted, differing }) {
    this.view = view;
    this.keys = keys;
    this.acts = { named, classed, command, step, noted, differing };
    this.room = document.getElementById("judging");
    this.room.hidden = false;
  }

  /** Ask for the interpreter's name. */
  ask(before) {
    const { title, blind } = this.view.verdicts;
    const field = make("input", { id: "interpreter", value: before, required: true, maxLength: 100, autocomplete: "name" });
    const form = make("form", { id: "introduce" },
      make("h1", {}, title),
      make("p", {}, "Verdicts are saved one by one, under your name. What others say of a place is not shown."),
      blind ? make("p", {}, "Map and register are hidden: the labels must not depend on them.") : null,
      make("label", { htmlFor: "interpreter" }, "Interpreter"),
      make("div", { className: "row" }, field, make("button", { type: "submit" }, "Start")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value.trim()) this.acts.named(field.value.trim());
    });
    this.alert = make("p", { className: "judging-alert", role: "alert", hidden: true });
    this.room.replaceChildren(form, this.alert);
    field.focus();
  }

  /** Make the parts that stay. */
  open(interpreter) {
    const button = (command, key) => make("button", { type: "button", id: `judging-${command}`, title: LONG[command], ariaKeyShortcuts: key, on: { click: () => this.acts.command(command) } }, make("kbd", {}, key), WORDS[command]);
    this.heading = make("h1", {});
    this.facts = make("p", { id: "judging-facts" });
    this.bar = make("progress", { ariaLabel: "Judged places" });
    this.count = make("p", { className: "soft", id: "judging-count" });
    this.classes = make("div", { id: "judging-classes", role: "group", ariaLabel: "Classes" });
    this.date = make("output", { id: "judging-date" });
    this.note = make("input", { id: "note", maxLength: 2000, autocomplete: "off", placeholder: "goes along with the verdict" });
    this.note.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.note.blur();
      this.acts.noted();
    });
    this.said = make("p", { id: "judging-said", role: "status" });
    this.alert = make("p", { className: "judging-alert", role: "alert", hidden: true });
    this.others = make("div", { id: "judging-others" });
    const commands = Object.fromEntries(Object.entries(COMMANDS).map(([key, command]) => [command, button(command, key)]));
    this.commands = commands;
    const step = (by, sign, word) => make("button", { type: "button", ariaLabel: word, on: { click: () => this.acts.step(by) } }, sign);
    this.room.replaceChildren(
      make("header", { id: "judging-head" }, this.heading, this.count, this.bar),
      this.facts,
      this.classes,
      make("div", { className: "judging-commands" }, commands.unsure, commands.alternate, commands.undo, commands.back, commands.skip),
      this.alert, this.said,
      make("div", { className: "row judging-date" }, step(-1, "‹", "Image before"), this.date, step(1, "›", "Image after")),
      make("div", { className: "judging-commands" }, commands.image, commands.year),
      make("div", { className: "row" }, make("label", { htmlFor: "note" }, "Note"), this.note, commands.note),
      this.others,
      make("p", { className: "soft" }, `Interpreter: ${interpreter}. Keys , and . change the date.`));
    for (const entry of this.view.legend) {
      const key = this.keys.get(entry.name);
      const choose = make("button", { type: "button", ariaPressed: "false", ariaKeyShortcuts: key, on: { click: () => this.acts.classed(entry.name) } }, make("kbd", {}, key || "–"), swatchOf(this.view, entry.name), make("span", { className: "grow" }, entry.name));
      choose.dataset.name = entry.name;
      this.classes.append(choose);
    }
  }

  /** Show a place and what was said of it. */
  show(place, number, of, own, { alternate = null, asked = false } = {}) {
    this.heading.textContent = `Place ${number} of ${of}`;
    const facts = [];
    const shown = (name) => make("span", { className: "judging-class" }, swatchOf(this.view, name), name);
    if (place.reference_class) facts.push("Register: ", shown(place.reference_class));
    if (place.suggested_class) facts.push("; looks like ", shown(place.suggested_class));
    if (place.area_ha) facts.push(`, ${hectares(place.area_ha)}`);
    this.facts.replaceChildren(...facts);
    this.facts.hidden = !facts.length;
    for (const choose of this.classes.children) {
      choose.ariaPressed = String(own?.name === choose.dataset.name);
      choose.classList.toggle("second", (alternate ?? own?.alternate) === choose.dataset.name);
    }
    this.commands.unsure.ariaPressed = String(Boolean(own?.unsure));
    this.commands.alternate.ariaPressed = String(asked);
    this.classes.classList.toggle("asked", asked);
  }

  /** How far the work is, and how often others say the same. */
  progress(told) {
    this.bar.max = Math.max(told.of, 1);
    this.bar.value = told.judged;
    this.count.textContent = `${told.judged} of ${told.of} judged${told.unsure ? `, ${told.unsure} unsure` : ""}`;
    const lines = told.others.map((other) => {
      const same = other.named ? `of ${other.named} places that both name a class for, ${percent(other.agree / other.named)} the same` : "agreement shows after ten shared places";
      return make("li", {}, `${other.interpreter}: ${other.judged} judged; ${same}`);
    });
    const parts = lines.length ? [make("h2", {}, "Other interpreters"), make("ul", {}, ...lines)] : [];
    if (told.differ.length) parts.push(make("button", { type: "button", id: "judging-differ", on: { click: this.acts.differing } }, `Look again at ${told.differ.length} that differ`));
    this.others.replaceChildren(...parts);
  }

  say(text) {
    this.said.textContent = text;
  }

  warn(text) {
    this.alert.textContent = text;
    this.alert.hidden = !text;
  }
}
