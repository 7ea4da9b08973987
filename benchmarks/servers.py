"""Read an archive from a server that is 50 ms away, beside odc-stac, and say what it cost.

    python benchmarks/servers.py [--size-km 10] [--dates 40] [--pixels 450] [--work FOLDER] [--odc PYTHON] [--write]

Simulates the archive at its first use, and serves it from a process of its own (``tests/far_server.py``). Every
measurement is a process of its own that reads six bands and the scene classes of one square of ground, inside one tile
and on its grid, for all dates: ours by ``StacSource.load``, theirs by ``odc.stac.load`` with 32 threads. What is timed
begins when the items are there, and ends with arrays in memory. ``--odc`` names a Python with odc-stac if this one has
none; ``--write`` puts the table into RESULTS.md.
"""

import argparse
import datetime
import importlib
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import far_server  # noqa: E402

BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "B12": "swir22", "SCL": "scl"}
TITLE = "## An archive 50 ms away"
FAULTS = {"refuse": 0.3, "cut": 0.05, "after": 1}


def prepared(given):
    """The archive, simulated where it is not there."""
    folder = given.work / f"servers-{given.size_km:g}km-{given.dates}"
    if not (folder / "landweave.toml").exists():
        simulate = ["simulate", str(folder), "--size-km", f"{given.size_km:g}", "--dates", str(given.dates)]
        subprocess.run([sys.executable, "-m", "landweave", *simulate], check=True)
    return folder


def ground(folder, pixels):
    """The scenes of the tile that has most of them, and a square of ground in its middle, on its grid."""
    import rasterio

    tiles = {}
    for path in sorted(folder.glob("archive/*/*/*.json")):
        tiles.setdefault(path.parent.name.split("_")[1], []).append(path)
    # One scene of each date: of two processings we read the newer one alone.
    items = list({path.parent.name.split("_")[2]: path for path in max(tiles.values(), key=len)}.values())
    with rasterio.open(items[0].parent / "B02.tif") as file:
        side = min(pixels, file.height, file.width)
        top, left = (file.height - side) // 4 * 2, (file.width - side) // 4 * 2
        corner = file.transform * (left, top)
        return items, {"crs": str(file.crs), "corner": corner, "side": side}


def ours(items, url, square, folder):
    """Seconds, and a fingerprint of the pixels, by landweave."""
    import hashlib

    from affine import Affine
    from odc.geo.geobox import GeoBox

    from landweave.sources.stac.scenes import read_scene
    from landweave.sources.stac.source import open_stac

    scenes = [read_scene(item, href=f"{url}/{place}") for place, item in items]
    headers = Path(folder) if folder else None
    source = open_stac(scenes, needed=list(BANDS), headers=headers)
    x, y = square["corner"]
    box = GeoBox((square["side"], square["side"]), Affine(10, 0, x, 0, -10, y), square["crs"])
    # What is imported on the way is imported before, as theirs is.
    for name in ("dask.array", "rasterio.warp", "urllib3", "landweave.sources.warping.kernels"):
        importlib.import_module(name)
    began, cpu = time.monotonic(), time.process_time()
    patch = source.load(box, source.dates(), list(BANDS))
    print(json.dumps({
        "seconds": time.monotonic() - began, "cpu": time.process_time() - cpu,
        "pixels": hashlib.sha256(b"".join(patch[n].values.tobytes() for n in BANDS)).hexdigest(),
        "seen": int((patch["SCL"].values > 0).sum()),
    }))  # fmt: skip


THEIRS = """
import json, sys, time
import odc.stac, pystac
from affine import Affine
from odc.geo.geobox import GeoBox
given = json.load(sys.stdin)
square, url = given["square"], given["url"]
items = []
for place, content in given["items"]:
    item = pystac.Item.from_dict(content)
    item.set_self_href(f"{url}/{place}")
    item.make_asset_hrefs_absolute()
    items.append(item)
x, y = square["corner"]
box = GeoBox((square["side"], square["side"]), Affine(10, 0, x, 0, -10, y), square["crs"])
odc.stac.configure_rio(cloud_defaults=True)
began, cpu = time.monotonic(), time.process_time()
bands = given["bands"]
found = odc.stac.load(
    items, bands=bands, geobox=box, groupby="solar_day", pool=32,
    resampling={**{name: "cubic" for name in bands}, "scl": "nearest"},
)
print(json.dumps({"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu,
                  "seen": int((found["scl"].values > 0).sum())}))
"""


def measured(given, folder, items, square, *, side, headers="", **options):
    """One measurement in a process of its own, with what the server counted."""
    with far_server.far(folder, latency=0.05, **options) as url:
        asked = json.dumps({
            "url": url, "square": square, "bands": list(BANDS.values()), "headers": headers,
            "items": [(str(path.relative_to(folder)), json.loads(path.read_text())) for path in items],
        })  # fmt: skip
        command = [given.odc, "-c", THEIRS] if side == "theirs" else [sys.executable, __file__, "--one"]
        environment = dict(os.environ)
        if side == "theirs" and given.odc != sys.executable:
            environment.pop("PYTHONPATH", None)
        done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            sys.exit(done.stderr)
        return {**json.loads(done.stdout.splitlines()[-1]), **far_server.counts(url)}


