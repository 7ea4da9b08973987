"""A raster as reference: one band of codes, whatever else the file holds and however large it is."""

import time

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin

from landweave.errors import InputError
from landweave.labels import codes_of_raster
from landweave.labels.on_grid import code_at, rasterise
from landweave.labels.reference import overlaps, read_reference, reference_codes
from landweave.legend import Legend

GRID = GeoBox((4, 6), from_origin(500000, 5000040, 10, 10), "EPSG:32633")
CODES = np.array([[1, 1, 2, 2, 3, 3]] * 4)
LEGEND = Legend.from_labels([1, 2, 3])


def save(path, bands, *, mask=None, names=(), **profile):
    bands = np.asarray(bands)
    bands = bands[None] if bands.ndim == 2 else bands
    profile = {"driver": "GTiff", "crs": "EPSG:32633", "transform": GRID.transform, "dtype": bands.dtype, **profile}
    count, height, width = bands.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", count=count, height=height, width=width, **profile) as file,
    ):
        file.write(bands)
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
        if mask is not None:
            file.write_mask(mask)
    return path


def labels(path, **options):
    return rasterise(read_reference(path, **options), GRID, LEGEND)


@pytest.mark.parametrize(
    ("count", "options", "told"),
    [
        (3, {"photometric": "RGB"}, "a picture in red, green and blue (1 red, 2 green, 3 blue); set band"),
        (
            4,
            {"photometric": "RGB", "alpha": "yes"},
            "a picture in red, green and blue (1 red, 2 green, 3 blue); set band",
        ),
        (2, {"names": ("class", "confidence")}, "2 bands (1 class, 2 confidence); set band"),
        (5, {}, "5 bands"),
    ],
)
def test_several_bands_are_refused_until_one_is_named(tmp_path, count, options, told):
    path = save(tmp_path / "r.tif", np.stack([CODES + 10 * i for i in range(count)]).astype("uint8"), **options)
    with pytest.raises(InputError) as caught:
        read_reference(path)
    assert "r.tif" in str(caught.value)
    assert told in str(caught.value)
    reference = read_reference(path, band=2)
    assert reference_codes(reference) == ["11", "12", "13"]
    assert code_at(reference, GRID[0:1, 5:6]) == "13"
    assert rasterise(reference, GRID, Legend.from_labels([11, 12, 13])).values.tolist() == CODES.tolist()
    with pytest.raises(InputError, match=r"no band 9 of codes; it has 1 "):
        read_reference(path, band=9)


def test_a_band_of_transparency_and_a_palette_are_no_bands_of_codes(tmp_path):
    alpha = np.where(CODES == 3, 0, 255)
    path = save(tmp_path / "a.tif", np.stack([CODES, alpha]).astype("uint8"), alpha="yes")
    assert labels(path).values.tolist() == np.where(CODES == 3, 0, CODES).tolist()
    assert reference_codes(read_reference(path)) == ["1", "2"]
    path = save(tmp_path / "p.tif", CODES.astype("uint8"), photometric="palette")
    assert labels(path).values.tolist() == CODES.tolist()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64", "uint16"])
def test_codes_of_any_type_are_whole_numbers_and_nodata_is_none(tmp_path, dtype):
    path = save(tmp_path / "r.tif", np.where(CODES == 2, 99, CODES).astype(dtype), nodata=99)
    assert reference_codes(read_reference(path)) == ["1", "3"]
    assert labels(path).values.tolist() == np.where(CODES == 2, 0, CODES).tolist()
    assert labels(path).unknown == {}


def test_a_mask_and_values_that_are_no_numbers_are_none(tmp_path):
    mask = np.where(CODES == 2, 0, 255).astype("uint8")
    path = save(tmp_path / "m.tif", CODES.astype("uint8"), mask=mask)
    assert reference_codes(read_reference(path)) == ["1", "3"]
    assert labels(path).features == 16
    path = save(tmp_path / "n.tif", np.where(CODES == 2, np.nan, CODES).astype("float32"))
    assert reference_codes(read_reference(path)) == ["1", "3"]
    assert (labels(path).features, labels(path).unknown) == (16, {})


def test_complex_numbers_and_bands_of_vectors_are_refused(tmp_path):
    path = save(tmp_path / "c.tif", CODES.astype("complex64"))
    with pytest.raises(InputError, match=r"c\.tif: band 1 holds complex numbers"):
        read_reference(path)
    (tmp_path / "p.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"label": "1"}, '
        '"geometry": {"type": "Point", "coordinates": [15, 45]}}]}'
    )
    with pytest.raises(InputError, match="band = 1 is for rasters"):
        read_reference(tmp_path / "p.geojson", band=1)


