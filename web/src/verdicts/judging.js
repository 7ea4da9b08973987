// Places judged one after the other: shown, named by a key, saved at once, and only then the next one.

import { COMMANDS, keysOf } from "./keys.js";
import { Panel } from "./panel.js";
import { Refused, Sender, unique } from "./sender.js";

const KNOWN = "landweave-interpreter";
const DEEPER = 2;
const narrow = () => matchMedia("(max-width: 720px)").matches;
const stored = () => {
  try {
    return localStorage.getItem(KNOWN) ?? "";
  } catch {
    return ""; // a browser may forbid it
  }
};

export class Judging {
  constructor(view, state, { maps, controls, pick, update }) {
    Object.assign(this, { view, state, maps, controls, pick, update });
    this.keys = keysOf(view.legend);
    this.byKey = new Map([...this.keys].filter(([, key]) => key).map(([name, key]) => [key, name]));
    this.at = 0;
    this.places = [];
    this.mine = new Map();
    this.#clear();
    document.body.classList.add("judging");
    controls.fold(true);
    this.panel = new Panel(view, this.keys, {
      named: (name) => this.#start(name),
      classed: (name) => this.#classed(name),
      command: (command) => this.#command(command),
      step: (by) => this.#step(by),
      noted: () => this.#noted(),
      differing: () => this.#again(this.differ),
    });
    this.sender = new Sender((text) => this.panel.warn(text));
    this.panel.ask(stored());
    // Before the page's own keys, which would change the view.
    addEventListener("keydown", (event) => this.#key(event), { capture: true });
  }

  async #start(name) {
    if (this.sender.busy) return;
    try {
      const told = await this.sender.post("verdicts/queue", { interpreter: name });
      try {
        localStorage.setItem(KNOWN, name);
      } catch {
        // Then the name is asked for again.
      }
      this.interpreter = name.split(/\s+/).join(" ");
      this.places = told.places;
      this.panel.open(this.interpreter);
      this.state.mode = "panels";
      this.#take(told);
      this.#go(this.#next(-1) ?? 0);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.panel.warn(`This name cannot be used: ${error.message}.`);
    }
  }

