"""On disk: whole or not at all."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landweave.engine.fingerprint import fingerprint_of
from landweave.errors import InputError
from landweave.patch.model import make_patch
from landweave.patch.store import (
    read_patch,
    read_raster,
    write_json,
    write_patch,
    write_raster,
    write_text,
    write_whole,
)

GRID = GeoBox.from_bbox((500_000, 5_000_000, 500_300, 5_000_200), "EPSG:32633", resolution=10)


def test_a_folder_whose_writing_fails_leaves_the_old_one(tmp_path):
    folder = tmp_path / "model"

    def good(part):
        part.mkdir()
        (part / "a.txt").write_text("old")

    def bad(part):
        part.mkdir()
        (part / "a.txt").write_text("new")
        assert [p.name for p in folder.iterdir()] == ["a.txt"], "the old one stands while the new one is written"
        raise OSError(28, "No space left on device")

    write_whole(folder, good)
    before = fingerprint_of(folder)
    with pytest.raises(OSError, match="No space"):
        write_whole(folder, bad)
    assert fingerprint_of(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_replaces_a_folder_entirely(tmp_path):
    def write(name):
        def fill(part):
            part.mkdir()
            (part / name).write_text("x")

        return fill

    write_whole(tmp_path / "model", write("a"))
    write_whole(tmp_path / "model", write("b"))
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_the_file_is_not_there_while_it_is_written_and_keeps_its_suffix(tmp_path):
    path = tmp_path / "deep" / "down" / "map.tif"

    def write(part):
        assert part.suffix == ".tif"
        assert part.name.startswith(".")
        part.write_text("half")
        assert not path.exists()

    assert write_whole(path, write) == path
    assert path.read_text() == "half"


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    def interrupted(part):
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.txt", interrupted)
    assert list(tmp_path.iterdir()) == []


def test_a_patch_half_written_is_never_seen(tmp_path, monkeypatch):
    patch = make_patch({"B04": np.ones((1, *GRID.shape), "int16")}, GRID, ["2020-01-01"])
    whole = xr.Dataset.to_zarr

    def full(self, folder, **options):
        whole(self, folder, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(OSError, match="No space"):
        write_patch(patch, tmp_path / "p.zarr")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"p\.zarr: there is no stored patch"):
        read_patch(tmp_path / "p.zarr")


def test_a_stored_patch_keeps_missing_values_masks_and_attributes(tmp_path):
    patch = make_patch(
        {"B04": np.full((2, *GRID.shape), -32768, "int16"), "mask": np.ones(GRID.shape, bool)},
        GRID, ["2020-01-01", "2020-01-06"],
    )  # fmt: skip
    patch.attrs["source"] = "somewhere"
    patch.B04.attrs["scale"] = 1e-4
    back = read_patch(write_patch(patch, tmp_path / "p.zarr")).load()
    xr.testing.assert_equal(back, patch)
    assert (back.attrs, back.B04.attrs["scale"]) == (patch.attrs, 1e-4)
    assert (back.B04.dtype, back["mask"].dtype) == ("int16", "bool")


@given(st.integers(1, 3), st.integers(1, 300), st.integers(1, 30), st.sampled_from(["uint8", "int16", "float32"]))
@settings(max_examples=15)
def test_a_raster_reads_back_equal_and_is_written_with_the_same_bytes(tmp_path_factory, bands, height, width, dtype):
    folder = tmp_path_factory.mktemp("rasters")
    grid = GeoBox((height, width), GRID.affine, GRID.crs)
    values = np.random.default_rng(height).integers(0, 250, (bands, height, width)).astype(dtype)
    names = [f"band {k}" for k in range(bands)]
    one = write_raster(folder / "a.tif", values, grid, names=names)
    two = write_raster(folder / "b.tif", values, grid, names=names)
    np.testing.assert_array_equal(read_raster(one), values)
    assert one.read_bytes() == two.read_bytes()


def test_text_is_written_as_it_is_in_utf_8(tmp_path):
    text = "Slovenščina\r\nand a line\n"
    path = write_text(tmp_path / "deep" / "a.txt", text)
    assert path.read_bytes() == text.encode("utf-8")
    write_text(path, "other", synced=False)
    assert path.read_bytes() == b"other"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_json_has_one_space_a_level_and_a_line_feed_at_its_end(tmp_path):
    path = write_json(tmp_path / "a.json", {"a": ["š"]})
    assert path.read_bytes() == b'{\n "a": [\n  "\\u0161"\n ]\n}\n'
    assert write_json(path, {"a": ["š"]}, ensure_ascii=False).read_text("utf-8") == '{\n "a": [\n  "š"\n ]\n}\n'
    assert write_json(path, {"a": [1, None]}, indent=None).read_bytes() == b'{"a": [1, null]}\n'
    assert write_json(path, [float("nan")], indent=None, allow_nan=True).read_bytes() == b"[NaN]\n"


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = write_json(tmp_path / "a.json", {"kept": 1})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"share": float("nan")})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
