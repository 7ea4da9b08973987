"""The mosaic against numpy: the same pixels, with colours, names and overviews, and the same bytes each time."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform
from rio_cogeo.cogeo import cog_validate

from landweave.errors import InputError
from landweave.legend import LandClass, Legend
from landweave.maps.mosaic import mosaic

LEGEND = Legend(
    classes=(
        LandClass(value=2, name="forest & <b>wood</b>", color="#009e73"),
        LandClass(value=1, name='water "deep"', color="#0072b2"),
        LandClass(value=5, name="barje ščž", color="#e69f00"),
    )
)
UTM33 = "EPSG:32633"


def write(path, pixels, *, crs=UTM33, left=500_000.0, top=5_100_000.0, size=(10.0, 10.0)):
    """A prediction: band 1 class, band 2 confidence (class * 10)."""
    pixels = np.asarray(pixels, "uint8")
    transform = Affine(size[0], 0, left, 0, -size[1], top)
    height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=2, dtype="uint8", crs=crs, transform=transform, width=width, height=height,
        compress="deflate",
    ) as target:  # fmt: skip
        target.write(pixels, 1)
        target.write(pixels * 10, 2)
    return Path(path)


def random_classes(shape, seed=0):
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 5], "uint8"), shape)


@pytest.fixture
def square(tmp_path):
    """2 x 2 patches of 300 x 400 pixels, and the country they were cut from."""
    country = random_classes((600, 800))
    parts = {}
    for row in range(2):
        for column in range(2):
            pixels = country[row * 300 : row * 300 + 300, column * 400 : column * 400 + 400]
            name = f"x{column}y{row}"
            parts[name] = write(
                tmp_path / f"{name}.tif", pixels, left=500_000 + column * 4000, top=5_100_000 - row * 3000
            )
    return country, parts


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


def test_four_patches_become_the_country_they_were_cut_from(square, tmp_path):
    country, parts = square
    mosaic(parts, tmp_path / "out" / "map.tif", band=1, legend=LEGEND)
    with rasterio.open(tmp_path / "out" / "map.tif") as found:
        np.testing.assert_array_equal(found.read(1), country)
        assert found.transform == Affine(10, 0, 500_000, 0, -10, 5_100_000)
        assert found.crs.to_epsg() == 32633
        assert found.nodata == 0
        assert found.count == 1


def test_the_map_carries_its_colours_names_and_overviews(square, tmp_path):
    _, parts = square
    path = tmp_path / "map.tif"
    mosaic(parts, path, band=1, legend=LEGEND)
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as found:
        colors = found.colormap(1)
        assert {value: colors[value] for value in (1, 2, 5)} == {c.value: (*c.rgb, 255) for c in LEGEND.classes}
        assert found.tags(1) == {f"class_{c.value}": c.name for c in LEGEND.classes}
        assert found.descriptions == ("class",)
        assert found.overviews(1) == [2]
        assert found.profile["compress"] == "deflate"
        assert found.block_shapes == [(512, 512)]
    names = [c.text or "" for c in ET.parse(tmp_path / "map.tif.aux.xml").iter("Category")]
    assert names == ["none", 'water "deep"', "forest & <b>wood</b>", "", "", "barje ščž"]


def test_gdal_itself_reads_the_category_names(square, tmp_path):
    _, parts = square
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert [Path(name).name for name in found.files] == ["map.tif", "map.tif.aux.xml"]
    # A copy as VRT shows what GDAL's own reader understood.
    rasterio.shutil.copy(tmp_path / "map.tif", tmp_path / "copy.vrt", driver="VRT")
    categories = [c.text or "" for c in ET.parse(tmp_path / "copy.vrt").iter("Category")]
    assert categories[:3] == ["none", 'water "deep"', "forest & <b>wood</b>"]


def test_overviews_of_classes_show_the_commonest_class_and_of_confidence_the_mean(tmp_path):
    pixels = np.tile(np.array([[1, 1], [5, 2]], "uint8"), (300, 300))
    pixels[:, :300:2] = 0
    parts = {"a": write(tmp_path / "a.tif", pixels)}
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    mosaic(parts, tmp_path / "confidence.tif", band=2, overviews="average")
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as found:
        classes = found.read(1)
    assert (classes[:, 150:] == 1).all()
    assert set(np.unique(classes[:, :150])) <= {1, 2}
    with rasterio.open(tmp_path / "confidence.tif", overview_level=0) as found:
        confidence = found.read(1)
        # No colours, no tags, no class names.
        assert found.tags(1) == {}
    # 22.5, the mean of 10, 10, 50 and 20, rounded up.
    assert (confidence[:, 150:] == 23).all()
    # Pixels without data do not pull the mean down.
    assert (confidence[:, :150] == 15).all()
    assert not (tmp_path / "confidence.tif.aux.xml").exists()


def test_the_same_bytes_for_any_order_any_threads_and_any_time(square, tmp_path):
    _, parts = square
    paths = [tmp_path / name / "map.tif" for name in "abc"]
    mosaic(parts, paths[0], band=1, legend=LEGEND)
    mosaic(dict(reversed(parts.items())), paths[1], band=1, legend=LEGEND, threads=2)
    mosaic(parts, paths[2], band=1, legend=LEGEND)
    mosaic(parts, paths[2], band=1, legend=LEGEND)
    assert len({path.read_bytes() for path in paths}) == 1
    assert len({path.with_name("map.tif.aux.xml").read_bytes() for path in paths}) == 1
    assert names_in(paths[2].parent) == ["map.tif", "map.tif.aux.xml"]


def test_gaps_stay_without_data(square, tmp_path):
    country, parts = square
    del parts["x1y0"]
    country[:300, 400:] = 0
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), country)


def test_where_patches_overlap_the_first_by_name_with_data_wins(tmp_path):
    first, second = random_classes((40, 50), 1), random_classes((40, 50), 2)
    parts = {"b": write(tmp_path / "1.tif", second), "a": write(tmp_path / "2.tif", first)}
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), np.where(first == 0, second, first))


@pytest.mark.parametrize(
    ("left", "top", "size"), [(-46.123457, -12.034567, (1 / 1113.1, 1 / 977.7)), (7.3, 11.1, (63.9, 64.2))]
)
def test_a_grid_of_odd_origin_and_pixels_is_kept_exactly(tmp_path, left, top, size):
    country = random_classes((70, 90))
    crs = "EPSG:4326" if left < 0 else UTM33
    parts = {
        str(x): write(
            tmp_path / f"{x}.tif", country[:, x : x + 30], crs=crs, left=left + x * size[0], top=top, size=size
        )
        for x in (0, 30, 60)
    }
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    with rasterio.open(tmp_path / "map.tif") as found:
        np.testing.assert_array_equal(found.read(1), country)
        assert found.transform.almost_equals(Affine(size[0], 0, left, 0, -size[1], top), precision=1e-9)


def test_two_zones_join_on_the_grid_of_the_commoner_one(tmp_path):
    # 18 degrees east is where zones 33 and 34 meet; one class in each patch.
    (x33,), (y33,) = transform("EPSG:4326", UTM33, [17.99], [46.0])
    (x34,), (y34,) = transform("EPSG:4326", "EPSG:32634", [18.01], [46.0])
    x33, y33, x34, y34 = (round(v, -1) for v in (x33, y33, x34, y34))
    parts = {
        "33x0": write(tmp_path / "0.tif", np.full((100, 100), 1), left=x33 - 1000, top=y33),
        "33x1": write(tmp_path / "1.tif", np.full((100, 100), 2), left=x33 - 2000, top=y33),
        "34x0": write(tmp_path / "2.tif", np.full((100, 100), 5), crs="EPSG:32634", left=x34, top=y34),
    }
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert found.crs.to_epsg() == 32633
        assert found.res == (10, 10)
        pixels = found.read(1)
        assert (pixels == 1).sum() == 100 * 100
        assert (pixels == 2).sum() == 100 * 100
        assert (pixels == 5).sum() == pytest.approx(100 * 100, rel=0.02)
        # Every pixel of the foreign patch is where its own coordinates say.
        (x,), (y,) = transform("EPSG:32634", UTM33, [x34 + 500], [y34 - 500])
        assert next(found.sample([(x, y)]))[0] == 5
    first = (tmp_path / "map.tif").read_bytes()
    mosaic(dict(reversed(parts.items())), tmp_path / "map.tif", band=1, legend=LEGEND)
    assert (tmp_path / "map.tif").read_bytes() == first


def test_of_equally_common_zones_the_first_by_name_is_taken(tmp_path):
    parts = {
        "a": write(tmp_path / "0.tif", np.full((50, 50), 1), crs="EPSG:32634", left=270_000),
        "b": write(tmp_path / "1.tif", np.full((50, 50), 2), left=730_000),
    }
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert found.crs.to_epsg() == 32633


def test_another_crs_is_a_grid_of_whole_multiples_of_the_resolution(square, tmp_path):
    _, parts = square
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND, crs="EPSG:3035", resolution=20)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert found.crs.to_epsg() == 3035
        assert found.res == (20, 20)
        assert found.transform.c % 20 == 0
        assert found.transform.f % 20 == 0
        pixels = found.read(1)
        assert set(np.unique(pixels)) == {0, 1, 2, 5}
        rng = np.random.default_rng(0)
        rows, columns = rng.integers(0, found.height, 500), rng.integers(0, found.width, 500)
        xs, ys = found.transform.c + 20 * (columns + 0.5), found.transform.f - 20 * (rows + 0.5)
    xs, ys = (np.array(v) for v in transform("EPSG:3035", UTM33, xs, ys))
    country = np.zeros((600, 800), "uint8")
    for name, path in parts.items():
        x, y = int(name[1]), int(name[3])
        country[y * 300 : y * 300 + 300, x * 400 : x * 400 + 400] = read(path)
    column, row = (xs - 500_000) / 10, (5_100_000 - ys) / 10
    inside = (column >= 0) & (column < 800) & (row >= 0) & (row < 600)
    expected = np.where(inside, country[np.clip(row, 0, 599).astype(int), np.clip(column, 0, 799).astype(int)], 0)
    np.testing.assert_array_equal(expected, pixels[rows, columns])


@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:3035", 20), ("EPSG:32634", 10), ("EPSG:4326", 1e-4)])
def test_how_the_country_is_cut_changes_no_byte_of_a_map_in_another_crs(tmp_path, crs, resolution):
    country = random_classes((400, 600))
    country[country == 0] = 1
    for name, (height, width) in {"few": (200, 300), "many": (73, 91)}.items():
        parts = {
            f"x{column}y{row}": write(
                tmp_path / f"{name}_{row}_{column}.tif", country[row : row + height, column : column + width],
                left=500_000 + 10 * column, top=5_100_000 - 10 * row,
            )
            for row in range(0, 400, height) for column in range(0, 600, width)
        }  # fmt: skip
        mosaic(parts, tmp_path / f"{name}.tif", band=1, crs=crs, resolution=resolution)
    few, many = (tmp_path / f"{name}.tif" for name in ("few", "many"))
    assert few.read_bytes() == many.read_bytes()
    assert np.count_nonzero(read(few)) > 50_000


def test_parts_half_a_pixel_apart_are_brought_to_one_grid(tmp_path):
    parts = {
        "a": write(tmp_path / "a.tif", np.full((20, 20), 1)),
        "b": write(tmp_path / "b.tif", np.full((20, 20), 2), left=500_205),
    }
    mosaic(parts, tmp_path / "map.tif", band=1, legend=LEGEND)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert found.transform == Affine(10, 0, 500_000, 0, -10, 5_100_000)
        pixels = found.read(1)
    assert (pixels[:, :20] == 1).all()
    assert (pixels[:, 21:40] == 2).all()


def test_bad_parts_are_refused_in_one_line_and_nothing_is_left(tmp_path):
    good = write(tmp_path / "good.tif", np.ones((4, 4)))
    broken = tmp_path / "broken.tif"
    broken.write_text("not a raster")
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no patch"):
        mosaic({}, out / "map.tif", band=1)
    for parts, band, message in (
        ({"a": good, "b": broken}, 1, "patch b is not readable"),
        ({"a": tmp_path / "missing.tif"}, 1, "patch a is not readable"),
        ({"a": good}, 3, "no band 3"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            mosaic(parts, out / "map.tif", band=band, legend=LEGEND)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="EPSG:99999"):
        mosaic({"a": good}, out / "map.tif", band=1, crs="EPSG:99999")
    assert names_in(out) == []


def test_a_failed_write_leaves_the_map_of_before(square, tmp_path, monkeypatch):
    _, parts = square
    out = tmp_path / "out"
    mosaic(parts, out / "map.tif", band=1, legend=LEGEND)
    before = (out / "map.tif").read_bytes()

    def full(source, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rasterio.shutil.copy", full)
    with pytest.raises(OSError, match="No space"):
        mosaic(dict(list(parts.items())[:2]), out / "map.tif", band=1, legend=LEGEND)
    assert (out / "map.tif").read_bytes() == before
    assert names_in(out) == ["map.tif", "map.tif.aux.xml"]


def test_a_part_whose_pixels_are_cut_off_stops_the_map_and_never_becomes_a_gap(square, tmp_path):
    _, parts = square
    whole = parts["x1y1"].read_bytes()
    parts["x1y1"].write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(OSError, match=r"x1y1.*Read"):
        mosaic(parts, tmp_path / "out" / "map.tif", band=1, legend=LEGEND)
    assert not (tmp_path / "out" / "map.tif").exists()


def test_a_full_disk_stops_the_map(square, tmp_path):
    _, parts = square
    program = f"""
import resource, signal
from pathlib import Path
from landweave.maps.mosaic import mosaic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
mosaic({ {name: str(path) for name, path in parts.items()}!r}, Path({str(tmp_path / "out" / "map.tif")!r}), band=1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "OSError" in done.stderr.splitlines()[-1]
    assert names_in(tmp_path / "out") == []
