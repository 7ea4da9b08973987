"""Clouds by the s2cloudless model: what LightGBM predicts, and masks that know no patch borders."""

import importlib.util
import subprocess
import sys
import warnings

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy.ndimage import map_coordinates

from landweave.errors import InputError
from landweave.features import s2cloudless
from landweave.features.s2cloudless import (
    BANDS,
    THRESHOLD,
    cloud_mask,
    cloud_probability,
    coarse_geobox,
    halo_metres,
    model_file,
    to_fine,
)
from landweave.patch.align import nearest_pixels
from landweave.patch.model import NODATA, to_int16
from landweave.tree_models.text import NotCovered


@pytest.fixture(scope="module")
def model():
    """The model's file; the test skips, and says so, where the optional package is absent."""
    if importlib.util.find_spec("s2cloudless") is None:
        reason = 'the package s2cloudless is not here: pip install "landweave[clouds]"'
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return model_file()


@pytest.fixture(scope="module")
def slovenia(shared_data):
    """Real L1C pixels of five dates, and the masks and probabilities stored with all 68."""
    folder = shared_data / "eolearn_slovenia_patch"
    with np.load(folder / "bands_l1c_5dates.npz") as held:
        places = [list(held["names"]).index(name) for name in BANDS]
        bands = np.moveaxis(held["bands"][..., places], -1, 0)
    stored = {}
    for name in ("cloud_probability", "cloud_mask", "cloud_mask_s2cloudless"):
        with rasterio.open(folder / f"{name}_68dates.tif") as file:
            stored[name] = file.read()
            geobox = GeoBox(file.shape, file.transform, file.crs)
    return bands, stored, geobox


def grid(left, top, width, height, size=10.0):
    return GeoBox((height, width), Affine(size, 0, left, 0, -size, top), "EPSG:32633")


# The model


def test_probabilities_are_lightgbms_own_on_real_pixels(model, slovenia):
    from lightgbm import Booster

    bands, _, _ = slovenia
    expected = Booster(model_file=model).predict(bands.reshape(10, -1).T.astype("float64"), num_threads=1)
    found = cloud_probability(bands)
    assert found.dtype == np.float32
    assert found.shape == bands.shape[1:]
    np.testing.assert_allclose(found.ravel(), expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.ravel() > THRESHOLD, expected.astype("float32") > THRESHOLD)
    assert found.max() > 0.9
    assert found.min() < 0.1


def test_whole_numbers_mean_the_same_reflectance(model, slovenia):
    bands = slovenia[0][:, :, ::9, ::9]
    units = to_int16(bands)
    np.testing.assert_array_equal(cloud_probability(units), cloud_probability(units / 1e4))


@pytest.mark.parametrize("kind", ["int32", "float16", "float32", "float64"])
def test_every_type_of_number_means_its_reflectance(model, slovenia, kind):
    bands = slovenia[0][:, :, ::20, ::20]
    given_bands = to_int16(bands).astype("int32") if kind == "int32" else bands.astype(kind)
    expected = to_int16(bands) if kind == "int32" else given_bands.astype("float64")
    np.testing.assert_array_equal(cloud_probability(given_bands), cloud_probability(expected))


