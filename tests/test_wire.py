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

from landweave.errors import InputError
from landweave.sources import pixels, remote
from landweave.sources.files import headers, ranges
from landweave.sources.files.far import ReplacedError, Wire, of_one_file
from landweave.sources.files.gate import START, Gate
from landweave.sources.files.needs import Pixels, SmallCopy
from landweave.sources.files.opened import grid_of
from landweave.sources.files.pool import side_by_side
from landweave.sources.files.ranges import ChangedError, Client, Mark, NoRangesError
from landweave.sources.files.s3 import s3_request, signed
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


class Told:
    """An answer with a body in pieces, as of urllib3; what is read behind them never ends."""

    def __init__(self, pieces, *, status=206, **fields):
        self.status, self.pieces, self.used = status, list(pieces), []
        self.headers = {name.replace("_", "-"): value for name, value in fields.items()}

    def read1(self, most):
        return self.pieces.pop(0)[:most] if self.pieces else b""

    def __getattr__(self, name):
        if name not in {"close", "drain_conn", "release_conn"}:
            raise AttributeError(name)
        return lambda: self.used.append(name)


def client_told(monkeypatch, answer):
    """A client whose requests get ``answer(url, fields)``, and the list of them."""
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    client, asked = Client(), []

    def request(method, url, *, headers, **options):
        asked.append((url, headers))
        return answer(url, headers)

    monkeypatch.setattr(client._web, "request", request)
    return client, asked


@pytest.mark.parametrize(
    ("fields", "reused"),
    [({"Content_Length": "3"}, True), ({}, False), ({"Content_Length": "900"}, False),
     ({"Content_Length": "3", "Transfer_Encoding": "chunked"}, False)],
)  # fmt: skip
def test_a_connection_is_used_again_only_where_nothing_is_left_in_it(monkeypatch, fields, reused):
    answer = Told([b"abc"], Content_Range="bytes 0-2/9", **fields)
    client, _ = client_told(monkeypatch, lambda url, headers: answer)
    assert client.read("http://host/a.tif", 0, 3)[0] == b"abc"
    assert answer.used == (["drain_conn", "release_conn"] if reused else ["close"])


@pytest.mark.parametrize("told", ["bytes 0-9/9", "bytes 1-3/9"])
def test_a_range_that_cannot_be_is_not_believed(monkeypatch, told):
    client, _ = client_told(monkeypatch, lambda url, headers: Told([b"abc"], Content_Range=told))
    with pytest.raises(NoRangesError):
        client.read("http://host/a.tif", 0, 3)


def test_bytes_of_two_files_never_come_as_one(monkeypatch):
    def answer(url, headers):
        start = int(headers["Range"][6:].split("-")[0])
        return Told([b"ab"], Content_Range=f"bytes {start}-3/4", ETag='"old"' if start == 0 else '"new"')

    client, asked = client_told(monkeypatch, answer)
    with pytest.raises(ChangedError):
        client.read("http://host/a.tif", 0, 4)
    assert len(asked) == 2


def test_a_server_that_sends_a_byte_at_a_time_is_given_up(monkeypatch):
    def answer(url, headers):
        return Told([b"a"], Content_Range=f"bytes {headers['Range'][6:].split('-')[0]}-4999/5000", ETag='"1"')

    client, asked = client_told(monkeypatch, answer)
    with pytest.raises(OSError, match="not read after 64 tries: the answer breaks off"):
        client.read("http://host/a.tif", 0, 5000)
    assert len(asked) == 64


@pytest.mark.parametrize(
    ("there", "asked_at"),
    [("http://host.org/b.tif", "https://host.org/b.tif"), ("https://other.org/b.tif", "https://other.org/b.tif"),
     ("https://host.org:8443/b.tif", "https://host.org:8443/b.tif"), ("http://other.org/b.tif", None),
     ("http://host.org:8080/b.tif", None)],
)  # fmt: skip
def test_keys_go_by_https_to_the_server_they_are_for_and_to_no_other(monkeypatch, there, asked_at):
    def answer(url, headers):
        if url.endswith("/a.tif"):
            return Told([], status=302, Location=there)
        return Told([b"abc"], Content_Range="bytes 0-2/9")

    client, asked = client_told(monkeypatch, answer)
    monkeypatch.setattr(remote, "TRIES", 1)
    if asked_at is None:
        with pytest.raises(OSError, match="from https to http"):
            client.read("https://user:word@host.org/a.tif", 0, 3)
        assert len(asked) == 1
    else:
        client.read("https://user:word@host.org/a.tif", 0, 3)
        assert asked[1][0] == asked_at
        assert ("authorization" in asked[1][1]) == asked_at.startswith("https://host.org/")


def test_a_server_may_send_on_to_https(monkeypatch):
    def answer(url, headers):
        if url.startswith("http://"):
            return Told([], status=301, Location="https://host.org/a.tif")
        return Told([b"abc"], Content_Range="bytes 0-2/9")

    client, asked = client_told(monkeypatch, answer)
    client.read("http://host.org/a.tif", 0, 3)
    assert [url for url, _ in asked] == ["http://host.org/a.tif", "https://host.org/a.tif"]


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


