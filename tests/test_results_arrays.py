"""Maps and imagery on one grid: what is drawn is what lies on disk."""

import datetime
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from worlds import two_class_world

from landweave.errors import InputError
from landweave.patch.align import to_crs
from landweave.patch.grid import utm_cells
from landweave.patch.store import read_raster, write_raster
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.arrays import read_layers, true_colour
from landweave.runs.results.run import open_run, stretch


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A finished run of four patches, and its true cover."""
    folder = tmp_path_factory.mktemp("shown")
    project, cover = two_class_world(folder, size=40, patch=20)
    assert run(read_project(project), workers=1).status == 0
    return open_run(project), cover


def degrees(grid, row, column):
    """Longitude and latitude of a pixel's centre."""
    x, y = grid.affine * (column + 0.5, row + 0.5)
    lon, lat = to_crs(np.array([x]), np.array([y]), source=grid.crs, target="EPSG:4326")
    return float(lon[0]), float(lat[0])


def test_layers_hold_what_the_run_wrote_on_the_grid_of_its_map(world):
    finished, cover = world
    layers = read_layers(finished)
    with rasterio.open(finished.folder / "map.tif") as file:
        np.testing.assert_array_equal(layers.prediction, file.read(1))
        assert layers.odc.geobox.affine == file.transform
    np.testing.assert_array_equal(layers.reference, cover)
    for cell in finished.cells:
        known = finished.patch(cell.name)
        part = layers.sel(x=known.x, y=known.y, method="nearest")
        np.testing.assert_array_equal(part.held_out, known.prediction_oof)
    np.testing.assert_array_equal(layers.disagreement, np.where(layers.held_out == layers.reference, 1, 2))
    # Every observation of this world counts.
    assert (layers.observations == 3).all()
    assert set(np.unique(layers.disagreement)) <= {1, 2}
    assert layers.confidence.values.max() <= 100


def test_a_square_around_a_place_is_that_part_of_the_whole_and_ends_with_it(world):
    finished, _ = world
    layers = read_layers(finished)
    part = read_layers(finished, around=degrees(layers.odc.geobox, 17, 22), metres=90)
    np.testing.assert_array_equal(part.prediction, layers.prediction[13:22, 18:27])
    np.testing.assert_array_equal(part.x, layers.x[18:27])
    corner = read_layers(finished, around=degrees(layers.odc.geobox, 0, 39), metres=90)
    np.testing.assert_array_equal(corner.reference, layers.reference[0:5, 35:40])
    with pytest.raises(InputError, match="outside the map"):
        read_layers(finished, around=(0, 0))


def test_a_large_map_is_shrunk_by_the_commonest_value(world):
    finished, cover = world
    small = read_layers(finished, side=8)
    blocks = (cover.reshape(8, 5, 8, 5) == 7).sum(axis=(1, 3))
    np.testing.assert_array_equal(small.reference, np.where(blocks > 12, 7, 2))
    assert small.odc.geobox.boundingbox == read_layers(finished).odc.geobox.boundingbox


def test_a_layer_that_covers_less_than_the_map_is_empty_beyond(world, tmp_path):
    finished, cover = world
    copy = shutil.copytree(finished.plan.project.file.parent, tmp_path / "copy")
    lost = open_run(copy)
    first = next(cell for cell in lost.cells if cell.geobox[0:1, 0:1] == read_layers(finished).odc.geobox[0:1, 0:1])
    beside = next(cell for cell in lost.cells if cell.geobox.boundingbox.right == first.geobox.boundingbox.right
                  and cell is not first)  # fmt: skip
    # The western column has no labels, so that the reference begins further east than the map.
    for cell in (first, beside):
        (lost.folder / "labels" / f"{cell.name}.tif").unlink()
    shown = read_layers(lost)
    np.testing.assert_array_equal(shown.reference[:, 20:], cover[:, 20:])
    assert not shown.reference[:, :20].any()
    assert shown.prediction[:, :20].all()


def test_the_whole_map_is_cut_to_where_it_holds_a_class(world, tmp_path):
    finished, _ = world
    copy = open_run(shutil.copytree(finished.plan.project.file.parent, tmp_path / "copy"))
    values = read_raster(copy.folder / "map.tif")
    values[:, :7], values[:, :, 31:] = 0, 0
    write_raster(copy.folder / "map.tif", values, read_layers(finished).odc.geobox)
    layers, whole = read_layers(copy), read_layers(finished)
    assert layers.sizes == {"y": 33, "x": 31}
    for name in ("prediction", "reference", "held_out", "observations"):
        np.testing.assert_array_equal(layers[name], whole[name][7:, :31])
    np.testing.assert_array_equal(layers.y, whole.y[7:])


def test_imagery_on_a_grid_comes_from_the_patch_that_lies_there(world):
    finished, _ = world
    grid, day = read_layers(finished).odc.geobox, finished.plan.dates[1]
    bands = finished.plan.source.load(grid, [day], ["B04", "B08"])
    # Two bands are shown by the first, in grey.
    np.testing.assert_array_equal(true_colour(finished, grid, day), stretch(np.stack([bands.B04.values[0]])))
    with pytest.raises(InputError, match="not a date of this run"):
        true_colour(finished, grid, datetime.date(1999, 1, 1))
    with pytest.raises(InputError, match="there is no imagery of 2020-06-01 for this place"):
        true_colour(finished, grid.translate_pix(500, 0), day)


def test_patches_of_two_zones_show_the_same_ground():
    import shapely

    # Across 18 degrees east, the border of zones 33 and 34.
    cells = utm_cells(shapely.box(17.99, 46.0, 18.01, 46.01), resolution=10, patch_size=40)
    assert {str(cell.geobox.crs) for cell in cells} == {"EPSG:32633", "EPSG:32634"}
    by_name = {cell.name: cell for cell in cells}

    def east_of_border(name, day):
        """Metres east of 18 degrees, which both zones can tell: (1, y, x)."""
        box = by_name[name].geobox
        rows, columns = np.mgrid[: box.shape[0], : box.shape[1]]
        x, y = box.affine * (columns + 0.5, rows + 0.5)
        lon, _ = to_crs(x, y, source=box.crs, target="EPSG:4326")
        return np.round((lon - 18) * 77_400)[None].astype("int16")

    day = datetime.date(2020, 5, 1)
    made = SimpleNamespace(
        cells=cells, plan=SimpleNamespace(dates=(day,)), colours=east_of_border, folder="out",
    )  # fmt: skip
    grid = GeoBox.from_bbox((17.995, 46.003, 18.005, 46.007), "EPSG:4326", resolution=0.0001)
    shown = true_colour(made, grid, day)[..., 0].astype(int)
    assert (np.diff(shown, axis=1) >= 0).all()
    assert (shown[:, 0].max(), shown[:, -1].min()) == (0, 255)
