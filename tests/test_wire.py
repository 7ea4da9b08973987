"""Files on servers: their blocks are read alone, refusals are borne, and what is read is what lies there."""

import datetime
import json
import os
import random
import time
from concurrent.futures import Future

import numpy as np
import pytest
import rasterio
from archives import Faults, served, write_cog
from far_server import counts, far
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from landweave.sources import pixels, remote
from landweave.sources.files import headers, ranges
from landweave.sources.files.far import Pixels, SmallCopy, Wire
from landweave.sources.files.gate import START, Gate
from landweave.sources.files.opened import grid_of
from landweave.sources.files.pool import side_by_side
from landweave.sources.files.ranges import Client, Mark
from landweave.sources.files.s3 import signed
from landweave.sources.files.tiff import ShortError, StrangeTiffError, parse

WINDOW = Window(100, 70, 90, 130)
NEED = Pixels(top=70, left=100, height=130, width=90)


def rough(size=512, seed=0):
    return np.random.default_rng(seed).integers(1, 9999, (size, size)).astype("uint16")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.01)


def whole(need):
    raise AssertionError("GDAL was asked")


@pytest.mark.parametrize("error", [ValueError, OSError, StrangeTiffError])
def test_what_goes_wrong_ahead_is_left_to_the_reader(caplog, monkeypatch, error):
    asked, known = [], Future()
    known.set_result("a file")

    def need(file):
        asked.append(file)
        raise error("of no use")

    wire = Wire()
    monkeypatch.setattr(wire, "file", lambda _: known)
    wire.ahead("https://example.com/a.tif", need)
    assert asked == ["a file"]
    assert not caplog.records


def read_window(file):
    return file.read(1, window=WINDOW)


# Blocks

KINDS = {
    "cog": {"driver": "COG", "blocksize": 128, "compress": "deflate"},
    "cog, BigTIFF": {"driver": "COG", "blocksize": 128, "compress": "zstd", "bigtiff": "yes"},
    "tiles": {"tiled": True, "blockxsize": 64, "blockysize": 32, "compress": "lzw", "predictor": 2},
    "strips": {"compress": "deflate"},
    "one strip": {"blockysize": 512},
    "big end first": {"endianness": "big", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "bands apart": {"interleave": "band", "count": 3, "tiled": True, "blockxsize": 64, "blockysize": 64},
    "bands together": {"interleave": "pixel", "count": 3, "tiled": True, "blockxsize": 64, "blockysize": 64},
}


def written(place, kind, values):
    options = {"driver": "GTiff", "count": 1, **KINDS[kind]}
    with rasterio.open(
        place, "w", height=512, width=512, dtype="uint16", crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000), **options,
    ) as file:  # fmt: skip
        for band in range(1, options["count"] + 1):
            file.write(values + band, band)
    return place.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_some_blocks_of_a_file_are_read_as_the_whole_file_is(tmp_path, kind):
    data = written(tmp_path / "a.tif", kind, rough())
    tiff = parse(data, len(data))
    for band in range(1, KINDS[kind].get("count", 1) + 1):
        need = Pixels(top=70, left=100, height=130, width=90, band=band)
        blocks = {block: data[slice(*tiff.ends(block))] for block in need.blocks(tiff)}
        with (
            rasterio.open(tmp_path / "a.tif") as file,
            MemoryFile(tiff.small(blocks)) as memory,
            memory.open() as small,
        ):
            assert (small.read(band, window=WINDOW) == file.read(band, window=WINDOW)).all()
            assert (small.crs, small.transform, small.profile) == (file.crs, file.transform, file.profile)
            if kind != "one strip":
                assert len(tiff.small(blocks)) < len(data) / 2
                # A block that is not there is an error, never a hole.
                with pytest.raises(RasterioError):
                    small.read(band, window=Window(400, 400, 100, 100))


