// Whether the server still answers: asked now and then, and again and again once something was not answered.

const EVERY = 4000;
const AGAIN = 1500;
const PATIENCE = 10000;

export class Alive {
  /** `changed` is called when the run is another than the page's; `back` when the server answers again. */
  constructor(view, { changed, back }) {
    Object.assign(this, { view, changed, back });
    this.banner = document.getElementById("lost");
    this.away = false;
    this.timer = 0;
    if (view.mode === "server") this.#later(EVERY);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && (this.away || view.mode === "server")) this.#later(0);
    });
  }

  /** Something was not answered. */
  lost() {
    if (this.away) return;
    this.away = true;
    this.banner.textContent = this.view.mode === "server"
      ? "The server does not answer. Is `landweave view` still running? This page tries again by itself."
      : "The web server does not answer. This page tries again by itself.";
    this.banner.hidden = false;
    this.#later(AGAIN);
  }

  #later(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    if (document.hidden && !this.away) return;
    const server = this.view.mode === "server";
    try {
      const answer = await fetch(server ? "alive" : "view.json", { method: server ? "GET" : "HEAD", cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (server && answer.ok && (await answer.json()).version !== this.view.version) this.changed();
      if (this.away) {
        this.away = false;
        this.banner.hidden = true;
        this.back();
      }
    } catch {
      this.lost();
    }
    if (server || this.away) this.#later(this.away ? AGAIN : EVERY);
  }
}
