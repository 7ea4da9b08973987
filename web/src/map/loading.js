// A bar while tiles load.

const DELAY = 120;

export class Loading {
  constructor(bar) {
    this.bar = bar;
    this.begun = 0;
    this.ended = 0;
    this.timer = 0;
  }

  /** Count work until it ends, well or not. */
  async during(work) {
    this.begun += 1;
    this.#show();
    try {
      return await work;
    } finally {
      this.ended += 1;
      this.#show();
    }
  }

  #show() {
    if (this.ended >= this.begun) {
      [this.begun, this.ended] = [0, 0];
      clearTimeout(this.timer);
      this.timer = 0;
      this.bar.hidden = true;
      return;
    }
    const share = Math.round((100 * this.ended) / this.begun);
    this.bar.setAttribute("aria-valuenow", String(share));
    this.bar.firstElementChild.style.width = `${Math.max(share, 4)}%`;
    // What is there at once needs no bar.
    this.timer ||= setTimeout(() => {
      this.bar.hidden = false;
    }, DELAY);
  }
}
