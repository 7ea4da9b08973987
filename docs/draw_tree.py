"""Draw the tree of ARCHITECTURE.md again: every file with the first sentence of its docstring.

python docs/draw_tree.py
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "landweave"
START, END = "<!-- tree: made by docs/draw_tree.py -->\n```\n", "```\n<!-- end of tree -->"

ROOMS = {
    "landweave": "from images and a reference to a validated map",
    "accuracy": "labels and probabilities in, figures out; it only measures",
    "accuracy/design_based": "estimates from a probability sample",
    "accuracy/spatial": "what neighbours, patches and borders do to the figures",
    "accuracy/trust": "where a map can be trusted: sets of classes, and likeness to the training land",
    "api": "functions for whoever holds a Dataset: load, mask, features, predict",
    "classifier": "fit on a table, predict on features, calibrate, save, load",
    "cli": "one command per verb",
    "cli/terminal": "how all commands speak and are asked",
    "engine": "work of any kind, and what is up to date; knows nothing of maps",
    "eolearn": "eo-learn's names over our functions; may be removed without trace",
    "features": "X: pixels to features, pure functions and their kernels",
    "features/series": "more than a line between observations: composites, metrics, smoothers, harmonics, seasons",
    "labels": "y: the reference on a grid, who trains and tests, which pixels",
    "labels/verdicts": "what interpreters say of places, kept and put into effect",
    "maps": "patches of classes to a map, its areas, what is beside it",
    "patch": "what a patch is, where it is, how it is kept",
    "patch/eopatch": "eo-learn's folders, read and written",
    "patch/raster": "raster files: opened, and what they say of themselves",
    "patch/vectors": "vector files and points, whatever their format and CRS",
    "patch/tables": "tables of any kind, read strictly: CSV and Parquet, numbers, dates, places",
    "report": "figures in, pages out",
    "report/drawing": "figures as pictures",
    "report/sections": "what each part of the report shows",
    "runs": "the only place that knows the rooms: settings, order, resuming, results",
    "runs/estimate": "`landweave estimate`: from a labelled sample to areas and accuracy",
    "runs/fetch": "stage `fetch`: a patch's imagery, its masks, what was seen",
    "runs/mapping": "stages `grid`, `predict`, `mosaic`",
    "runs/mapping/trust": "`[map] trust = true`: sets of classes, likeness to the training land, `trust.tif`",
    "runs/pipeline": "which stage runs, what is up to date, what a run reports",
    "runs/project": "the project file, and all that it names, opened",
    "runs/project/starter": "`landweave init`: a project file by what is found in the files that are given",
    "runs/publish": "a finished run as an open data set",
    "runs/report": "stage `report`",
    "runs/results": "a finished run, read back",
    "runs/sample": "stages `label` and `sample`",
    "runs/train": "stage `train`",
    "runs/validate": "stage `validate`",
    "sources": "where pixels come from: one protocol",
    "sources/patchwise": "imagery that comes in patches of its own",
    "sources/simulated": "a seeded country and its satellite",
    "sources/simulated/archive": "what `landweave simulate` writes",
    "sources/warping": "pixels of one grid on another",
    "sources/stac": "archives of scenes",
    "sources/files": "files opened, and of those on servers the blocks that are needed",
    "tree_models": "LightGBM's text, evaluated on arrays; knows no pixels",
    "viewer": "the browser view",
    "viewer/ground": "what the view shows beside tiles: points, outlines, overlays, areas within polygons",
    "viewer/verdicts": "verdicts that interpreters give in the view",
}
"""Folder to its one line."""

OTHER = {
    "report/templates": "the HTML of the pages: report.html.j2, comparison.html.j2, estimate.html.j2",
    "report/templates/sections": "the HTML of each part of the report",
    "cli/schemas": "JSON Schemas of what --json prints, one a command",
    "viewer/page": "the page of the browser view as built; never edit it, its source is web/src",
}
"""Folders without Python."""

PAGE = {
    "web/src/": "the page of `landweave view`, in JavaScript; built into viewer/page (CONTRIBUTING.md says how)",
    "  index.html": "The frame of the page: panel, maps, dossier",
    "  main.js": "Starts the page, and listens to keys and clicks",
    "  alive.js": "Whether the server still answers, and what is shown until it does",
    "  state.js": "The state of the page, kept in its address",
    "  words.js": "Elements, areas and shares as text",
    "  map/maps.js": "One map, two with a swipe, or three side by side",
    "  map/slots.js": "A layer's place on a map: old tiles stay until the new ones are there",
    "  map/tiles.js": "Tiles from the server, an archive or a folder",
    "  map/archive.js": "PMTiles archives in parts, or whole where the web server sends no parts",
    "  map/palette.js": "Which value has which colour",
    "  map/loading.js": "The bar while tiles load",
    "  map/marks.js": "Points of the reference, training and test pixels",
    "  map/beside.js": "Outlines, districts, overlays and the polygon of interest",
    "  map/styles.js": "How patches, places, points and polygons are drawn",
    "  map/hover.js": "What is under the pointer",
    "  panel/controls.js": "The panel: layers, date slider, switches",
    "  panel/legend.js": "Legends, with all, none and only this",
    "  panel/goto.js": "Places to go to",
    "  panel/coordinates.js": "Coordinates as people write them, and in the map's CRS",
    "  panel/within.js": "Areas within a polygon, and the map cut out by it",
    "  panel/dossier.js": "All that is known of a pixel: its observations, curve and classes",
}
"""Below the package: the source of the page."""

WIDTH = 125


def first_line(path: Path) -> str:
    """The first paragraph of a module's docstring, as plain text: its first sentence."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.?!])\s", paragraph)[0].rstrip(".")
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", sentence).replace("``", "`")


def line(depth: int, name: str, told: str) -> Iterator[str]:
    """A name and what it is, on as many lines as that takes."""
    start = f"{'  ' * depth}{name}"
    # A name that is too long for its column still has a space after it.
    start = f"{start:<28}" if len(start) < 28 else f"{start} "
    yield from textwrap.wrap(told, WIDTH, initial_indent=start, subsequent_indent=" " * 30, break_on_hyphens=False)


def tree(folder: Path = SOURCE, depth: int = 0) -> Iterator[str]:
    """Lines of the tree: files first, then folders."""
    inside = str(folder.relative_to(SOURCE)) if folder != SOURCE else "landweave"
    yield from line(depth, f"{folder.name}/", ROOMS[inside])
    for path in sorted(folder.glob("*.py")):
        if path.name not in {"__init__.py", "__main__.py", "_version.py"}:
            yield from line(depth + 1, path.name, first_line(path))
    for inner, told in OTHER.items():
        if (SOURCE / inner).parent == folder:
            yield from line(depth + 1, f"{Path(inner).name}/", told)
            yield from (
                text
                for below, of_it in OTHER.items()
                if Path(below).parent == Path(inner)
                for text in line(depth + 2, f"{Path(below).name}/", of_it)
            )
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))):
        yield from tree(inner, depth + 1)


def drawn(text: str) -> str:
    """A page with its tree drawn again."""
    before, rest = text.split(START)
    after = rest.split(END)[1]
    page = (text for name, told in PAGE.items() for text in line(0, name, told))
    return before + START + "\n".join([*tree(), "", *page]) + "\n" + END + after


if __name__ == "__main__":
    page = ROOT / "ARCHITECTURE.md"
    page.write_text(drawn(page.read_text(encoding="utf-8")), encoding="utf-8")
