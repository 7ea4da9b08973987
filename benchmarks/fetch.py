"""Fetch patches of a simulated archive beside odc-stac, native reading, and an earlier version.

    python benchmarks/fetch.py [--size-km 12] [--dates 12] [--patch-size 500] [--work FOLDER]
        [--odc PYTHON] [--before SRC] [--write]

Simulates the archive at its first use. Each side reads the same ground, one patch inside a tile and one where tiles of
two zones overlap, in a process of its own with one thread; what counts is its CPU seconds, imports left out. ``--odc``
is the Python of an environment with ``odc-stac`` and ``zarr``, ``--before`` the ``src`` folder of another version.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TITLE = "## Fetching beside odc-stac"
BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "B12": "swir22", "SCL": "scl"}


def planned(project):
    """The plan, and the two patches: deep inside a tile, and where each date has two tiles."""
    from landweave.runs.project.plan import make_plan
    from landweave.runs.project.settings import read_project

    plan, cells = make_plan(read_project(project))
    source = plan.source

    def met(cell):
        found = getattr(source, "source", source)._met(cell.geobox, plan.dates)  # noqa: SLF001 - counted, not used
        return sum(len(scenes) for scenes in found.values()) / len(plan.dates)

    by_tiles = sorted(cells, key=lambda cell: (met(cell), cell.name))
    crossing = [cell for cell in by_tiles if str(cell.geobox.crs).endswith("34")]
    return plan, {"inside a tile": by_tiles[0], "across zones": crossing[-1]}


def read_so_far():
    """Bytes that this process has asked the system for."""
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text())[1])


def ours(project, out):
    """Our stage: from the archive to the stored patch, quicklooks and counts."""
    from landweave.runs.fetch import imagery
    from landweave.runs.fetch.task import fetch

    plan, cells = planned(project)
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.mkdir(parents=True)
    kind, asked = type(plan.source), 0

    def counted(function):
        def call(*given, **named):
            nonlocal asked
            before = read_so_far()
            try:
                return function(*given, **named)
            finally:
                asked += read_so_far() - before

        return call

    kind.load, kind.stamp = counted(kind.load), counted(kind.stamp)
    # Compiled code is loaded before the clock starts, as imports are.
    fetch(plan, imagery.FetchTask(cell=plan_other(plan, cells), files="", offsets={}))
    found = {}
    for name, cell in cells.items():
        asked, began = 0, time.process_time()
        fetch(plan, imagery.FetchTask(cell=cell, files="", offsets={}))
        found[name] = {"cpu": time.process_time() - began, "read": asked}
    out.write_text(json.dumps(found))


def plan_other(plan, cells):
    """A patch that is neither of the two."""
    from landweave.runs.project.plan import make_plan

    taken = {cell.name for cell in cells.values()}
    return next(cell for cell in make_plan(plan.project)[1] if cell.name not in taken)


def ground(project, out):
    """What the others need to know: the grids, and the bytes of the blocks under the patch inside a tile."""
    import rasterio

    from landweave.sources.scene_files import read_how
    from landweave.sources.warping.warp import touching

    plan, cells = planned(project)
    source = getattr(plan.source, "source", plan.source)
    cell, blocks, windows = cells["inside a tile"], 0, []
    for scenes in source._met(cell.geobox, plan.dates).values():  # noqa: SLF001
        for name in plan.variables:
            place, how = read_how(scenes[0], name)
            (top, left), (height, width) = touching(how.grid, cell.geobox)
            windows.append([str(place), left, top, width, height])
            with rasterio.open(place) as file:
                rows, columns = file.block_shapes[0]
                for row in range(top // rows, -(-(top + height) // rows)):
                    for column in range(left // columns, -(-(left + width) // columns)):
                        tag = file.get_tag_item(f"BLOCK_SIZE_{column}_{row}", dm="TIFF", bidx=1)
                        blocks += int(tag or 0)
    boxes = {
        name: {"crs": str(c.geobox.crs), "transform": list(c.geobox.transform)[:6], "shape": list(c.geobox.shape)}
        for name, c in cells.items()
    }
    out.write_text(json.dumps({"boxes": boxes, "blocks": blocks, "windows": windows, "dates": len(plan.dates)}))


def native(project, out):
    """The same windows by rasterio, and one pass of zstd: what no way of fetching can undercut by much."""
    import numpy as np
    import rasterio
    from numcodecs.blosc import BITSHUFFLE, Blosc
    from rasterio.windows import Window

    told, codec = json.loads(project.read_text()), Blosc(cname="zstd", clevel=2, shuffle=BITSHUFFLE)
    side = told["boxes"]["inside a tile"]["shape"][0]
    began, layers = time.process_time(), []
    for path, left, top, width, height in told["windows"]:
        with rasterio.open(path) as file:
            layers.append(file.read(1, window=Window(left, top, width, height)))
    for number in range(len(BANDS)):
        of_band = [np.resize(layer, (side, side)) for layer in layers[number :: len(BANDS)]]
        cube = np.stack(of_band)
        for row in range(0, side, 64):
            for column in range(0, side, 64):
                codec.encode(np.ascontiguousarray(cube[:, row : row + 64, column : column + 64]))
    out.write_text(json.dumps({"inside a tile": {"cpu": time.process_time() - began}}))


def theirs(project, out, method):
    """odc.stac.load of the same ground, and to_zarr."""
    import odc.stac
    import pystac
    import zarr
    from affine import Affine
    from odc.geo.geobox import GeoBox

    told = json.loads(project.read_text())
    folder = project.parent / "archive" / "sentinel-2-l2a"
    items = [pystac.Item.from_file(str(path)) for path in sorted(folder.glob("*/*.json"))]
    codec, found = zarr.codecs.ZstdCodec(level=3), {}
    for warm in (True, False):
        for name, box in told["boxes"].items():
            geobox = GeoBox(tuple(box["shape"]), Affine(*box["transform"]), box["crs"])
            part = geobox[:64, :64] if warm else geobox
            began = time.process_time()
            patch = odc.stac.load(
                items, bands=list(BANDS.values()), geobox=part, groupby="solar_day",
                resampling={"*": method, "scl": "nearest"},
            )  # fmt: skip
            target = out.with_suffix(".zarr")
            chunks = (patch.sizes["time"], 256, 256)
            encoding = {n: {"compressors": [codec], "chunks": chunks} for n in patch.data_vars}
            for layer in patch.data_vars.values():
                layer.attrs.clear()
            patch.to_zarr(target, mode="w", encoding=encoding, zarr_format=3, consolidated=False)
            found[name] = {"cpu": time.process_time() - began}
            shutil.rmtree(target)
    out.write_text(json.dumps(found))


def prepared(given):
    """The project, simulated where it is not there."""
    folder = given.work / f"fetch-{given.size_km:g}km-{given.dates}"
    if not (folder / "landweave.toml").exists():
        simulate = ["simulate", str(folder), "--size-km", f"{given.size_km:g}", "--dates", str(given.dates)]
        subprocess.run([sys.executable, "-m", "landweave", *simulate], check=True)
    path = folder / "landweave.toml"
    path.write_text(re.sub(r"(?m)^patch_size = \d+", f"patch_size = {given.patch_size}", path.read_text()))
    return path


def side(python, what, project, *, src=None):
    """Run one side in a process of its own."""
    out = project.parent / f"{what.replace(' ', '-')}.json"
    env = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1"}
    if src is not None:
        env["PYTHONPATH"] = str(src)
    subprocess.run([str(python), str(HERE / "fetch.py"), "--side", what, str(project), str(out)], check=True, env=env)
    return json.loads(out.read_text())


def told(given, project):
    """The table."""
    facts = side(sys.executable, "ground", project)
    file = project.parent / "ground.json"
    rows = {"landweave": side(sys.executable, "ours", project)}
    read = rows["landweave"]["inside a tile"]["read"]
    rows["rasterio and one pass of zstd"] = side(sys.executable, "native", file)
    if given.odc is not None:
        for method in ("nearest", "cubic"):
            rows[f"odc.stac.load ({method}) and to_zarr"] = side(given.odc, f"odc {method}", file)
    if given.before is not None:
        rows["landweave before"] = side(sys.executable, "ours", project, src=given.before)
    pixels = {name: box["shape"][0] * box["shape"][1] / 1e6 for name, box in facts["boxes"].items()}
    mine = rows["landweave"]

    def cell(name, found):
        if name not in found:
            return ""
        seconds = found[name]["cpu"]
        return f"{seconds / pixels[name]:.1f} ({seconds / mine[name]['cpu']:.2f}x)"

    load = " to ".join(f"{number:.1f}" for number in sorted({given.load, os.getloadavg()[0]}))
    return "\n".join(
        [
            TITLE,
            "",
            (
                f"`python benchmarks/fetch.py --size-km {given.size_km:g} --dates {given.dates} --patch-size "
                f"{given.patch_size}`, {datetime.date.today().isoformat()}, {os.cpu_count()} cores "  # noqa: DTZ011
                f"({platform.machine()}), Python {platform.python_version()}, load {load}: CPU seconds a megapixel "
                f"of ground, {facts['dates']} dates, six bands, scene classes; in brackets, times ours. One thread, "
                "one patch of each kind."
            ),
            "",
            "| | inside a tile | across zones |",
            "|---|---|---|",
            *(f"| {n} | {cell('inside a tile', found)} | {cell('across zones', found)} |" for n, found in rows.items()),
            "",
            (
                f"Of the patch inside a tile we read {read / 1e6:.1f} MB; the blocks under it have "
                f"{facts['blocks'] / 1e6:.1f} MB ({read / facts['blocks']:.2f}x)."
            ),
            "",
        ]
    )


def written(text, path):
    """Put the section into the file, instead of an earlier one."""
    parts = re.split(r"(?m)^(?=## )", path.read_text())
    kept = [part for part in parts if not part.startswith(TITLE)]
    path.write_text("".join(kept).rstrip() + "\n\n" + text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size-km", type=float, default=12)
    parser.add_argument("--dates", type=int, default=12)
    parser.add_argument("--patch-size", type=int, default=500)
    parser.add_argument("--work", type=Path, default=HERE.parent / "landweave-bench")
    parser.add_argument("--odc", type=Path, help="Python of an environment with odc-stac")
    parser.add_argument("--before", type=Path, help="src folder of another version")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side is not None:
        what, project, out = given.side[0], Path(given.side[1]), Path(given.side[2])
        name, _, method = what.partition(" ")
        {"ours": ours, "ground": ground, "native": native, "odc": theirs}[name](
            project, out, *([method] if method else [])
        )
        return
    given.load = os.getloadavg()[0]
    given.work.mkdir(parents=True, exist_ok=True)
    text = told(given, prepared(given))
    print(text)
    if given.write:
        written(text, HERE / "RESULTS.md")


if __name__ == "__main__":
    main()