def test_a_mask_within_the_file_and_blocks_that_were_never_written_are_read_too(tmp_path):
    values = rough()
    place = tmp_path / "a.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        place, "w", driver="GTiff", height=512, width=512, count=1, dtype="uint16", tiled=True, blockxsize=64,
        blockysize=64, compress="deflate", sparse_ok=True, crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000),
    ) as file:  # fmt: skip
        file.write(values[:128], 1, window=Window(0, 0, 512, 128))
        file.write_mask(values > 5000)
    data = place.read_bytes()
    tiff = parse(data, len(data))
    blocks = {block: data[slice(*tiff.ends(block))] for block in NEED.blocks(tiff)}
    assert {level for level, _ in blocks} == {0, 1}
    with rasterio.open(place) as file, MemoryFile(tiff.small(blocks)) as memory, memory.open() as small:
        assert (small.read(1, window=WINDOW) == file.read(1, window=WINDOW)).all()
        assert (small.read(1, window=WINDOW)[60:] == 0).all()
        assert (small.read_masks(1, window=WINDOW) == file.read_masks(1, window=WINDOW)).all()


def test_the_smallest_copy_is_read_as_from_the_whole_file(tmp_path):
    data = written(tmp_path / "a.tif", "cog", rough())
    tiff = parse(data, len(data))
    need = SmallCopy().blocks(tiff)
    assert {level for level, _ in need} == {2}
    blocks = {block: data[slice(*tiff.ends(block))] for block in need}
    with rasterio.open(tmp_path / "a.tif") as file, MemoryFile(tiff.small(blocks)) as memory, memory.open() as small:
        assert (small.read(1, out_shape=(128, 128)) == file.read(1, out_shape=(128, 128))).all()


def test_a_damaged_header_is_refused_or_asks_for_more_and_nothing_else(tmp_path):
    data = bytearray(written(tmp_path / "a.tif", "cog", rough())[:4000])
    rng = random.Random(0)
    for _ in range(400):
        spoiled = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            spoiled[rng.randrange(600)] = rng.randrange(256)
        try:
            tiff = parse(bytes(spoiled), 500_000)
            NEED.blocks(tiff)
            tiff.small({})
        except (StrangeTiffError, ShortError):
            continue


# Requests


def test_a_window_costs_the_header_and_a_request_for_each_run_of_neighbours(tmp_path):
    values = rough(1024)
    write_cog(tmp_path / "a.tif", values)
    with far(tmp_path, latency=0) as url:
        wire = Wire()
        assert (wire.read(f"{url}/a.tif", NEED, read_window, lambda: whole(None)) == values[70:200, 100:190]).all()
        # Two rows of two blocks each.
        assert counts(url)["requests"] == 3
        wire.read(f"{url}/a.tif", NEED, read_window, lambda: whole(None))
        assert counts(url)["requests"] == 3
        assert counts(url)["bytes"] < 32_768 + 5 * 128 * 128 * 2


def test_refusals_and_answers_that_break_off_change_no_pixel(tmp_path):
    values = {f"{n}.tif": rough(384, n) for n in range(12)}
    for name, content in values.items():
        write_cog(tmp_path / name, content)
    with far(tmp_path, latency=0.002, refuse=0.3, cut=0.2, after=0.05, seed=1) as url:
        wire = Wire(16)
        found = side_by_side(
            lambda name: wire.read(f"{url}/{name}", NEED, read_window, lambda: whole(None)), list(values), 6
        )
        for name, there in zip(values, found, strict=True):
            assert (there == values[name][70:200, 100:190]).all()
        seen = counts(url)
    assert seen["refused"] > 5
    assert seen["cut"] > 2
    assert seen["requests"] < 100


def test_a_server_says_when_it_wants_to_be_asked_again(tmp_path):
    (tmp_path / "a").write_bytes(b"12345678")
    for after, least in (("0.4", 0.4), ("Fri, 01 Jan 2100 00:00:00 GMT", 0.3)):
        faults = Faults(lambda number, path, after=after: (503, {"Retry-After": after}) if number == 1 else None)
        with served(tmp_path, faults) as url, pytest.MonkeyPatch.context() as patch:
            patch.setattr(ranges, "TOLD", 0.4)
            began = time.monotonic()
            assert Client().read(f"{url}/a", 2, 5)[0] == b"345"
            assert least <= time.monotonic() - began < 3


