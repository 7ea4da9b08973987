"""Real Sentinel-2 pixels: indices and classes equal what others have computed and stored."""

import warnings

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from landweave.features.clouds import CLOUD, NO_DATA, VALID, mask_reasons
from landweave.features.coverage import compare_masks, ndvi_summary, ndvi_tally
from landweave.features.indices import evaluate, index_formula
from landweave.features.interpolation import features
from landweave.features.recipe import Recipe
from landweave.patch.model import NODATA, make_patch
from landweave.sources.files.opened import grid_of
from landweave.sources.pixels import read_codes

BARBELLINO = ["20170703", "20190723"]
FIELDS = ["bids_demo", "bids_workshop", "foss4g_demo"]


def ndvi_of(red, nir):
    return evaluate(index_formula("ndvi"), {"B04": red, "B08": nir})


def units_of(numbers, nodata):
    """Numbers of 1e-4 reflectance as a patch holds them."""
    known = np.isfinite(numbers) & (numbers != nodata)
    return np.where(known, np.nan_to_num(numbers), NODATA).astype("int16")


def barbellino(folder, day):
    with rasterio.open(folder / "sen2r_barbellino" / f"S2A2A_{day}_022_Barbellino_BOA_10.tif") as file:
        bands = units_of(file.read().astype("float64"), file.nodata)
    with rasterio.open(folder / "sen2r_barbellino" / f"S2A2A_{day}_022_Barbellino_NDVI_10.tif") as file:
        return bands[3], bands[7], file.read(1)


def field(folder, name):
    layers = {}
    for variable in ("B04", "B08", "SCL", "NDVI"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            path = f"netcdf:{folder}/s2_field_ndvi_scl/raw_s2_ndvi_field_{name}.nc:{variable}"
            try:
                with rasterio.open(path) as file:
                    layers[variable] = file.read()
            except rasterio.errors.RasterioIOError as error:
                reason = f"{path} cannot be read (is GDAL built without netCDF?): {error}"
                warnings.warn(reason, stacklevel=1)
                pytest.skip(reason)
    return layers


@pytest.mark.parametrize("day", BARBELLINO)
def test_ndvi_of_an_alpine_lake_is_the_stored_one(shared_data, day):
    red, nir, stored = barbellino(shared_data, day)
    # The stored one is in 1e-4, cut off or rounded.
    np.testing.assert_allclose(10_000 * ndvi_of(red / 1e4, nir / 1e4), stored, atol=1)
    assert stored.min() < -9000
    assert stored.max() > 8000


@pytest.mark.parametrize("day", BARBELLINO)
def test_ndvi_in_whole_numbers_is_the_stored_one(shared_data, day):
    red, nir, stored = barbellino(shared_data, day)
    recipe = Recipe(bands=("B04", "B08"), indices=("ndvi",), days=(0,))
    found = features(np.stack([red.ravel(), nir.ravel()])[:, None], np.ones((1, red.size), bool), [0], recipe)
    scale, offset = next((layer.scale, layer.offset) for layer in recipe.layers if layer.name == "ndvi")
    np.testing.assert_allclose(10_000 * (found[:, 2] * scale + offset), stored.ravel(), atol=1.01)


@pytest.mark.parametrize("name", FIELDS)
def test_ndvi_of_a_field_through_the_year_is_the_stored_one(shared_data, name):
    layers = field(shared_data, name)
    red, nir = layers["B04"].astype("float64"), layers["B08"].astype("float64")
    found = ndvi_of(red / 1e4, nir / 1e4)
    stored = np.where(np.isfinite(layers["B04"]), layers["NDVI"], np.nan)
    np.testing.assert_allclose(found, stored, atol=1e-6)
    assert np.isfinite(found).sum() > 5000
    reasons = np.where(np.isfinite(red), VALID, NO_DATA).astype("uint8")
    through = ndvi_summary(ndvi_tally(units_of(red, None), units_of(nir, None), reasons))
    means = np.nanmean(layers["NDVI"].reshape(len(red), -1), axis=1)
    np.testing.assert_allclose(through["all_mean"], means, atol=1e-4)
    np.testing.assert_array_equal(through["valid_mean"], through["all_mean"])
    quantiles = np.nanquantile(layers["NDVI"].reshape(len(red), -1), [0.1, 0.5, 0.9], axis=1)
    for key, expected in zip(("low", "middle", "high"), quantiles, strict=True):
        np.testing.assert_allclose(through[f"all_{key}"], expected, atol=0.015)


@pytest.mark.parametrize("day", BARBELLINO)
def test_each_10_m_pixel_takes_the_class_of_the_20_m_pixel_that_holds_it(shared_data, day):
    folder = shared_data / "sen2r_barbellino"
    path = folder / f"S2A2A_{day}_022_Barbellino_SCL_10.tif"
    fine = grid_of(folder / f"S2A2A_{day}_022_Barbellino_BOA_10.tif")
    coarse = grid_of(path)
    with rasterio.open(path) as file:
        expected = np.kron(file.read(1), np.ones((2, 2), "uint8"))
    np.testing.assert_array_equal(read_codes(path, 1, coarse, fine), expected)
    # An odd corner starts amid a 20 m pixel.
    for rows, columns in ((slice(3, 30), slice(5, 18)), (slice(41, 42), slice(0, 24)), (slice(0, 1), slice(23, 24))):
        np.testing.assert_array_equal(read_codes(path, 1, coarse, fine[rows, columns]), expected[rows, columns])


@pytest.mark.parametrize("day", BARBELLINO)
def test_scene_classes_of_an_alpine_lake_mask_its_clouds_and_shadows_alone(shared_data, day):
    folder = shared_data / "sen2r_barbellino"
    path = folder / f"S2A2A_{day}_022_Barbellino_SCL_10.tif"
    fine = grid_of(folder / f"S2A2A_{day}_022_Barbellino_BOA_10.tif")
    red, nir, _ = barbellino(shared_data, day)
    scl = read_codes(path, 1, grid_of(path), fine)
    patch = make_patch({"B04": red[None], "B08": nir[None], "SCL": scl[None]}, fine, [day])
    reasons = mask_reasons(patch, bands=["B04", "B08"], clouds="scl")[0]
    np.testing.assert_array_equal(reasons == CLOUD, np.isin(scl, [3, 8, 9, 10]))
    np.testing.assert_array_equal(reasons == VALID, np.isin(scl, [2, 4, 5, 6, 7, 11]))


def test_the_two_masks_stored_for_68_dates_compare_as_they_were_counted(shared_data):
    folder = shared_data / "eolearn_slovenia_patch"
    masks = []
    for name in ("cloud_mask", "cloud_mask_s2cloudless"):
        with rasterio.open(folder / f"{name}_68dates.tif") as file:
            masks.append(file.read() == 0)
            geobox = GeoBox(file.shape, file.transform, file.crs)
    a, b = masks
    found = compare_masks(a, b)
    assert found.both + found.only_a + found.only_b + found.neither == 68 * geobox.shape[0] * geobox.shape[1]
    assert found.agreement == np.count_nonzero(a == b) / a.size
    assert found.agreement > 0.97
    assert 0.9 < found.kappa < 1
