// Bundles the page into the package: src/landweave/viewer/page. Run `npm ci && npm run build` after any change here.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const target = new URL("../src/landweave/viewer/page/", import.meta.url);
const source = new URL("src/", import.meta.url);

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
const result = await build({
  entryPoints: { app: "src/main.js" },
  outdir: target.pathname,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
await writeFile(new URL("index.html", target), await readFile(new URL("index.html", source)));

// Their licences ask that their text goes along.
const packages = new Set();
for (const path of Object.keys(result.metafile.inputs)) {
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
  if (found) packages.add(found[1]);
}
const licences = [];
for (const name of [...packages].sort()) {
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  const { version, license } = JSON.parse(await readFile(new URL("package.json", folder), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? await readFile(new URL(file, folder), "utf8") : "";
  licences.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
}
await writeFile(new URL("licences.txt", target), licences.join(`\n${"-".repeat(80)}\n\n`));

// A test compares this with the sources, so that a stale build is noticed where there is no node.
const found = await readdir(source, { recursive: true, withFileTypes: true });
const names = found.filter((entry) => entry.isFile()).map((entry) => relative(fileURLToPath(source), join(entry.parentPath ?? entry.path, entry.name))).sort();
const hash = createHash("sha256");
for (const name of [...names.map((entry) => `src/${entry}`), "build.mjs", "package-lock.json"]) {
  hash.update(name).update("\0").update(await readFile(new URL(name, import.meta.url))).update("\0");
}
await writeFile(new URL("built-from.txt", target), `${hash.digest("hex")}\n`);