def test_probabilities_need_no_lightgbm(model):
    code = """
import sys
import numpy as np
from landweave.features.s2cloudless import cloud_probability
for kind in ("int16", "float32"):
    assert 0 <= cloud_probability(np.ones((10, 2, 3), kind)).min()
print(*{name.split(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"numba", "landweave"} <= loaded
    assert not {"lightgbm", "sklearn", "s2cloudless", "cv2", "geopandas"} & loaded


@pytest.mark.parametrize("reason", [NotCovered("it has categorical splits"), InputError("The text is broken.")])
def test_lightgbm_evaluates_what_the_kernel_does_not_cover_and_says_why(model, slovenia, monkeypatch, caplog, reason):
    bands = slovenia[0][:, :, ::9, ::9]
    expected = [cloud_probability(bands), cloud_probability(to_int16(bands))]

    def refuse(text):
        raise reason

    monkeypatch.setattr(s2cloudless, "read_forest", refuse)
    s2cloudless._predictor.cache_clear()
    try:
        found = [cloud_probability(bands, threads=2), cloud_probability(to_int16(bands))]
    finally:
        s2cloudless._predictor.cache_clear()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert [str(reason) in record.getMessage() for record in caplog.records] == [True]


def test_a_pixel_that_lacks_a_band_has_no_probability(model, slovenia):
    bands = slovenia[0][:, 0, :2, :3].copy()
    whole = cloud_probability(bands)
    bands[7, 0, 1] = np.nan
    units = to_int16(bands)
    assert units[7, 0, 1] == NODATA
    for given_bands in (bands, units):
        found = cloud_probability(given_bands)
        assert np.argwhere(np.isnan(found)).tolist() == [[0, 1]]
    np.testing.assert_array_equal(np.delete(cloud_probability(bands), 1), np.delete(whole, 1))
    assert np.isnan(cloud_probability(np.full((10, 2, 2), NODATA, "int16"))).all()


def test_neither_threads_nor_blocks_change_a_probability(model, slovenia, monkeypatch):
    bands = slovenia[0][:, 1, ::3, ::3]
    expected = cloud_probability(bands)
    np.testing.assert_array_equal(cloud_probability(bands, threads=2), expected)
    monkeypatch.setattr(s2cloudless, "_ROWS", 100)
    np.testing.assert_array_equal(cloud_probability(bands), expected)


def test_another_number_of_bands_is_refused():
    with pytest.raises(ValueError, match="10 bands"):
        cloud_probability(np.zeros((13, 2, 2), "int16"))


def test_the_package_is_not_imported_for_its_file(model):
    cloud_probability(np.zeros((10, 1), "int16"))
    assert not {"s2cloudless", "cv2", "sentinelhub"} & set(sys.modules)


@pytest.mark.parametrize("lost", ["package", "file"])
def test_a_missing_model_says_what_to_install(monkeypatch, tmp_path, lost):
    (tmp_path / "s2cloudless").mkdir()
    (tmp_path / "s2cloudless" / "__init__.py").touch()
    spec = importlib.util.spec_from_file_location(
        "s2cloudless", tmp_path / "s2cloudless" / "__init__.py", submodule_search_locations=[str(tmp_path)]
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None if lost == "package" else spec)
    with pytest.raises(InputError, match=r'pip install "landweave\[clouds\]"'):
        model_file()


# The grid


@given(
    st.floats(-3e4, 3e4), st.floats(-3e4, 3e4), st.integers(1, 60), st.integers(1, 60), st.integers(60, 160),
    st.floats(0, 400),
)  # fmt: skip
def test_the_coarse_grid_covers_patch_and_halo_on_absolute_multiples(left, top, width, height, metres, halo):
    patch = grid(left, top, width, height)
    coarse = coarse_geobox(patch, metres, halo)
    inner, outer = patch.boundingbox, coarse.boundingbox
    edges = np.array([outer.left, outer.bottom, outer.right, outer.top]) / metres
    np.testing.assert_allclose(edges, np.rint(edges), atol=1e-9)
    assert coarse.crs == patch.crs
    assert (coarse.resolution.x, coarse.resolution.y) == (metres, -metres)
    spare = [inner.left - outer.left, inner.bottom - outer.bottom, outer.right - inner.right, outer.top - inner.top]
    assert all(halo - 1e-6 <= side <= halo + metres + 1e-6 for side in spare)


@pytest.mark.parametrize("metres", [59.9, 161, 0, -60, float("nan")])
def test_a_cell_out_of_bounds_is_refused(metres):
    with pytest.raises(InputError, match="60 to 160"):
        coarse_geobox(grid(0, 0, 3, 3), metres)


def test_degrees_are_refused():
    with pytest.raises(InputError, match="metres"):
        coarse_geobox(GeoBox.from_bbox((14, 45, 15, 46), "EPSG:4326", resolution=0.01), 60)


def test_a_pixel_takes_the_cell_that_holds_its_centre():
    patch = grid(35.0, 300.0, 20, 12)
    coarse = coarse_geobox(patch, 60)
    values = np.arange(coarse.shape[0] * coarse.shape[1], dtype="uint8").reshape(coarse.shape)
    expected = np.empty(patch.shape, "uint8")
    for y in range(12):
        for x in range(20):
            easting, northing = 35.0 + 10 * x + 5, 300.0 - 10 * y - 5
            column, row = easting // 60 - 35 // 60, (coarse.boundingbox.top - northing) // 60
            expected[y, x] = values[int(row), int(column)]
    found = to_fine(values, coarse, patch)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(to_fine(np.stack([values, values + 1]), coarse, patch)[1], expected + 1)
    with pytest.raises(ValueError, match="cover"):
        to_fine(values, coarse, grid(35.0, 400.0, 20, 12))
    with pytest.raises(ValueError, match="fit"):
        to_fine(values[1:], coarse, patch)


# The mask


def brute_mask(probability, average, dilation, threshold):
    """The definition, cell by cell; radii in cells."""
    height, width = probability.shape
    rows, columns = np.mgrid[:height, :width]
    cloudy = np.zeros(probability.shape, bool)
    for y, x in np.ndindex(probability.shape):
        near = probability[np.hypot(rows - y, columns - x) <= average + 1e-9]
        near = near[np.isfinite(near)]
        cloudy[y, x] = len(near) > 0 and near.mean() > threshold
    grown = np.zeros_like(cloudy)
    for y, x in np.argwhere(cloudy):
        grown |= np.hypot(rows - y, columns - x) <= dilation + 1e-9
    return grown


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0, 3.5), st.floats(0, 3.5), st.sampled_from([0.4, 0.61]))
def test_the_mask_is_the_disks_mean_cut_off_and_widened(seed, average, dilation, threshold):
    rng = np.random.default_rng(seed)
    # Sixteenths, whose sums are exact, so that the two orders of summing agree on the threshold.
    probability = rng.integers(0, 17, (9, 11)) / 16
    probability[rng.random(probability.shape) < 0.2] = np.nan
    found = cloud_mask(
        probability, pixel_metres=80, threshold=threshold, average_metres=80 * average, dilation_metres=80 * dilation
    )
    np.testing.assert_array_equal(found, brute_mask(probability, average, dilation, threshold))


def test_a_mask_of_dates_is_the_mask_of_each():
    probability = np.random.default_rng(1).random((3, 12, 14)).astype("float32")
    whole = cloud_mask(probability, pixel_metres=60, threshold=0.5)
    for date in range(3):
        np.testing.assert_array_equal(whole[date], cloud_mask(probability[date], pixel_metres=60, threshold=0.5))


def test_the_published_practice_at_10_and_60_metres_is_nearly_the_same_ground():
    spike = np.zeros((101, 101))
    spike[50, 50] = 1e6
    at_10 = cloud_mask(spike, pixel_metres=10)
    rows, columns = np.mgrid[:101, :101]
    # Everything that the average carries the spike to, widened by 11 pixels.
    reach = np.hypot(rows - 50, columns - 50)
    assert at_10[reach <= 32].all()
    assert not at_10[reach > 33].any()
    assert halo_metres() == 330


def test_unknown_sky_takes_what_is_around_it_and_nothing_at_all_is_clear():
    probability = np.full((5, 5), 0.9)
    probability[2, 2] = np.nan
    assert cloud_mask(probability, pixel_metres=60, average_metres=60, dilation_metres=0)[2, 2]
    assert not cloud_mask(np.full((5, 5), np.nan), pixel_metres=60).any()


class Country:
    """A probability on the whole country's grid of cells, and the part of it that a patch reads."""

    def __init__(self, *, seed, metres, size=60):
        rng = np.random.default_rng(seed)
        self.metres = metres
        self.grid = GeoBox.from_bbox((0, 0, size * metres, size * metres), "EPSG:32633", resolution=metres)
        blobs = np.kron(rng.random((2, size // 4, size // 4)), np.ones((4, 4)))
        self.values = np.clip(blobs + rng.normal(0, 0.2, blobs.shape), 0, 1).astype("float32")
        self.values[rng.random(self.values.shape) < 0.05] = np.nan

    def read(self, geobox):
        rows, columns, inside = nearest_pixels(self.grid, geobox)
        assert inside.all()
        return self.values[:, rows, columns]


@given(
    st.integers(0, 10_000), st.sampled_from([60, 80, 100.5, 160]), st.floats(0, 260), st.floats(0, 200),
    st.floats(1400, 1500), st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip
def test_a_patch_alone_with_its_halo_has_the_mask_of_the_whole(seed, metres, average, dilation, corner, width, height):
    country = Country(seed=seed, metres=metres)
    options = {"pixel_metres": metres, "threshold": 0.5, "average_metres": average, "dilation_metres": dilation}
    patch = grid(corner, corner + 650, width, height)
    expected = to_fine(cloud_mask(country.values, **options), country.grid, patch)
    coarse = coarse_geobox(patch, metres, halo_metres(average, dilation))
    alone = to_fine(cloud_mask(country.read(coarse), **options), coarse, patch)
    np.testing.assert_array_equal(alone, expected)


def test_without_a_halo_borders_would_show():
    country = Country(seed=1, metres=60)
    patch = grid(1400, 2400, 100, 100)
    expected = to_fine(cloud_mask(country.values, pixel_metres=60, threshold=0.5), country.grid, patch)
    coarse = coarse_geobox(patch, 60, 0)
    alone = to_fine(cloud_mask(country.read(coarse), pixel_metres=60, threshold=0.5), coarse, patch)
    assert (alone != expected).any()


# Against what others have stored


def averaged(bands, geobox, coarse):
    """Means of the pixels whose centre a cell holds, NaN where none; (10, time, y, x) of the coarse grid."""
    rows, columns, _ = nearest_pixels(coarse, geobox)
    cells = (rows * coarse.shape[1] + columns).ravel()
    counts = np.bincount(cells, minlength=coarse.shape[0] * coarse.shape[1])
    flat = bands.reshape(-1, cells.size)
    with np.errstate(invalid="ignore"):
        means = np.stack([np.bincount(cells, layer, len(counts)) / counts for layer in flat])
    return means.reshape(*bands.shape[:-2], *coarse.shape)


@pytest.mark.parametrize("metres", [10, 60, 160])
def test_real_masks_agree_with_those_stored_on_95_percent_of_each_date(model, slovenia, metres):
    bands, stored, geobox = slovenia
    if metres == 10:
        mask = cloud_mask(cloud_probability(bands), pixel_metres=10)
    else:
        coarse = coarse_geobox(geobox, metres)
        mask = cloud_mask(cloud_probability(averaged(bands, geobox, coarse)), pixel_metres=metres)
        mask = to_fine(mask, coarse, geobox)
    for name in ("cloud_mask", "cloud_mask_s2cloudless"):
        agreement = (mask == (stored[name][:5] != 0)).mean(axis=(1, 2))
        assert (agreement >= 0.95).all(), (name, agreement)


def test_stored_probabilities_give_the_stored_mask_where_the_sky_is_broken(slovenia):
    """Smoothed over 2 cells and widened by 1 on the 20 x 20 cells that the stored layers were interpolated from."""
    _, stored, _ = slovenia
    rows, columns = np.meshgrid(np.linspace(0, 100, 20), np.linspace(0, 99, 20), indexing="ij")
    broken = 0
    agreements = []
    for probability, mask in zip(stored["cloud_probability"], stored["cloud_mask"] != 0, strict=True):
        if not 0.02 < mask.mean() < 0.98:
            continue
        broken += 1
        cells = map_coordinates(probability.astype("float64"), [rows, columns], order=1)
        found = cloud_mask(cells, pixel_metres=52, average_metres=104, dilation_metres=52)
        agreements.append((found == mask[np.rint(rows).astype(int), np.rint(columns).astype(int)]).mean())
    assert broken >= 15
    assert np.mean(agreements) >= 0.95