  /** Own verdicts and progress, as the server has them. */
  #take(told) {
    if (told.mine) this.mine = new Map(Object.entries(told.mine));
    this.differ = told.progress.differ;
    this.panel.progress(told.progress);
  }

  #clear() {
    this.asked = false;
    this.alternate = null;
  }

  get place() {
    return this.places[this.at];
  }

  /** The first place without a verdict after one, from the start again where need be; null where all have one. */
  #next(after) {
    const n = this.places.length;
    for (let step = 1; step <= n; step += 1) {
      const at = (after + step + n) % n;
      if (!this.mine.has(this.places[at].id)) return at;
    }
    return null;
  }

  async #go(at) {
    this.at = at;
    this.#clear();
    const { place } = this;
    const own = this.mine.get(place.id);
    this.panel.note.value = own?.note ?? "";
    this.#show();
    this.update();
    this.#dated();
    const center = [place.lon, place.lat];
    const deepest = this.view.natural_zoom + DEEPER;
    if (narrow()) this.pick(null, center);
    else this.pick(center);
    this.maps.outline(null);
    this.maps.go(center, deepest);
    await this.#outlined(place, deepest);
  }

  /** Draw a place's outline, as long as it is the one that is shown. */
  async #outlined(place, deepest) {
    const answer = await fetch(`verdicts/outline/${place.id}`).catch(() => null);
    const shape = answer?.ok ? await answer.json().catch(() => null) : null;
    if (this.place !== place) return;
    if (shape) this.maps.outline(shape, deepest);
    else if (!answer || answer.status >= 500) setTimeout(() => this.place === place && this.#outlined(place, deepest), 1500);
  }

  #show() {
    this.panel.show(this.place, this.at + 1, this.places.length, this.mine.get(this.place.id), this);
  }

  #dated() {
    const title = this.view.layers.find((layer) => layer.id === this.state.image)?.title ?? "";
    this.panel.date.textContent = `${title} ${this.state.date ?? ""}`;
  }

  #step(by) {
    this.controls.step(by);
    this.#dated();
  }

  #classed(name) {
    if (this.sender.busy) return;
    if (this.asked) {
      Object.assign(this, { asked: false, alternate: name });
      this.panel.say(`It may also be ${name}; now name the class.`);
      return this.#show();
    }
    if (this.alternate === name) return this.panel.say("The alternate must be another class.");
    return this.#judge({ name, alternate: this.alternate, unsure: false });
  }

  /** Save a verdict; the next place comes when the server has it. */
  async #judge({ name, alternate, unsure }, { stay = false } = {}) {
    const { place, at } = this;
    const verdict = { uid: unique(), name, alternate, unsure, note: this.panel.note.value.trim() };
    this.panel.say("Saving …");
    try {
      const told = await this.sender.post("verdicts", { ...verdict, place: place.id, interpreter: this.interpreter });
      // The newest is the last one, which is taken back first.
      this.mine.delete(place.id);
      this.mine.set(place.id, verdict);
      this.#take(told);
      const words = name === null ? "unsure" : `${name}${alternate ? ` or ${alternate}` : ""}`;
      const more = this.#following(at);
      this.panel.say(`Saved place ${at + 1}: ${words}.${more === null ? " All places are judged." : ""}`);
      if (stay || more === null) this.#show();
      else this.#go(more);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.panel.say("");
      this.panel.warn(`Not saved: ${error.message}`);
    }
  }

  /** Where to go after a verdict: through those to be looked at again, else to what has no verdict yet. */
  #following(at) {
    const again = this.review?.shift();
    const found = again === undefined ? -1 : this.places.findIndex((place) => place.id === again);
    return found >= 0 ? found : this.#next(at);
  }

  #again(ids) {
    this.review = [...ids];
    const first = this.#following(this.at);
    if (first !== null) this.#go(first);
  }

  /** A note on a place that has its verdict is saved with that verdict again. */
  #noted() {
    const own = this.mine.get(this.place.id);
    if (own && own.note !== this.panel.note.value.trim() && !this.sender.busy) this.#judge(own, { stay: true });
  }

  async #undo() {
    const [id, last] = [...this.mine].at(-1) ?? [];
    if (!last) return this.panel.say("There is no verdict of yours to take back.");
    this.panel.say("Taking back …");
    try {
      this.#take(await this.sender.post("verdicts/undo", { interpreter: this.interpreter, uid: last.uid }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return this.panel.warn(`Not taken back: ${error.message}`);
    }
    const at = this.places.findIndex((place) => place.id === id);
    if (at >= 0) await this.#go(at);
    return this.panel.say(`Taken back: place ${at + 1}.`);
  }

  #command(command) {
    if (command === "year") return this.pick(this.state.pixel ? null : [this.place.lon, this.place.lat]);
    if (command === "note") return this.panel.note.focus();
    if (command === "image") return this.#image();
    if (this.sender.busy) return undefined;
    if (command === "unsure") return this.#judge({ name: null, alternate: null, unsure: true });
    if (command === "undo") return this.#undo();
    if (command === "alternate") {
      this.asked = !this.asked;
      this.panel.say(this.asked ? "Name the alternate." : "");
      return this.#show();
    }
    const n = this.places.length;
    if (command === "back") return this.#go((this.at - 1 + n) % n);
    return this.#go(this.#next(this.at) ?? (this.at + 1) % n);
  }

  #image() {
    const dated = this.view.layers.filter((layer) => layer.dated).map((layer) => layer.id);
    this.state.image = dated[(dated.indexOf(this.state.image) + 1) % dated.length];
    this.update();
    this.#dated();
  }

  #key(event) {
    if (!this.interpreter || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !/^(checkbox|radio|range)$/.test(event.target.type)) return;
    const name = this.byKey.get(event.key);
    const command = COMMANDS[event.key];
    if (name === undefined && !command) {
      if (event.key === "," || event.key === ".") setTimeout(() => this.#dated());
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (name !== undefined) this.#classed(name);
    else this.#command(command);
  }
}
