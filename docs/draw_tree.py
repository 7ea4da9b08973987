"""Draw the tree of ARCHITECTURE.md again: every file with the first sentence of its docstring.

python docs/draw_tree.py
"""

import ast
import re
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
    "api": "functions for whoever holds a Dataset: load, mask, features, predict",
    "classifier": "fit on a table, predict on features, calibrate, save, load",
    "cli": "one command per verb",
    "engine": "work of any kind, and what is up to date; knows nothing of maps",
    "eolearn": "eo-learn's names over our functions; may be removed without trace",
    "features": "X: pixels to features, pure functions and their kernels",
    "labels": "y: the reference on a grid, who trains and tests, which pixels",
    "maps": "patches of classes to a map, its areas, what is beside it",
    "patch": "what a patch is, where it is, how it is kept",
    "patch/eopatch": "eo-learn's folders, read and written",
    "patch/raster": "raster files: opened, and what they say of themselves",
    "report": "figures in, pages out",
    "report/drawing": "figures as pictures",
    "report/sections": "what each part of the report shows",
    "runs": "the only place that knows the rooms: settings, order, resuming, results",
    "runs/estimate": "`landweave estimate`: from a labelled sample to areas and accuracy",
    "runs/fetch": "stage `fetch`: a patch's imagery, its masks, what was seen",
    "runs/mapping": "stages `grid`, `predict`, `mosaic`",
    "runs/pipeline": "which stage runs, what is up to date, what a run reports",
    "runs/project": "the project file, and all that it names, opened",
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
    "sources/stac": "archives of scenes",
    "tree_models": "LightGBM's text, evaluated on arrays; knows no pixels",
    "viewer": "the browser view",
}
"""Folder to its one line."""


def first_line(path: Path) -> str:
    """The first paragraph of a module's docstring, cut at its first sentence, as plain text."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.?!])\s", paragraph)[0].rstrip(".")
    plain = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", sentence).replace("``", "`")
    return plain if len(plain) <= 90 else plain[: plain.rfind(" ", 0, 88)] + " ..."


def tree(folder: Path = SOURCE, depth: int = 0) -> Iterator[str]:
    """Lines of the tree: files first, then folders."""
    inside = str(folder.relative_to(SOURCE)) if folder != SOURCE else "landweave"
    yield f"{'  ' * depth}{folder.name + '/':<{28 - 2 * depth}}{ROOMS[inside]}"
    for path in sorted(folder.glob("*.py")):
        if path.name not in {"__init__.py", "__main__.py", "_version.py"}:
            yield f"{'  ' * (depth + 1)}{path.name:<{26 - 2 * depth}}{first_line(path)}"
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))):
        yield from tree(inner, depth + 1)


def drawn(text: str) -> str:
    """A page with its tree drawn again."""
    before, rest = text.split(START)
    after = rest.split(END)[1]
    return before + START + "\n".join(tree()) + "\n" + END + after


if __name__ == "__main__":
    page = ROOT / "ARCHITECTURE.md"
    page.write_text(drawn(page.read_text(encoding="utf-8")), encoding="utf-8")