def test_pixels_in_front_of_a_description_are_neither_kept_nor_taken_for_those_of_a_later_file(tmp_path):
    old, new = (np.random.default_rng(seed).integers(first, first + 50, (512, 512)).astype("uint16") for seed, first in
                ((1, 1000), (2, 5000)))  # fmt: skip
    folder = tmp_path / "out" / "headers"
    folder.parent.mkdir()

    def put(values):
        written(tmp_path / "a.tif", "tiles", values)
        # The descriptions of smaller copies come to lie behind the pixels.
        with rasterio.open(tmp_path / "a.tif", "r+") as file:
            file.build_overviews([2, 4])

    put(old)
    with far(tmp_path, latency=0) as url:
        for values in (old, new):
            put(values)
            os.utime(tmp_path / "a.tif", ns=(int(values[0, 0]), int(values[0, 0])))
            there = Wire(folder=folder).read(f"{url}/a.tif", NEED, read_window, lambda: whole(None))
            assert (there == values[70:200, 100:190] + 1).all()
            assert not list(folder.rglob("*"))


def test_numbers_of_a_replaced_file_never_meet_the_header_of_the_one_before(tmp_path):
    folder = tmp_path / "out" / "headers"
    folder.parent.mkdir()

    def put(values, left):
        write_cog(tmp_path / "a.tif", values, corner=(left, 5_000_000))
        os.utime(tmp_path / "a.tif", ns=(left, left))

    old, new, newest = (rough(seed=seed) for seed in range(3))
    put(old, 500_000)
    with far(tmp_path, latency=0) as url:
        address = f"{url}/a.tif"
        assert Wire(folder=folder).header(address).transform.c == 500_000
        # Replaced between two runs: a kept header is not believed before the server is asked.
        put(new, 600_000)
        wire = Wire(folder=folder)
        assert wire.header(address).transform.c == 600_000
        # As long as it is the same, one request is enough for a run.
        wire, before = Wire(folder=folder), counts(url)["requests"]
        assert [wire.header(address).transform.c for _ in range(3)] == [600_000] * 3
        assert counts(url)["requests"] - before == 1
        # Replaced between header and pixels: nothing is read, and the header has to be asked for again.
        put(newest, 700_000)
        with pytest.raises(ReplacedError, match="replaced on its server while it was read"):
            wire.read(address, NEED, read_window, lambda: whole(None))

        def both():
            return wire.header(address).transform.c, wire.read(address, NEED, read_window, lambda: whole(None))

        wire.header(address)
        put(old, 800_000)
        left, there = of_one_file(both)
        assert left == 800_000
        assert (there == old[70:200, 100:190]).all()


def test_a_file_that_became_shorter_is_read_by_the_next_run(tmp_path):
    folder = tmp_path / "out" / "headers"
    folder.parent.mkdir()
    end = Pixels(top=400, left=400, height=100, width=100)

    def read_end(file):
        return file.read(1, window=Window(400, 400, 100, 100))

    with far(tmp_path, latency=0) as url:
        for values in (rough(), np.ones((512, 512), "uint16")):
            write_cog(tmp_path / "a.tif", values)
            there = Wire(folder=folder).read(f"{url}/a.tif", end, read_end, lambda: whole(None))
            assert (there == values[400:500, 400:500]).all()


def test_a_kept_header_by_which_a_file_cannot_be_read_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "TRIES", 1)
    folder = tmp_path / "out" / "headers"
    folder.parent.mkdir()
    write_cog(tmp_path / "a.tif", rough())
    state = []
    with served(tmp_path, Faults(lambda number, path: 500 if state else None)) as url:
        # The server of the tests sends no mark.
        header = (tmp_path / "a.tif").read_bytes()[:32_768]
        headers.keep(folder, f"{url}/a.tif", header, Mark(size=(tmp_path / "a.tif").stat().st_size, etag='"1"'))
        state.append(1)
        with pytest.raises(OSError, match="answers 500"):
            Wire(folder=folder).read(f"{url}/a.tif", NEED, read_window, lambda: whole(None))
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_a_header_is_not_kept_where_a_change_would_not_be_seen(tmp_path):
    headers.keep(tmp_path / "headers", "https://host/a.tif", b"II", Mark(size=2))
    headers.keep(tmp_path / "none" / "headers", "https://host/a.tif", b"II", Mark(size=2, etag='"1"'))
    assert list(tmp_path.iterdir()) == []
    headers.keep(tmp_path / "headers", "https://host/a.tif?sig=secret", b"II", Mark(size=2, etag='"1"'))
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert b"secret" not in kept.read_bytes()
    assert json.loads(kept.read_bytes().split(b"\n")[0])["address"] == "https://host/a.tif"


def test_only_the_signature_of_an_address_is_left_out_of_a_headers_name(monkeypatch):
    monkeypatch.delenv("AWS_S3_ENDPOINT", raising=False)
    for query, left in {
        "X-Amz-Signature=a&X-Amz-Date=b&versionId=3": "?versionId=3",
        "id=7&se=1&sp=r&sv=2&sr=b&skoid=x&sig=a": "?id=7",
        "Expires=1&Signature=a&Key-Pair-Id=b&band=4": "?band=4",
        "token=a": "",
        "st=4&sp=3": "?st=4&sp=3",
    }.items():
        assert headers.name_of(f"https://me:word@host/a.tif?{query}") == f"https://host/a.tif{left}"
    one = headers.name_of("s3://bucket/a.tif")
    monkeypatch.setenv("AWS_S3_ENDPOINT", "https://store.org")
    assert headers.name_of("s3://bucket/a.tif") != one
    assert headers.name_of("s3://bucket/a.tif?a") != headers.name_of("s3://bucket/a.tif?b")


@pytest.mark.parametrize("bucket", ["evil\u3002org#", "localhost:8443#", "a?b", "u@metadata#", "a b", "ab", "-abc", ""])
def test_a_bucket_names_no_server(bucket):
    with pytest.raises(InputError, match="no name of a bucket"):
        s3_request(f"s3://{bucket}/x.tif")
    assert s3_request("s3://My_bucket.2/x.tif")[0].endswith("/My_bucket.2/x.tif")


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
