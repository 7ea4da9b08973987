"""Does work grow with its input, and no faster? CPU time and memory at a tenth of a large input and at all of it.

python benchmarks/growth.py [row ...] [--tenth]

Each measurement is a process of its own. The exponent is log10 of the growth between one and ten times the input, after
the time and memory of an input of next to nothing are taken off: 1 is linear. ``--tenth`` makes all inputs ten times
smaller, to try the script.
"""

import argparse
import json
import math
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stages import Stages

PATCHES, SCENES, FEATURES, ROWS = 10_000, 16_000, 1_000_000, 100_000
MOST = 1.1
"""Exponent that is still called linear."""

LEAST_SECONDS, LEAST_MIB = 0.05, 4
"""Growth below this is noise: no exponent is given where all of it is below, and at a tenth it counts as this."""


def no_input(_count, _folder):
    """No input but the number."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of input."""

    what: str
    count: int
    prepare: Callable[[int, Path], object] = no_input
    """Makes the input; not measured."""
    work: Callable[[int, Path], object]


def patches(count, _folder):
    from shapely.geometry import box

    from landweave.patch.grid import utm_cells

    # As many patches of 2.5 km, side by side, within one zone.
    side = math.sqrt(count) * 2500 / 111_320
    return utm_cells(box(15 - side / 1.4, 1, 15 + side / 1.4, 1 + side), patch_size=250)


def patch_grid(count, folder):
    from types import SimpleNamespace

    from landweave.runs.mapping.grid import write_grid

    cells = patches(count, folder)
    write_grid(SimpleNamespace(folder=folder), cells, roles={}, states={})


def items(count):
    import datetime

    for number in range(count):
        day = datetime.date(2020, 1, 1) + datetime.timedelta(days=number % 160)
        tile = number // 160
        west, south = -170 + tile % 300, -60 + tile // 300
        yield {
            "type": "Feature", "stac_version": "1.0.0", "id": f"S2A_{tile:05}_{day:%Y%m%d}_0_L2A",
            "bbox": [west, south, west + 1, south + 1], "geometry": None, "collection": "sentinel-2-l2a",
            "properties": {
                "datetime": f"{day}T10:00:00Z", "eo:cloud_cover": number % 100, "platform": "sentinel-2a",
                "s2:processing_baseline": "05.00", "grid:code": f"MGRS-{10 + tile % 50}TMT",
                "earthsearch:boa_offset_applied": True,
            },
            "assets": {
                name: {"href": f"https://example.org/{number}/{name}.tif", "type": "image/tiff; application=geotiff"}
                for name in ("blue", "green", "red", "nir", "scl")
            },
        }  # fmt: skip


def scenes(count, _folder):
    from landweave.sources.stac.catalogues import named
    from landweave.sources.stac.scenes import read_scene
    from landweave.sources.stac.source import open_stac

    row = named("earth-search-v1")
    return open_stac((read_scene(item, catalogue=row) for item in items(count)), needed=["B04", "B08"])


def write_points(count, folder):
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"longitude": rng.uniform(14, 15, count), "latitude": rng.uniform(1, 2, count)})
    frame.assign(label=rng.integers(1, 9, count)).to_csv(folder / "points.csv", index=False)


def legend_of_numbers():
    from landweave.legend import LandClass, Legend

    return Legend(classes=tuple(LandClass(value=n, name=f"class {n}", color="#808080") for n in range(1, 9)))


