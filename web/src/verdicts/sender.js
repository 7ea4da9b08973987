// Sends to the server until it answers: what is not answered is not saved.

const AGAIN = 1000;
const PATIENCE = 15000;

/** An answer that will not change by asking again. */
export class Refused extends Error {}

export class Sender {
  /** `waiting` is called with a sentence while there is no answer, and with "" when there is one. */
  constructor(waiting) {
    this.waiting = waiting;
    this.busy = false;
    // Leaving now would lose what nobody was told to be saved.
    addEventListener("beforeunload", (event) => {
      if (this.busy) event.preventDefault();
    });
  }

  /** The answer to what is posted; sent again and again, so it must carry a name by which it counts once. */
  async post(path, content) {
    this.busy = true;
    try {
      for (;;) {
        const told = await this.#try(path, JSON.stringify(content));
        if (told) {
          this.waiting("");
          return told;
        }
        await new Promise((done) => setTimeout(done, AGAIN));
      }
    } finally {
      this.busy = false;
    }
  }

  async #try(path, body) {
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: AbortSignal.timeout(PATIENCE) });
    } catch {
      this.waiting("Not saved yet: the server does not answer. The page tries again by itself.");
      return null;
    }
    const told = await answer.json().catch(() => null);
    if (answer.ok && told) return told;
    const why = typeof told?.detail === "string" ? told.detail : `the server answers ${answer.status}`;
    if (answer.status !== 503 && answer.ok === false) {
      this.waiting("");
      throw new Refused(why);
    }
    this.waiting(`Not saved yet: ${why} The page tries again by itself.`);
    return null;
  }
}

/** A name that no other verdict has. */
export function unique() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
}
