"""The mosaic at a country's size: memory does not grow with it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

pytestmark = pytest.mark.slow

ACROSS, DOWN, SIDE = 40, 30, 1000
PROGRAM = """
import json, resource, sys
from pathlib import Path
from landweave.legend import LandClass, Legend
from landweave.maps.mosaic import mosaic
folder = Path(sys.argv[1])
legend = Legend(classes=tuple(LandClass(value=v, name=f"class {v}", color=f"#{v * 20:02x}0000") for v in range(1, 9)))
parts = {path.stem: path for path in sorted(folder.glob("x*.tif"))}
mosaic(parts, folder / "out" / "map.tif", band=1, legend=legend, threads=2)
print(json.dumps({"parts": len(parts), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def cover(rows, columns):
    """Classes 1..8 in ragged pieces: about as compressible as land cover is, and known at every pixel."""
    y, x = np.meshgrid(rows.astype("int32"), columns.astype("int32"), indexing="ij")
    ragged = (x * 7919 + y * 1047) % 23 == 0
    return ((x // 37 + y // 29 + (x + y) // 211 + ragged) % 8 + 1).astype("uint8")


def test_1200_patches_become_a_map_of_40_000_by_30_000_pixels_within_300_mb(tmp_path):
    for column in range(ACROSS):
        for row in range(DOWN):
            pixels = cover(np.arange(row * SIDE, (row + 1) * SIDE), np.arange(column * SIDE, (column + 1) * SIDE))
            corner = Affine(10, 0, 400_000 + column * SIDE * 10, 0, -10, 5_200_000 - row * SIDE * 10)
            with rasterio.open(
                tmp_path / f"x{column:04d}y{row:04d}.tif", "w", driver="GTiff", count=2, dtype="uint8", width=SIDE,
                height=SIDE, crs="EPSG:32633", transform=corner, compress="deflate", tiled=True, blockxsize=256,
                blockysize=256, interleave="band",
            ) as file:  # fmt: skip
                file.write(np.stack([pixels, pixels * 10]))
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["parts"] == 1200
    assert told["peak"] < 300e6
    with rasterio.open(tmp_path / "out" / "map.tif") as file:
        assert file.shape == (DOWN * SIDE, ACROSS * SIDE)
        assert file.overviews(1)[-1] >= 64
        # Across the borders of four patches, at both ends of the map.
        for row, column in ((SIDE - 50, SIDE - 50), ((DOWN - 1) * SIDE - 50, (ACROSS - 1) * SIDE - 50)):
            found = file.read(1, window=Window(column, row, 100, 100))
            np.testing.assert_array_equal(found, cover(np.arange(row, row + 100), np.arange(column, column + 100)))
