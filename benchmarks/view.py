"""How quick the browser view is, and how much memory it takes.

python benchmarks/view.py PROJECT                  a finished run: seconds to the first map, tiles a second
python benchmarks/view.py PROJECT --megapixels 300 the same settings on a made-up country of that size
"""

import argparse
import contextlib
import http.client
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

PATCH = 500
CLIENTS = 6  # connections that a browser opens to one host
TILES = 400
DOSSIERS = 24


def big_run(project, folder, megapixels):
    """The project's run on a square country in folder; its files are made where they are missing."""
    from odc.geo.geom import box

    from landweave.patch.grid import projected_cells
    from landweave.runs.results.run import open_run

    run = open_run(project)
    across = math.ceil(math.sqrt(megapixels * 1e6) / PATCH)
    side = 10.0 * PATCH * across
    left, bottom = 500_000, 5_000_000
    area = box(left + 5, bottom + 5, left + side - 5, bottom + side - 5, "EPSG:32633").to_crs("EPSG:4326").geom
    cells = projected_cells(area, crs="EPSG:32633", resolution=10, patch_size=PATCH)
    run = replace(run, cells=tuple(cells), plan=replace(run.plan, folder=folder))
    if not (folder / "map.tif").exists():
        make_files(run)
    return run


def make_files(run):
    """Predictions, labels and observations of every patch: blots of classes of some hectares."""
    from landweave.patch.store import write_raster
    from landweave.runs.mapping.mosaic import write_mosaics
    from landweave.runs.results.layers import make_layers, slow_to_make

    values = np.array(run.plan.legend.values, "uint8")
    rng = np.random.default_rng(1)
    for cell in run.cells:
        height, width = cell.geobox.shape
        blots = rng.integers(len(values), size=(height // 16 + 1, width // 16 + 1))
        classes = values[blots.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]]
        noise = rng.random((height, width))
        mapped = np.where(noise < 0.05, values[0], classes)
        confidence = (40 + 60 * noise).astype("uint8")
        write_raster(run.folder / "predictions" / f"{cell.name}.tif", np.stack([mapped, confidence]), cell.geobox)
        write_raster(run.folder / "labels" / f"{cell.name}.tif", np.stack([classes, classes]), cell.geobox)
        seen = np.full((2, height, width), 12, "uint16")
        write_raster(run.folder / "observations" / f"{cell.name}.tif", seen, cell.geobox)
    write_mosaics(run.plan, [cell.name for cell in run.cells])
    if slow_to_make(run.cells):
        make_layers(run)


def serve(project, folder, megapixels):
    """In a process of its own, so that its memory is the server's."""
    from landweave.runs.results.run import open_run
    from landweave.viewer.server import serve as start
    from landweave.viewer.server import view_of

    begin = time.perf_counter()
    run = big_run(project, folder, megapixels) if megapixels else open_run(project)
    view = view_of(run)
    print(f"opened in {time.perf_counter() - begin:.1f} s", file=sys.stderr)
    start(view, port=0)


def ask(port, paths, allowed=frozenset({200, 204})):
    """Seconds and bytes of asking for all paths, six at a time."""

    def some(part):
        connection, count, sent = http.client.HTTPConnection("127.0.0.1", port), 0, 0
        for path in part:
            connection.request("GET", path)
            answer = connection.getresponse()
            sent += len(answer.read())
            assert answer.status in allowed, (path, answer.status)
            count += answer.status == 200
        return count, sent

    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(some, [paths[i::CLIENTS] for i in range(CLIENTS)]))
    return time.perf_counter() - begin, sum(n for n, _ in done), sum(s for _, s in done)


def memory(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM"))


def measure(port, pid):
    from landweave.viewer.mercator import tiles_over

    connection = http.client.HTTPConnection("127.0.0.1", port)
    begin = time.perf_counter()
    connection.request("GET", "/view.json")
    view = json.loads(connection.getresponse().read())
    first = tiles_over(view["area"], view["layers"][0]["min_zoom"], view["natural_zoom"] - 1)[:12]
    ask(port, ["/tiles/prediction/{}/{}/{}".format(*place) for place in first])
    print(f"description and the first {len(first)} tiles: {time.perf_counter() - begin:.2f} s")
    rng = np.random.default_rng(0)
    for layer in view["layers"]:
        places = tiles_over(view["area"], layer["min_zoom"], layer["max_zoom"])
        chosen = [places[i] for i in rng.choice(len(places), min(TILES, len(places)), replace=False)]
        days = [day["date"] for day in view["dates"] if (day["valid"] or 0) > 0.5] if layer.get("dated") else [None]
        if not days:
            continue  # a made-up country has no images
        keys = [
            layer["id"] if (day := days[i % len(days)]) is None else f"{layer['id']}/{day}" for i in range(len(chosen))
        ]
        paths = [f"/tiles/{key}/{z}/{x}/{y}" for key, (z, x, y) in zip(keys, chosen, strict=True)]
        told = []
        for name in ("cold", "warm"):
            seconds, count, sent = ask(port, paths)
            told.append(f"{name} {len(paths) / seconds:.0f} a second")
        size = f"{count} of {len(paths)} tiles not empty, {sent / max(count, 1) / 1e3:.1f} kB each"
        print(f"{layer['id']:<13} {', '.join(told)} ({size})")
    print(f"peak memory of the server with tiles alone: {memory(pid)} MB")
    west, south, east, north = view["area"]
    places = rng.uniform((west, south), (east, north), (DOSSIERS, 2)).round(6).tolist()
    seconds, count, _ = ask(port, [f"/pixel?lon={lon}&lat={lat}" for lon, lat in places], allowed={200, 404})
    print(f"dossiers of {count} places: {seconds / DOSSIERS:.2f} s each, {CLIENTS} asked for at a time")
    print(f"peak memory of the server: {memory(pid)} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--megapixels", type=float)
    parser.add_argument("--folder", type=Path, help="where the made-up country lies; kept, and used again")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.serve:
            serve(options.project, folder, options.megapixels)
            return
        if options.megapixels:
            big_run(options.project, folder, options.megapixels)  # the server's memory is not that of making the files
        command = [sys.executable, __file__, str(options.project), "--serve", "--folder", str(folder)]
        command += ["--megapixels", str(options.megapixels)] if options.megapixels else []
        print(f"{os.cpu_count()} cores")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                line = process.stdout.readline()
                measure(int(line.split(":")[2].split("/")[0]), process.pid)
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