def labelled(path):
    """A reference read, its codes listed, and one patch labelled."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from landweave.labels.on_grid import rasterise
    from landweave.labels.reference import read_reference, reference_codes

    reference = read_reference(path, column="label")
    reference_codes(reference)
    geobox = GeoBox((250, 250), Affine(10, 0, 450_000, 0, -10, 160_000), "EPSG:32633")
    return rasterise(reference, geobox, legend_of_numbers())


def points(_count, folder):
    return labelled(folder / "points.csv")


def write_polygons(count, folder):
    import numpy as np
    import pandas as pd
    import pyogrio
    import shapely

    side = max(1, round(math.sqrt(count)))
    x, y = (part.ravel()[:count] / side for part in np.meshgrid(np.arange(side + 1), np.arange(side + 1)))
    shapes = shapely.box(14 + x, 1 + y, 14 + x + 0.8 / side, 1 + y + 0.8 / side)
    frame = pd.DataFrame({"label": np.arange(len(shapes)) % 8 + 1})
    pyogrio.raw.write(
        folder / "polygons.gpkg", shapely.to_wkb(shapes), [frame["label"].to_numpy()], ["label"],
        geometry_type="Polygon", crs="EPSG:4326", driver="GPKG",
    )  # fmt: skip


def polygons(_count, folder):
    return labelled(folder / "polygons.gpkg")


def ledger(count, folder):
    from landweave.engine.ledger import Ledger

    with Ledger(folder / "ledger.sqlite", versions={"landweave": "1"}) as book:
        # A run waits for the disk at each entry; here it is what the ledger itself does that counts.
        book._file.execute("PRAGMA synchronous=OFF")  # noqa: SLF001
        for number in range(count):
            book.done(f"fetch/{number:06}", inputs={"revision": "1"}, files=[], info={"valid_fraction": [0.5] * 20})
        assert not any(book.stale(f"fetch/{number:06}", {"revision": "1"}) for number in range(count))
        assert len(book.entries("fetch/")) == len(book.versions()) == count


ROWS_OF_TABLE = {
    "patches": Row(what="patches of the grid", count=PATCHES, work=patches),
    "grid": Row(what="patches in grid.gpkg", count=PATCHES, work=patch_grid),
    "scenes": Row(what="scenes of an archive", count=SCENES, work=scenes),
    "points": Row(what="points of a reference, one patch labelled", count=FEATURES, prepare=write_points, work=points),
    "polygons": Row(
        what="polygons of a reference, one patch labelled", count=FEATURES, prepare=write_polygons, work=polygons
    ),
    "ledger": Row(what="entries of the ledger, written and asked for", count=ROWS, work=ledger),
}


def measure(name, count):
    """CPU seconds, which other work on the machine disturbs least, and MiB of one piece of work, in this process."""
    row = ROWS_OF_TABLE[name]
    with tempfile.TemporaryDirectory(prefix="landweave-growth-") as folder:
        # Elsewhere, so that its memory does not count.
        prepared = multiprocessing.get_context("spawn").Process(target=row.prepare, args=(count, Path(folder)))
        prepared.start()
        prepared.join()
        assert prepared.exitcode == 0
        stages = Stages()
        with stages.stage(name):
            kept = row.work(count, Path(folder))
        del kept
    found = stages.measured[name]
    return {"seconds": found["cpu"], "mib": found["peak_mib"]}


def measured(name, count):
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def exponent(small, large, nothing, least):
    """Growth from one to ten times the input as a power; None where there is too little to be measured."""
    grown = large - nothing
    return None if grown < least else math.log10(grown / max(small - nothing, least))


def line(name, tenth):
    row = ROWS_OF_TABLE[name]
    count = row.count // (10 if tenth else 1)
    nothing, small, large = (measured(name, number) for number in (max(count // 1000, 4), count // 10, count))
    powers = [
        exponent(small[key], large[key], nothing[key], least)
        for key, least in (("seconds", LEAST_SECONDS), ("mib", LEAST_MIB))
    ]
    shown = [("no growth" if power is None else f"{power:.2f}") for power in powers]
    worst = max([power for power in powers if power is not None], default=0)
    print(
        f"| {count:,} {row.what} | {small['seconds']:.2f} s, {large['seconds']:.2f} s | {shown[0]} "
        f"| {small['mib']:.0f} MiB, {large['mib']:.0f} MiB | {shown[1]} |",
        flush=True,
    )
    return worst <= MOST


def main():
    parser = argparse.ArgumentParser(description="Does work grow with its input, and no faster?")
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS_OF_TABLE)}; all by default")
    parser.add_argument("--tenth", action="store_true", help="ten times smaller inputs")
    parser.add_argument("--measure", nargs=2, metavar=("ROW", "COUNT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.measure[0], int(asked.measure[1]))))
        return
    print("| input | CPU seconds at a tenth, at all | exponent | memory at a tenth, at all | exponent |")
    print("|---|---|---|---|---|")
    linear = [line(name, asked.tenth) for name in asked.rows or ROWS_OF_TABLE]
    sys.exit(0 if all(linear) else 1)


if __name__ == "__main__":
    main()
