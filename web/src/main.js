import "ol/ol.css";
import "uplot/dist/uPlot.min.css";
import "./app.css";
import "./verdicts/judging.css";

import { Alive } from "./alive.js";
import { Loading } from "./map/loading.js";
import { Controls } from "./panel/controls.js";
import { Dossier } from "./panel/dossier.js";
import { Hover } from "./map/hover.js";
import { Maps } from "./map/maps.js";
import { Within } from "./panel/within.js";
import { read, write } from "./state.js";
import { Sources } from "./map/tiles.js";
import { Judging } from "./verdicts/judging.js";

const CHANGED = "The run has changed since this page was opened: reload it.";
const at = (id) => document.getElementById(id);

function say(text) {
  at("status").textContent = text;
  at("status").hidden = !text;
}
at("status").addEventListener("click", () => say(""));

async function start() {
  at("shell").remove();
  const answer = await fetch("view.json");
  if (answer.status === 409) return say((await answer.json()).detail);
  if (!answer.ok) throw new Error(`view.json: ${answer.status}`);
  const view = await answer.json();
  const state = read(location.hash, view);
  const alive = new Alive(view, { changed: () => say(CHANGED), back: () => sources.retry() });
  const sources = new Sources(view, state, { report: say, lost: () => alive.lost(), loading: new Loading(at("loading")) });
  let timer = 0;
  let hover = null;
  const remember = () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", write(state)), 150);
  };
  const dossier = new Dossier(view, sources, state, { closed: () => pick(null) });
  // A pixel that is asked for, or else a place that is only marked.
  const pick = (pixel, mark = null) => {
    state.pixel = pixel;
    state.mark = mark;
    maps.mark(pixel ?? mark);
    if (pixel) {
      dossier.open(pixel).then(() => state.pixel === pixel && maps.reveal(pixel));
    } else dossier.close();
    remember();
  };
  const maps = new Maps(view, state, sources, {
    moved: (place) => {
      Object.assign(state, place);
      hover?.middle();
      hint();
      remember();
    },
    clicked: pick,
    swiped: remember,
  });
  hover = new Hover(view, state, sources, maps);
  const hint = () => {
    const zoom = maps.view.getZoom() ?? 0;
    const shown = maps.ids().map((id) => view.layers.find((layer) => layer.id === id));
    const far = shown.filter((layer) => zoom < layer.min_zoom - 0.5).map((layer) => layer.title);
    at("hint").textContent = far.length ? `Zoom in to see ${far.join(" and ")}.` : "";
    at("hint").hidden = !far.length;
  };
  const update = () => {
    maps.update();
    controls.update(maps.ids());
    hint();
    remember();
  };
  const controls = new Controls(view, state, {
    changed: update,
    toggled: () => {
      sources.repaint();
      maps.repaint();
      update();
    },
    went: (center, { marked = false } = {}) => {
      if (marked) pick(null, center);
      maps.go(center, Math.max(maps.view.getZoom(), view.natural_zoom));
    },
    whole: () => maps.fit(),
  });
  for (const marks of [maps.points, maps.samples]) marks.told = (count) => controls.legend.count(marks.kind, count);
  const within = new Within(view, maps, (closed) => controls.fold(closed));
  const place = () => {
    if (state.center) maps.go(state.center, state.zoom);
    else maps.fit();
  };
  maps.update();
  place();
  update();
  if (state.pixel || state.mark) pick(state.pixel, state.mark);
  if (view.verdicts) new Judging(view, state, { maps, controls, pick, update });
  keys(state, view, { update, controls, maps, pick });
  addEventListener("hashchange", () => {
    Object.assign(state, read(location.hash, view));
    sources.repaint();
    maps.update(); // its panes' size decides what fits
    place();
    update();
    pick(state.pixel, state.mark);
  });
  const grid = await fetch("patches.json");
  if (!grid.ok) return;
  const patches = await grid.json();
  maps.showGrid(patches);
  within.name(patches.features.map((feature) => feature.properties.name));
}

function keys(state, view, { update, controls, maps, pick }) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !/^(checkbox|radio|range)$/.test(event.target.type);
    if (event.key === "Escape") {
      if (maps.beside.drawing) maps.beside.giveUp();
      else if (inField) event.target.blur();
      else if (state.pixel || state.mark) pick(null);
      else if (matchMedia("(max-width: 720px)").matches) controls.fold(true);
      return;
    }
    if (inField) return;
    const mode = { 1: "one", 2: "swipe", 3: "panels" }[event.key];
    const opacity = { "[": -0.1, "]": 0.1 }[event.key];
    if (mode) state.mode = mode;
    else if (opacity) state.opacity = Math.min(Math.max(Math.round(10 * (state.opacity + opacity)) / 10, 0), 1);
    else if (event.key === "g") state.grid = !state.grid;
    else if (event.key === "t" && view.samples) state.samples = !state.samples;
    else if (event.key === "," || event.key === ".") {
      controls.step(event.key === "." ? 1 : -1);
      return;
    } else if (event.key === "0") {
      maps.fit();
      return;
    } else if (event.key === "l") {
      controls.fold();
      return;
    } else if (event.key === "/") {
      event.preventDefault();
      controls.fold(false);
      at("where").focus();
      return;
    } else if (event.key === "Enter" && event.target.classList?.contains("map")) {
      pick(maps.place().center);
      return;
    } else return;
    update();
  });
}

start().catch((error) => {
  console.error(error);
  say("The view could not be opened: its description (view.json) could not be loaded. Is the server running, and is the published folder complete?");
});
