"""A stored patch read in strips is what Zarr reads."""

import shutil
import threading

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch import stack
from landweave.patch.model import NODATA, make_patch
from landweave.patch.stack import strip_reader
from landweave.patch.staging import assemble, stage
from landweave.patch.store import read_patch, write_patch
from landweave.patch.strips import strip_rows

TIMES, HEIGHT, WIDTH = 5, 150, 130
GEOBOX = GeoBox((HEIGHT, WIDTH), Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_100_000.0), "EPSG:32633")
DAYS = np.datetime64("2020-01-01") + np.arange(TIMES)


@pytest.fixture(scope="module")
def cube():
    numbers = np.random.default_rng(5).integers(-100, 10_000, (3, TIMES, HEIGHT, WIDTH))
    numbers[0, :, :64, 64:] = 0  # a chunk that Zarr does not write, being all 0
    numbers[2] = numbers[2] % 3
    numbers[2, :, 64:128] = 0  # a shard that is not written
    return {"B04": numbers[0].astype("int16"), "B08": numbers[1].astype("int16"), "CLM": numbers[2].astype("uint8")}


@pytest.fixture(scope="module")
def folder(cube, tmp_path_factory):
    place = tmp_path_factory.mktemp("stack")
    parts = [
        [stage(place / "parts", f"d{number}", {name: values[number] for name, values in cube.items()})]
        for number in range(TIMES)
    ]
    kinds = {name: values.dtype.name for name, values in cube.items()}
    return assemble(place / "p.zarr", parts, times=DAYS, variables=kinds, geobox=GEOBOX, notes={})


@given(
    top=st.integers(0, HEIGHT - 1),
    rows=st.integers(1, HEIGHT),
    dates=st.none() | st.lists(st.integers(0, TIMES - 1), unique=True).map(sorted),
    bands=st.lists(st.sampled_from(["B04", "B08"]), unique=True, min_size=1),
)
def test_any_rows_and_dates_are_those_that_were_written(cube, folder, top, rows, dates, bands):
    assert isinstance(stack._layer(folder, "B04"), stack._Sharded), "the quick way knows what assemble writes"
    window = slice(top, min(top + rows, HEIGHT))
    strip = strip_reader(folder, bands=bands, masks=["CLM"], dates=dates)(window)
    chosen = slice(None) if dates is None else dates
    np.testing.assert_array_equal(strip.bands, np.stack([cube[name][chosen, window] for name in bands]))
    np.testing.assert_array_equal(strip.masks["CLM"], cube["CLM"][chosen, window])
    assert strip.masks["CLM"].dtype == np.uint8
    assert strip.bands.dtype == np.int16


def test_zarr_reads_the_same(cube, folder):
    patch = read_patch(folder).load()
    for name, values in cube.items():
        np.testing.assert_array_equal(patch[name].values, values)


def test_a_patch_in_another_layout_is_left_to_zarr(cube, tmp_path):
    path = write_patch(make_patch(cube, GEOBOX, DAYS), tmp_path / "p.zarr")
    assert isinstance(stack._layer(path, "B08"), stack._Plain)
    for dates in (None, [1, 4]):
        strip = strip_reader(path, bands=["B08"], masks=["CLM"], dates=dates)(slice(60, 70))
        chosen = slice(None) if dates is None else dates
        np.testing.assert_array_equal(strip.bands[0], cube["B08"][chosen, 60:70])
        np.testing.assert_array_equal(strip.masks["CLM"], cube["CLM"][chosen, 60:70])


def test_every_shard_is_opened_once_by_strips_of_its_height(folder, monkeypatch):
    opened = []
    decode = stack._Sharded._decode

    def counting(self, number, *rest):
        opened.append((self.folder.name, number))
        decode(self, number, *rest)

    monkeypatch.setattr(stack._Sharded, "_decode", counting)
    read = strip_reader(folder, bands=["B04", "B08"], masks=["CLM"])
    for rows in strip_rows(HEIGHT, 64):
        read(rows)
    assert len(opened) == len(set(opened)) == 9


def test_a_strip_is_good_until_the_one_after_the_next_is_read(cube, folder):
    read = strip_reader(folder, bands=["B04"])
    first, second = read(slice(0, 64)), read(slice(64, 128))
    np.testing.assert_array_equal(first.bands[0], cube["B04"][:, :64])
    np.testing.assert_array_equal(second.bands[0], cube["B04"][:, 64:128])
    third = read(slice(0, 64))
    assert np.shares_memory(third.bands, first.bands)


def test_two_readers_know_nothing_of_each_other(cube, folder):
    right = []

    def go(name):
        read = strip_reader(folder, bands=[name])
        same = [np.array_equal(read(rows).bands[0], cube[name][:, rows]) for rows in strip_rows(HEIGHT, 64)]
        right.append(all(same))

    threads = [threading.Thread(target=go, args=(name,)) for name in ("B04", "B08")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True, True]


def test_a_damaged_shard_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "p.zarr")
    path = tmp_path / "p.zarr" / "B04" / "c" / "0" / "1" / "0"
    whole = path.read_bytes()
    for damaged in (whole[:-100], whole[:-10] + bytes(10), b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            strip_reader(tmp_path / "p.zarr", bands=["B04"])(slice(64, 65))
    path.write_bytes(whole)
    assert (strip_reader(tmp_path / "p.zarr", bands=["B04"])(slice(64, 65)).bands != NODATA).all()


def test_a_chunk_that_unpacks_to_fewer_bytes_is_damaged(cube, tmp_path):
    values = cube["B08"][:, :64]
    stack.describe(tmp_path / "p.zarr" / "B08", values.shape, "int16", rows=64)
    stack.write_shard(tmp_path / "p.zarr" / "B08", 0, values, rows=64)
    read = strip_reader(tmp_path / "p.zarr", bands=["B08"])
    np.testing.assert_array_equal(read(slice(0, 64)).bands[0], values)
    path = tmp_path / "p.zarr" / "B08" / "c" / "0" / "0" / "0"
    path.unlink()
    path.parent.rmdir()
    stack.write_shard(tmp_path / "p.zarr" / "B08", 0, values[:, :20], rows=20)
    with pytest.raises(InputError, match=r"0: damaged .*remove it and run again"):
        read(slice(0, 64))


def test_a_variable_that_is_not_there_is_named(folder):
    with pytest.raises(InputError, match="B11"):
        strip_reader(folder, bands=["B11"])