def test_what_came_before_an_answer_broke_off_is_not_asked_for_again(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(200)))
    asked = []

    def rule(number, path):
        asked.append(number)
        return "cut" if number <= 4 else None

    with served(tmp_path, Faults(rule)) as url:
        assert Client().read(f"{url}/a", 0, 160)[0] == bytes(range(160))
    assert len(asked) == 5


def test_a_server_that_is_gone_is_given_up_after_five_tries_and_one_that_answers_others_after_more(
    tmp_path, monkeypatch
):
    (tmp_path / "good").write_bytes(b"1")
    (tmp_path / "bad").write_bytes(b"1")
    faults = Faults(lambda number, path: 503 if path.startswith("/bad") else None)
    with served(tmp_path, faults) as url:
        client = Client()
        with pytest.raises(OSError, match=r"/bad: not read after 5 tries: the server answers 503\.$"):
            client.read(f"{url}/bad?sig=secret", 0, 1)
        assert faults.failed == 5
        client.host(url).answered = float("inf")
        monkeypatch.setattr(remote, "LONGEST", 0.02)
        with pytest.raises(OSError, match="not read after 20 tries"):
            client.read(f"{url}/bad", 0, 1)


def test_a_request_is_not_sent_on_to_what_only_this_machine_can_ask(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    with served(tmp_path) as other:
        faults = Faults(lambda number, path: (302, {"Location": f"{other}/a"}))
        with served(tmp_path, faults) as url, pytest.raises(OSError, match="names another server, which is not asked"):
            Client().read(f"{url}/a", 0, 1)
        again = Faults(lambda number, path: (302, {"Location": "/a?2"}) if number == 1 else None)
        with served(tmp_path, again) as url:
            assert Client().read(f"{url}/a", 0, 1)[0] == b"1"


def test_a_request_is_signed_as_amazons_documentation_has_it():
    # "Example: GET Object" of Signature Version 4 signs a hash of the empty body; ours is unsigned, the rest is the same.
    keys = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""
    now = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)
    fields = signed("https://examplebucket.s3.amazonaws.com/test.txt", {}, keys=keys, region="us-east-1", now=now)
    assert fields["x-amz-date"] == "20130524T000000Z"
    assert (
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;"
        in fields["authorization"]
    )


# How many at a time


def answers(gate, refuse, rounds=120, seed=0):
    """As many answers at a time as the gate lets through, round by round; the bounds that it had."""
    rng, bounds = random.Random(seed), []
    for _ in range(rounds):
        bounds.append(gate.limit)
        for number in range(gate.limit):
            gate.answered(refused=refuse(number, rng))
    return bounds


def test_a_server_that_bears_all_gets_as_many_requests_as_allowed():
    assert answers(Gate(32), lambda number, rng: False)[:4] == [8, 16, 32, 32]
    assert set(answers(Gate(5), lambda number, rng: False)) == {5}


@pytest.mark.parametrize("most", [1, 2, 4, 12])
def test_a_server_that_bears_few_gets_few(most):
    bounds = answers(Gate(32), lambda number, rng: number >= most)
    assert np.median(bounds[-60:]) <= max(1.5 * most, most + 1)
    assert np.mean(bounds[-60:]) >= 0.6 * most


@pytest.mark.parametrize("seed", range(4))
def test_refusals_that_do_not_come_from_the_load_do_not_slow_it_down(seed):
    bounds = answers(Gate(32), lambda number, rng: rng.random() < 0.3, seed=seed)
    assert np.mean(bounds[-60:]) > START


# Headers that are kept