def ranges(items, square):
    """Files, and how many ranges their blocks come to where neighbours are merged."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from landweave.patch.align import pixel_offset
    from landweave.sources.files.far import GAP, LONGEST
    from landweave.sources.files.needs import Pixels
    from landweave.sources.files.opened import grid_of
    from landweave.sources.files.tiff import merged, parse
    from landweave.sources.warping.warp import touching

    x, y = square["corner"]
    box = GeoBox((square["side"], square["side"]), Affine(10, 0, x, 0, -10, y), square["crs"])
    files = total = size = 0
    for path in items:
        for band in BANDS:
            place = path.parent / f"{band}.tif"
            data, grid = place.read_bytes(), grid_of(place)
            offset = pixel_offset(grid, box)
            (top, left), (height, width) = touching(grid, box) if offset is None else (offset, box.shape)
            tiff = parse(data, len(data))
            ends = [tiff.ends(b) for b in Pixels(top=top, left=left, height=height, width=width).blocks(tiff)]
            files, total = files + 1, total + len(merged(ends, gap=GAP, most=LONGEST))
            size += sum(stop - start for start, stop in ends)
    return files, total, size


def told(given, items, square, rows, least):
    files, blocks, size = least
    load = f"{os.getloadavg()[0]:.1f}"
    lines = [
        TITLE,
        "",
        (
            f"`python benchmarks/servers.py --size-km {given.size_km:g} --dates {given.dates} "
            f"--pixels {given.pixels}`, "
            f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores ({platform.machine()}), "  # noqa: DTZ011
            f"Python {platform.python_version()}, load of the machine {load}: "
            f"{square['side']} x {square['side']} pixels inside one tile, {len(items)} dates, "
            "six bands and SCL, bands resampled by cubic convolution. The server "
            "answers after 50 ms and shares the machine."
        ),
        "",
        "| | wall | CPU | requests | MB sent |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {r['seconds']:.1f} s | {r['cpu']:.1f} s | {r['requests']:,} | {r['bytes'] / 1e6:.1f} |"
        for name, r in rows.items()
    ]
    one, again, theirs = (next(r for n, r in rows.items() if n.startswith(w)) for w in ("ours", "ours, h", "odc"))
    spoiled = next(r for n, r in rows.items() if n.startswith("ours, 30"))
    lines += [
        "",
        f"- odc-stac's wall over ours: {theirs['seconds'] / one['seconds']:.1f}; goal 2",
        (
            f"- the blocks lie in {blocks:,} ranges of {files:,} files, {size / 1e6:.1f} MB: with headers kept "
            f"{again['requests'] / blocks:.2f} requests a range (goal 1.1), without {one['requests'] / blocks:.2f}"
        ),
        (
            f"- refusals and cut answers: {'the same' if spoiled['pixels'] == one['pixels'] else 'OTHER'} bytes, "
            f"{spoiled['seconds'] / one['seconds']:.1f} times the wall (goal 3), {spoiled.get('refused', 0)} refused "
            f"(half of them with `Retry-After: {FAULTS['after']}`), {spoiled.get('cut', 0)} cut"
        ),
        "",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size-km", type=float, default=10)
    parser.add_argument("--dates", type=int, default=40)
    parser.add_argument("--pixels", type=int, default=450)
    parser.add_argument("--work", type=Path, default=Path("landweave-bench"))
    parser.add_argument("--odc", default=sys.executable)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        asked = json.load(sys.stdin)
        ours(asked["items"], asked["url"], asked["square"], asked["headers"])
        return
    folder = prepared(given)
    items, square = ground(folder, given.pixels)
    headers = given.work / "out" / f"headers-{os.getpid()}"
    headers.parent.mkdir(parents=True, exist_ok=True)
    # Headers belong to an address: one port for all.
    at = {"port": far_server.free_port()}
    rows = {}
    for name, options in {
        "ours": {"side": "ours", "headers": str(headers.resolve()), **at},
        "ours, headers kept": {"side": "ours", "headers": str(headers.resolve()), **at},
        "ours, 30 % refused and 5 % cut": {"side": "ours", **FAULTS},
        "odc-stac, 32 threads": {"side": "theirs"},
    }.items():
        rows[name] = measured(given, folder, items, square, **options)
        print(name, rows[name], flush=True)
    text = told(given, items, square, rows, ranges(items, square))
    print(text)
    if given.write:
        page = HERE / "RESULTS.md"
        before = re.sub(rf"{TITLE}\n.*?(?=\n## |\Z)", "", page.read_text(), flags=re.DOTALL).rstrip()
        page.write_text(f"{before}\n\n{text}")


if __name__ == "__main__":
    main()
