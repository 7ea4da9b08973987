"""How the land is cut into patches changes no pixel of the map."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from archives import edit, small_country, without_output
from rasterio.features import geometry_mask
from rasterio.windows import from_bounds

from landweave.patch.store import read_raster
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project


def mapped(country, place, *, model, size, crs, dilation=0):
    """The country mapped with a model in patches of a size, into a CRS; the path of its output."""
    folder = without_output(country, place)
    text = (folder / "landweave.toml").read_text()
    before = next(line for line in text.splitlines() if line.startswith("patch_size"))
    edit(folder, before, f"patch_size = {size}")
    edit(folder, 'clouds = "scl"', f'clouds = "scl"\ndilation = {dilation}')
    edit(folder, "[model]", f'[map]\ncrs = "{crs}"\n[model]\npath = "{model}"')
    # The model is given, so the reference could only be measured against.
    text = (folder / "landweave.toml").read_text()
    start, end = text.index("[reference]"), text.index("[sampling]")
    (folder / "landweave.toml").write_text(text[:start] + text[end:])
    result = run(read_project(folder), workers=1, options=Options(until="mosaic"))
    assert result.status == 0, result.failures
    return folder / "out"


def predictions(folder):
    return [path for path in (folder / "predictions").glob("*.tif") if not path.stem.endswith("_oof")]


def pixels(path, bounds):
    with rasterio.open(path) as file:
        return file.read(1, window=from_bounds(*bounds, transform=file.transform), boundless=True, fill_value=0)


def same_maps(folders):
    """Number of pixels of the maps, which must all be alike, also where a smaller map ends."""
    for name in ("map.tif", "confidence.tif"):
        boxes = []
        for folder in folders:
            with rasterio.open(folder / name) as file:
                boxes.append(file.bounds)
        whole = (*np.min(boxes, axis=0)[:2], *np.max(boxes, axis=0)[2:])
        first, *others = (pixels(folder / name, whole) for folder in folders)
        for other in others:
            np.testing.assert_array_equal(first, other)
    return np.count_nonzero(first)


def test_the_same_model_gives_the_same_map_in_patches_of_another_size(finished, tmp_path):
    """The archive lies in two zones; its own run is in patches of 60 pixels."""
    own = finished / "out"
    with rasterio.open(own / "map.tif") as file:
        crs = file.crs.to_string()
    other = mapped(finished, tmp_path / "other", model=own / "model", size=43, crs=crs)
    for folder in (own, other):
        assert {rasterio.open(path).crs.to_epsg() for path in predictions(folder)} == {32633, 32634}
    assert len(predictions(other)) > len(predictions(own))
    assert same_maps([own, other]) > 10_000

    # And where the zones meet no pixel of the area is left out.
    with rasterio.open(other / "map.tif") as file:
        outline = gpd.read_file(finished / "aoi.geojson").to_crs(file.crs).geometry.buffer(-10)
        inside = geometry_mask(outline, out_shape=file.shape, transform=file.transform, invert=True)
        assert (file.read(1)[inside] > 0).all()
    assert inside.sum() > 10_000
    _, cells = make_plan(read_project(other.parent))
    for cell in cells:
        classes = read_raster(other / "predictions" / f"{cell.name}.tif")[0]
        assert cell.mapped() is None or not classes[~cell.mapped()].any()


@pytest.mark.slow
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3035"])
def test_patches_of_250_500_and_730_pixels_give_the_same_map_with_clouds_widened(tmp_path, crs):
    country = small_country(tmp_path / "country", size_km=8, dates=8, seed=2, patch=200)
    assert run(read_project(country), workers=2, options=Options(until="train")).status == 0
    folders = [
        mapped(country, tmp_path / str(size), model=country / "out" / "model", size=size, crs=crs, dilation=40)
        for size in (250, 500, 730)
    ]
    assert same_maps(folders) > 600_000