def test_a_header_is_read_once_and_kept_without_pixels(tmp_path):
    values = rough()
    write_cog(tmp_path / "a.tif", values)
    folder = tmp_path / "out" / "headers"
    folder.parent.mkdir()
    with far(tmp_path, latency=0) as url:
        address = f"{url}/a.tif"
        first = Wire(folder=folder).read(address, NEED, read_window, lambda: whole(None))
        before = counts(url)["requests"]
        again = Wire(folder=folder).read(address, NEED, read_window, lambda: whole(None))
        assert counts(url)["requests"] - before == 2
    assert (first == again).all()
    (kept,) = (path for path in folder.rglob("*") if path.is_file())
    assert kept.stat().st_size < 2000
    assert headers.kept(folder, address)[1].size == (tmp_path / "a.tif").stat().st_size
    for spoil in (b"", b"{}", kept.read_bytes()[:-9], kept.read_bytes().replace(b"a.tif", b"b.tif"), b"[" * 100_000):
        kept.write_bytes(spoil)
        assert headers.kept(folder, address) is None


def test_a_file_that_was_replaced_gives_its_new_pixels_and_never_a_mixture(tmp_path):
    old, new = rough(seed=1), rough(seed=2)
    folder = tmp_path / "out" / "headers"
    folder.parent.mkdir()
    write_cog(tmp_path / "a.tif", old)
    with far(tmp_path, latency=0) as url:
        address = f"{url}/a.tif"
        wire = Wire(folder=folder)
        assert (wire.read(address, NEED, read_window, lambda: whole(None)) == old[70:200, 100:190]).all()
        write_cog(tmp_path / "a.tif", new)
        os.utime(tmp_path / "a.tif", ns=(1, 1))
        # Of the old file some blocks are known, and its header: other blocks tell that it is another one.
        other = Pixels(top=0, left=0, height=512, width=512)
        for one in (wire, Wire(folder=folder)):
            there = one.read(address, other, lambda file: file.read(1), lambda: whole(None))
            assert (there == new).all()
        assert headers.kept(folder, address)[1].etag == f'"1-{(tmp_path / "a.tif").stat().st_size:x}"'


def test_a_header_is_not_kept_where_a_change_would_not_be_seen(tmp_path):
    headers.keep(tmp_path / "headers", "https://host/a.tif", b"II", Mark(size=2))
    headers.keep(tmp_path / "none" / "headers", "https://host/a.tif", b"II", Mark(size=2, etag='"1"'))
    assert list(tmp_path.iterdir()) == []
    headers.keep(tmp_path / "headers", "https://host/a.tif?sig=secret", b"II", Mark(size=2, etag='"1"'))
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert b"secret" not in kept.read_bytes()
    assert json.loads(kept.read_bytes().split(b"\n")[0])["address"] == "https://host/a.tif"


def test_what_is_no_geotiff_is_left_to_gdal(tmp_path):
    (tmp_path / "a.tif").write_text("no image")
    with served(tmp_path) as url:
        assert Wire().read(f"{url}/a.tif", NEED, read_window, lambda: "GDAL") == "GDAL"
        assert Wire().read(f"{url}/a.jp2", NEED, read_window, lambda: "GDAL") == "GDAL"


def test_a_proxy_a_password_file_or_settings_of_gdals_own_are_left_to_gdal(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    assert ranges.is_ours("https://host/a.tif")
    for name, value in {"https_proxy": "http://p", "GDAL_HTTP_HEADERS": "A: b", "NETRC": str(tmp_path)}.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert not ranges.is_ours("https://host/a.tif")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert not ranges.is_ours("s3://bucket/a.tif")


def test_pixels_of_a_server_equal_those_of_the_disk(tmp_path):
    values = rough()
    write_cog(tmp_path / "a.tif", values)
    with far(tmp_path, latency=0) as url:
        for start, shape in (((-5, 500), (20, 30)), ((100, 100), (64, 300)), ((600, 0), (4, 4))):
            there = pixels.read_window(f"{url}/a.tif", 1, 0, start, shape)
            np.testing.assert_array_equal(there, pixels.read_window(tmp_path / "a.tif", 1, 0, start, shape))
        assert (pixels.read_coarse(f"{url}/a.tif") == pixels.read_coarse(tmp_path / "a.tif")).all()
        assert grid_of(f"{url}/a.tif") == grid_of(tmp_path / "a.tif")