@pytest.fixture(scope="module")
def giant(tmp_path_factory):
    """10^12 pixels of which a hundred blocks hold something, around the middle."""
    path = tmp_path_factory.mktemp("giant") / "giant.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=10**6, width=10**6, dtype="uint8", nodata=0, sparse_ok=True,
        tiled=True, blockxsize=512, blockysize=512, compress="deflate", bigtiff=True, crs="EPSG:32633",
        transform=from_origin(0, 6_000_000, 1, 1),
    ) as file:  # fmt: skip
        block = np.repeat([1, 2], 2560)[None].repeat(5120, axis=0).astype("uint8")
        file.write(block, 1, window=rasterio.windows.Window(976 * 512, 976 * 512, 5120, 5120))
    return path


def test_a_sparse_reference_of_10_to_the_12_pixels_is_looked_at_where_the_patches_are(giant):
    start = time.process_time()
    reference = read_reference(giant)
    left, top = 976 * 512, 6_000_000 - 976 * 512
    grid = GeoBox((40, 40), from_origin(left + 2360, top - 100, 10, 10), "EPSG:32633")
    assert reference_codes(reference, [grid]) == ["1", "2"]
    assert reference_codes(reference, [grid.translate_pix(-5000, 0)]) == []
    assert (rasterise(reference, grid, LEGEND).values == np.repeat([1, 2], 20)[None]).all()
    with pytest.raises(InputError, match="too many to list their codes; give it a legend"):
        reference_codes(reference)
    assert time.process_time() - start < 10


def test_a_patch_over_many_more_pixels_than_memory_holds_is_labelled(giant):
    # A pixel of a kilometre has a million of the raster's under it.
    grid = GeoBox((6, 8), from_origin(976 * 512 - 2000, 6_000_000 - 976 * 512 + 1000, 1000, 1000), "EPSG:32633")
    got = rasterise(read_reference(giant), grid, LEGEND).values
    x = 976 * 512 - 2000 + 1000 * (np.arange(8) + 0.5) - 976 * 512
    y = -1000 + 1000 * (np.arange(6) + 0.5)
    expected = np.where((x < 0) | (x >= 5120), 0, np.where(x < 2560, 1, 2))[None] * ((y >= 0) & (y < 5120))[:, None]
    assert got.tolist() == expected.tolist()


@given(
    st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.floats(3, 40), st.integers(1, 60),
    st.tuples(st.floats(-50, 100), st.floats(-50, 100)),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_codes_on_a_grid_do_not_depend_on_how_much_is_read_at_once(tmp_path_factory, seed, shape, step, most, shift):
    path = save(
        tmp_path_factory.mktemp("r") / "r.tif", np.random.default_rng(seed).integers(0, 5, (20, 20)).astype("uint8"),
        nodata=0,
    )  # fmt: skip
    grid = GeoBox(shape, from_origin(500000 + shift[0], 5000040 - shift[1], step, step), "EPSG:32633")
    with rasterio.open(path) as file:
        whole, inside = codes_of_raster.codes_on_grid(file, path, 1, grid)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codes_of_raster, "_WINDOW", most)
            parts, again = codes_of_raster.codes_on_grid(file, path, 1, grid)
    assert np.array_equal(inside, again)
    assert np.array_equal(whole.filled(0), parts.filled(0))
    assert np.array_equal(np.ma.getmaskarray(whole), np.ma.getmaskarray(parts))


@pytest.mark.parametrize("west", [-180, 0])
def test_a_raster_of_the_globe_may_begin_anywhere(tmp_path, west):
    # A pixel of a degree has its own longitude as code.
    longitude = np.arange(west, west + 360)
    codes = np.where(longitude >= 180, longitude - 360, longitude).astype("int16")[None].repeat(20, axis=0)
    path = save(tmp_path / "r.tif", codes, crs="EPSG:4326", transform=from_origin(west, 10, 1, 1), nodata=-999)
    legend = Legend.from_labels([-150, -149, 20, 21])
    for left, classes in ((-150, [1, 2]), (20, [3, 4])):
        grid = GeoBox((2, 2), from_origin(left, 5, 1, 1), "EPSG:4326")
        reference = read_reference(path)
        assert overlaps(reference, grid)
        assert rasterise(reference, grid, legend).values.tolist() == [classes, classes]
        assert code_at(reference, grid[0:1, 0:1]) == str(left)
