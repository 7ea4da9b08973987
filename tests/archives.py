"""A tiny archive for tests: items and files with known numbers, and a web server that can be made to fail."""

import http.server
import json
import re
import shutil
import threading
import time
from contextlib import contextmanager

import numpy as np
import rasterio
from affine import Affine

BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "B12": "swir22"}
CORNER = (500_040, 5_100_000)
SIZE, DATES, SEED = 1.2, 6, 3
"""Of the fixtures' simulated country."""


def edit(folder, before, after):
    """Change the project file of a folder."""
    path = folder / "landweave.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def without_output(country, place):
    """A copy of a project and its archive that was not run."""
    shutil.copytree(country, place, ignore=shutil.ignore_patterns("out"))
    return place


def write_cog(path, values, *, resolution=10, corner=CORNER, crs="EPSG:32633", nodata=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="COG", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype, crs=crs,
        transform=Affine(resolution, 0, corner[0], 0, -resolution, corner[1]), nodata=nodata, compress="deflate",
        blocksize=128,
    ) as file:  # fmt: skip
        file.write(values, 1)


def item(folder, name, *, day, numbers, baseline="03.01", offset=0.0, applied=False, tile="33TWM", corner=CORNER,
         crs="EPSG:32633", classes=None, cloud=0.0, orbit=79, strip=None, collection="sentinel-2-l2a", hour=10, **extra):  # fmt: skip
    """Write files and item; ``numbers`` is a band's name to uint16 (y, x)."""
    place = folder / collection / name
    assets = {}
    for band, values in numbers.items():
        write_cog(place / f"{band}.tif", values, corner=corner, crs=crs)
        assets[BANDS.get(band, band)] = {
            "href": f"./{band}.tif",
            "proj:shape": list(values.shape),
            "proj:transform": [10, 0, corner[0], 0, -10, corner[1]],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": offset}],
        }
    if classes is not None:
        write_cog(place / "SCL.tif", classes, corner=corner, crs=crs)
        assets["scl"] = {
            "href": "./SCL.tif",
            "proj:shape": list(classes.shape),
            "proj:transform": [10, 0, corner[0], 0, -10, corner[1]],
        }
    from rasterio.warp import transform_bounds

    height, width = next(iter(numbers.values())).shape
    box = transform_bounds(crs, "EPSG:4326", corner[0], corner[1] - 10 * height, corner[0] + 10 * width, corner[1])
    sensed = strip or f"{day.replace('-', '')}T095031"
    content = {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "bbox": list(box),
        "geometry": {"type": "Polygon", "coordinates": [[[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]]]},
        "properties": {
            "datetime": f"{day}T{hour:02d}:00:00Z", "platform": "sentinel-2a", "eo:cloud_cover": cloud,
            "proj:epsg": int(crs.split(":")[1]), "grid:code": f"MGRS-{tile}", "s2:processing_baseline": baseline,
            "s2:datastrip_id": f"S2A_OPER_MSI_L2A_DS_X_{sensed}_S{sensed}_N{baseline}",
            "sat:relative_orbit": orbit, "earthsearch:boa_offset_applied": applied, **extra,
        },
        "assets": assets, "links": [],
    }  # fmt: skip
    (place / f"{name}.json").write_text(json.dumps(content))
    return content


def catalogue(folder):
    """A static catalogue of all items below a folder; returns its path."""
    collections = sorted(path for path in folder.iterdir() if path.is_dir())
    for path in collections:
        links = [{"rel": "item", "href": f"./{p.parent.name}/{p.name}"} for p in sorted(path.glob("*/*.json"))]
        (path / "collection.json").write_text(json.dumps({"type": "Collection", "id": path.name, "links": links}))
    links = [{"rel": "child", "href": f"./{path.name}/collection.json"} for path in collections]
    (folder / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "tiny", "links": links}))
    return folder / "catalog.json"


def small_country(folder, *, size_km, dates, seed, patch=60, **options):
    """A simulated country as an archive, its project cut down to what runs in seconds."""
    from landweave.sources.simulated.archive.archive import write_archive

    write_archive(folder, size_km=size_km, dates=dates, seed=seed, **options)
    for before, after in {
        "patch_size = 150": f"patch_size = {patch}",
        "step_days = 16": "step_days = 60",
        "per_class = 1000": "per_class = 100",
        "n_estimators = 60": "n_estimators = 5",
    }.items():
        edit(folder, before, after)
    return folder


class Faults:
    """What goes wrong with a request; none by default. Counts what was asked.

    ``rule(number, path)`` gives a status, a status with headers and perhaps a body, "cut", "slow" (a second),
    "whole" (whatever range is asked for), or None.
    """

    def __init__(self, rule=lambda number, path: None):
        self.rule, self.lock, self.requests, self.failed = rule, threading.Lock(), 0, 0

    def of(self, path):
        with self.lock:
            self.requests += 1
            kind = self.rule(self.requests, path)
            self.failed += kind is not None
            return kind


@contextmanager
def served(folder, faults=None, answer=None):
    """Serve a folder on loopback with range requests; ``answer(method, path, body)`` may give JSON instead."""
    faults = faults or Faults()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *args):
            pass

        def do_HEAD(self):
            self.reply(body=False)

        def do_GET(self):
            self.reply(body=True)

        def do_POST(self):
            self.reply(body=True)

        def reply(self, *, body):
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length) if length else b""
            kind = faults.of(self.path)
            if isinstance(kind, int):
                kind = kind, {"Retry-After": "0"} if kind == 429 else {}
            if isinstance(kind, tuple):
                return self.finish_with(kind[0], kind[2] if len(kind) > 2 else b"no", kind[1], body=body)
            if kind == "slow":
                time.sleep(1)
            made = answer(self.command, self.path, sent) if answer else None
            if made is not None:
                return self.finish_with(200, json.dumps(made).encode(), {"Content-Type": "application/json"})
            # As a proxy it is asked for whole addresses.
            file = folder / re.sub(r"^http://[^/]+", "", self.path.split("?")[0]).lstrip("/")
            if not file.is_file():
                return self.finish_with(404, b"", {})
            data, status, headers = file.read_bytes(), 200, {"Accept-Ranges": "bytes"}
            asked = kind != "whole" and re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if asked:
                start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
                if start >= len(data):
                    return self.finish_with(416, b"", {})
                headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
                data, status = data[start : end + 1], 206
            if kind == "cut" and body:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.close_connection = True
                return None
            return self.finish_with(status, data, headers, body=body)

        def finish_with(self, status, data, headers, *, body=True):
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(data)
            self.wfile.flush()

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request, client_address):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def land(seed=0, size=128, *, shift=0):
    """Digital numbers of six bands over dark water, forest and soil, uint16."""
    rng = np.random.default_rng(seed)
    kind = np.zeros((size, size), int)
    kind[:, size // 3 :] = 1
    kind[size // 2 :, size // 2 :] = 2
    spectra = {"B02": (300, 220, 700), "B03": (350, 500, 1000), "B04": (200, 250, 1400), "B08": (100, 3500, 2300),
               "B11": (60, 1600, 3000), "B12": (50, 650, 2500)}  # fmt: skip
    noise = rng.integers(-20, 21, (size, size))
    return {name: (np.array(s)[kind] + noise + shift).astype("uint16") for name, s in spectra.items()}, kind
