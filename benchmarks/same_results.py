"""Are the results of two versions of landweave equal?

Rasters and Parquet are compared by bytes, GeoPackages by content, JSON by value.

Make the results once with each version, then compare the two folders::

    python benchmarks/same_results.py make before --data ../shared/data     # with the older version installed
    python benchmarks/same_results.py make after --data ../shared/data      # with the newer one
    python benchmarks/same_results.py compare before after

``make`` maps the real examples of `examples/` (where their data is in ``--data``) and the demo (seed 42), compares the
demo's register with its map, publishes it as a web page and as a data set, and evaluates the Rondônia pixels.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXAMPLES = ("slovenia-ndvi", "slovenia-bands", "mato-grosso", "bahia-points", "bahia-table")
PIXELS = "s2_rondonia_pixels/s2_rondonia_pixels_timeseries.parquet"

LEFT_OUT = {"run.json", "forecast.json"}
"""Files of versions and timings."""

KEYS_LEFT_OUT = {
    "seconds", "cpu_seconds", "peak_bytes", "bytes_read", "made_from", "versions", "version", "landweave", "created",
    "updated", "file:checksum", "sha256", "landweave:made_from", "landweave:checksum",
}  # fmt: skip
"""Keys of versions, timings and fingerprints of inputs, in any JSON file."""

NEARLY = ("auc", "roc", "curves", "average_precision")
"""Keys whose numbers may differ by 1e-9: areas and curves, which a library computes."""


def make(out: Path, data: Path) -> None:
    """Make all results in ``out``, with the landweave that this Python imports."""
    examples = out / "examples"
    shutil.copytree(
        Path(__file__).resolve().parents[1] / "examples", examples, ignore=shutil.ignore_patterns("*.ipynb")
    )
    for file in (*examples.glob("*.toml"), *examples.glob("*.csv")):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("../../shared/data", data.as_posix()), encoding="utf-8")
    demo = out / "demo"
    for name in EXAMPLES:
        _landweave("run", examples / f"{name}.toml", "--workers", "1")
    _landweave("demo", demo)
    _landweave("compare", demo)
    _landweave("publish", demo, out / "dataset", "--dataset")
    _landweave("publish", demo, out / "web")
    _landweave("evaluate", data / PIXELS, "--output", out / "pixels.json", "--report", out / "pixels.html")


def _landweave(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "landweave", *map(str, words)], check=True)


def differences(first: Path, second: Path) -> Iterator[str]:
    """One line for each file that only one folder has, or whose content differs."""
    ours, theirs = _files(first), _files(second)
    for name in sorted(ours ^ theirs):
        yield f"{name}: only in {first if name in ours else second}"
    for name in sorted(ours & theirs):
        yield from (f"{name}: {what}" for what in _difference(first / name, second / name))


def _files(folder: Path) -> set[Path]:
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not _left_out(name)}


def _left_out(name: Path) -> bool:
    return name.name in LEFT_OUT or "logs" in name.parts or name.suffix in {".sqlite", ".lock", ".html"}


def _difference(first: Path, second: Path) -> Iterator[str]:
    if first.read_bytes() == second.read_bytes():
        return
    if first.suffix in {".json", ".geojson"}:
        yield from _values(json.loads(first.read_text("utf-8")), json.loads(second.read_text("utf-8")), "")
    elif first.suffix == ".gpkg":
        ours, theirs = _layers(first), _layers(second)
        if ours.keys() != theirs.keys() or not all(ours[layer].equals(theirs[layer]) for layer in ours):
            yield "layers or features differ"
    else:
        yield "bytes differ"


def _layers(path: Path) -> dict[str, Any]:
    import geopandas
    import pyogrio

    return {name: geopandas.read_file(path, layer=name) for name, _ in pyogrio.list_layers(path)}


def _values(a: Any, b: Any, where: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b} - KEYS_LEFT_OUT):
            if key in a and key in b:
                yield from _values(a[key], b[key], f"{where}.{key}")
            else:
                yield f"{where}.{key} is only in the {'first' if key in a else 'second'}"
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _values(x, y, f"{where}[{number}]")
    elif a != b and not (
        isinstance(a, float) and isinstance(b, float) and any(key in where for key in NEARLY) and abs(a - b) <= 1e-9
    ):
        yield f"{where} is {str(a)[:60]} and {str(b)[:60]}"


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make results in a new folder")
    making.add_argument("folder", type=Path)
    making.add_argument("--data", type=Path, required=True, help="folder of the real data sets")
    comparing = commands.add_parser("compare", help="compare two folders of results")
    comparing.add_argument("first", type=Path)
    comparing.add_argument("second", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        arguments.folder.mkdir(parents=True)
        make(arguments.folder.resolve(), arguments.data.resolve())
        return 0
    found = list(differences(arguments.first, arguments.second))
    print("\n".join(found))
    differ = {line.split(": ")[0] for line in found}
    print(f"{len(_files(arguments.first) | _files(arguments.second))} files compared, {len(differ)} differ")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
