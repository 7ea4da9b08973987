// PMTiles archives: parts of a file where the web server sends parts, else the whole file once if it is small enough.

const MOST = 64_000_000;

export class Unsent extends Error {}

/** Where PMTiles reads an archive from. */
export class PartOrWhole {
  constructor(address) {
    this.address = address;
    this.whole = null;
  }

  getKey() {
    return this.address;
  }

  async getBytes(offset, length, signal) {
    if (!this.whole) {
      const answer = await fetch(this.address, { headers: { range: `bytes=${offset}-${offset + length - 1}` }, signal });
      if (answer.status === 206) return { data: await answer.arrayBuffer(), etag: answer.headers.get("ETag") ?? undefined };
      await answer.body?.cancel();
      const size = Number(answer.headers.get("Content-Length") ?? NaN);
      if (!answer.ok || !(size <= MOST)) throw new Unsent(`no Byte Serving: ${this.address}: ${answer.status}, ${size} bytes`);
      // Not bound to one tile's signal: all other tiles need it too.
      this.whole ??= fetch(this.address).then((all) => all.arrayBuffer());
      this.whole.catch(() => {
        this.whole = null;
      });
    }
    return { data: (await this.whole).slice(offset, offset + length) };
  }
}
