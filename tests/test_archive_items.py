"""Items as archives really write them: footprints, grids, times, links, processings; nothing is lost without a word."""

import datetime
import json
import time

import pytest
from archives import catalogue, item, land, write_cog
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

import landweave
from landweave.errors import InputError
from landweave.sources.stac.footprint import footprint, meet
from landweave.sources.stac.grouping import newest_of_duplicates, passes
from landweave.sources.stac.hrefs import absolute, image_place, may_ask, within
from landweave.sources.stac.radiometry import Check
from landweave.sources.stac.scenes import read_scene, read_scenes
from landweave.sources.stac.search import Query, find_items, search_items
from landweave.sources.stac.selection import without
from landweave.sources.stac.source import open_stac
from landweave.sources.stac.trust import trusted

GRID = GeoBox.from_bbox((500_040, 5_098_720, 501_320, 5_100_000), "EPSG:32633", resolution=10)
ALL = Query(collection="c", bbox=None, start=None, end=None)
DAY = datetime.date(2021, 6, 1)
NUMBERS = land()[0]


def content(name="one", *, when="2021-06-01T10:00:00Z", href="/data/B04.tif", offset=0.0, asset=None, **properties):
    told = {"href": href, "raster:bands": [{"nodata": 0, "scale": 1e-4, "offset": offset}], **(asset or {})}
    box = properties.pop("bbox", [15.0, 46.03, 15.02, 46.06])
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": properties.pop("collection", "c"),
        "bbox": box, "geometry": properties.pop("geometry", None), "links": [], "assets": {"B04": told},
        "properties": {"datetime": when, "platform": "sentinel-2a", "eo:cloud_cover": 1.0, **properties},
    }  # fmt: skip


def saved(folder, *items):
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    return str(folder / "items.json")


# Footprints


def ring(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


HALVES = {"type": "MultiPolygon", "coordinates": [[ring(179.0, 68.4, 180.0, 69.4)], [ring(-180, 68.4, -179.2, 69.4)]]}
CROSSED = {"type": "Polygon", "coordinates": [ring(179.0, 68.4, -179.2, 69.4)]}
ACROSS = (179.0, 68.4, 180.8, 69.4)


@pytest.mark.parametrize(
    ("box", "geometry"),
    [
        ([-179.93, 68.4, 180.0, 69.4], HALVES), (None, HALVES), ([-180, 68.4, 180, 69.4], CROSSED), (None, CROSSED),
        ([179.0, 68.4, -179.2, 69.4], None), ([179.0, 68.4, 180.8, 69.4], None), ([-181.0, 68.4, -179.2, 69.4], None),
        ([179.0, 68.4, 0, -179.2, 69.4, 9], HALVES), ([500_000, 1, 600_000, 2], HALVES),
        ([float("nan")] * 4, HALVES), (None, {"type": "GeometryCollection", "geometries": [HALVES]}),
        ([], {"type": "MultiPoint", "coordinates": [[179.0, 68.4], [-179.2, 69.4]]}),
    ],
)  # fmt: skip
def test_a_footprint_across_the_antimeridian_is_one_box_however_it_is_written(box, geometry):
    found = footprint({"bbox": box, "geometry": geometry})
    assert found == pytest.approx(ACROSS)
    scene = read_scene(content(when="2023-06-25T23:46:21Z", bbox=box, geometry=geometry))
    assert scene.day == datetime.date(2023, 6, 26)
    assert not meet(found, (18.9, 69.0, 19.1, 69.1))
    assert meet(found, (179.4, 68.8, 179.6, 69.0))
    assert meet(found, (-179.9, 68.8, -179.6, 69.0))


@given(
    west=st.floats(-180, 179.9), wide=st.floats(0.01, 60), south=st.floats(-85, 80), high=st.floats(0.01, 5),
    turn=st.sampled_from([-360, 0, 360]), flip=st.booleans(),
)  # fmt: skip
def test_any_box_is_the_same_place_told_by_box_or_outline_or_cut_in_two(west, wide, south, high, turn, flip):
    def degrees(number):
        return (number + 180) % 360 - 180

    north, east = south + high, west + wide
    corners = [[degrees(x), y] for x, y in ring(west, south, east, north)]
    outline = {"type": "Polygon", "coordinates": [corners[::-1] if flip else corners]}
    for one in ({"bbox": [west + turn, south, east + turn, north]}, {"bbox": None, "geometry": outline},
                {"bbox": [-180, south, 180, north], "geometry": outline}):  # fmt: skip
        found = footprint(one)
        assert abs(degrees(found[0] - west)) < 1e-6
        assert found[2] - found[0] == pytest.approx(wide, abs=1e-6)
        assert (found[1], found[3]) == pytest.approx((south, north))
        assert -180 <= found[0] <= 180


def test_a_footprint_around_the_whole_earth_stays_one():
    world = {"type": "Polygon", "coordinates": [ring(-180, -90, 180, 90)]}
    assert footprint({"bbox": [-180, -90, 180, 90], "geometry": world}) == (-180, -90, 180, 90)


def test_two_tiles_of_one_pass_at_the_antimeridian_are_one_date():
    tile = {"sat:relative_orbit": 73}
    one = content("a", when="2023-06-25T23:46:21Z", bbox=[-179.9, 68.4, 180, 69.4], geometry=HALVES, **tile)
    other = content("b", when="2023-06-25T23:46:10Z", bbox=[176.9, 68.4, 179.6, 69.4], **tile)
    assert list(passes([read_scene(one), read_scene(other)])) == [datetime.date(2023, 6, 26)]


# Grids


@pytest.mark.parametrize(
    "told",
    [
        {"proj:code": "EPSG:None"}, {"proj:epsg": 10857}, {"proj:epsg": 32633.0}, {"proj:code": "EPSG:32633.0"},
        {"proj:epsg": "32633"}, {"proj:epsg": True}, {"proj:code": {}}, {"proj:epsg": "nowhere"}, {"proj:epsg": -1},
        {"proj:epsg": 32633, "proj:shape": [10**9, 10**9]}, {"proj:epsg": 32633, "proj:shape": [128.0, "128"]},
        {"proj:epsg": 32633, "proj:shape": [0, 0]}, {"proj:epsg": 32633, "proj:shape": 128},
        {"proj:epsg": 32633, "proj:shape": [128]}, {"proj:epsg": 32633, "proj:transform": [1, 2]},
        {"proj:epsg": 32633, "proj:transform": [float("nan")] * 6}, {"proj:epsg": 32633, "proj:transform": [0] * 6},
        {"proj:epsg": 10**30}, {"proj:code": "EPSG:" + "9" * 5000},
    ],
    ids=lambda told: str(told)[:50],
)  # fmt: skip
def test_a_grid_that_cannot_be_is_taken_from_the_file(tmp_path, told):
    write_cog(tmp_path / "B04.tif", NUMBERS["B04"])
    grid = {"proj:shape": [128, 128], "proj:transform": [10, 0, 500_040, 0, -10, 5_100_000]}
    odd = content("odd", href="./B04.tif", asset={**grid, **told}, when="2021-06-02T10:00:00Z")
    good = content("good", href="./B04.tif", asset={**grid, "proj:epsg": 32633})
    scenes, broken = read_scenes(find_items(saved(tmp_path, odd, good), ALL))
    source = open_stac(scenes, needed=["B04"])
    assert not broken
    assert (source.load(GRID, source.dates(), ["B04"])["B04"].values == NUMBERS["B04"]).all()
    assert len(source.dates()) == 2


# Items that cannot be used


BAD = {
    "no datetime": content("bad", when=None),
    "datetime is not a valid time": content("bad", when="yesterday"),
    "no footprint in degrees": content("bad", bbox=[500_000, 5_000_000, 600_000, 5_100_000]),
    "of another collection": content("bad", collection="d"),
    "not a STAC item: no id, properties or assets": {"type": "Feature", "id": "bad", "collection": "c"},
}


@pytest.mark.parametrize("why", BAD)
def test_an_item_that_cannot_be_used_is_left_out_named_and_counted(tmp_path, why):
    found = search_items(saved(tmp_path, BAD[why], content("good")), ALL)
    assert [one["id"] for one in found.items] == ["good"]
    assert found.left_out == {why: ("bad",)}
    scenes, _ = read_scenes(found.items)
    (note,) = open_stac(scenes, needed=["B04"], left_out=found.left_out).notes
    assert note == f"1 scene of the archive is left out ({why}): bad."


@pytest.mark.parametrize(
    "when", [7, True, [], {}, "", " ", "2021-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "24:00"]
)
def test_a_time_that_is_none_leaves_out_its_item_only(tmp_path, when):
    found = search_items(saved(tmp_path, content("bad", when=when), content("good")), ALL)
    assert [one["id"] for one in found.items] == ["good"]
    assert sum(map(len, found.left_out.values())) == 1


@pytest.mark.parametrize("when", ["2021-06-01t10:00:00z", "2021-06-01T12:00:00+02:00", " 2021-06-01T10:00:00.000000Z"])
def test_a_time_is_read_in_every_spelling(when):
    assert read_scene(content(when=when)).moment == datetime.datetime(2021, 6, 1, 10)  # noqa: DTZ001 - UTC, without zone


def test_a_cloud_cover_that_is_no_number_is_not_known(tmp_path):
    odd = [content(f"i{n}", **{"eo:cloud_cover": value}) for n, value in enumerate(("none", float("nan"), [], "12"))]
    query = Query(collection="c", bbox=None, start=None, end=None, max_cloud_cover=10)
    assert [one["id"] for one in find_items(saved(tmp_path, *odd), query)] == ["i0", "i1", "i2"]


def test_of_two_items_of_one_id_the_newer_one_is_used_whatever_the_order(tmp_path):
    old = content(href="/data/old.tif", updated="2021-06-02T00:00:00Z")
    new = content(href="/data/new.tif", updated="2022-01-01T00:00:00Z")
    for order in ([old, new], [new, old], [old, new, new]):
        found = search_items(saved(tmp_path, *order), ALL)
        assert [one["assets"]["B04"]["href"] for one in found.items] == ["/data/new.tif"]
        assert set(found.left_out) == {"another item has the same id"}
    assert not search_items(saved(tmp_path, new, new), ALL).left_out


def test_an_item_that_a_catalogue_names_and_that_is_gone_is_left_out(tmp_path):
    for number in (1, 2, 3):
        item(tmp_path, f"s{number}", day=f"2021-06-0{number}", numbers={"B04": NUMBERS["B04"]})
    root = str(catalogue(tmp_path))
    (tmp_path / "sentinel-2-l2a" / "s2" / "s2.json").unlink()
    query = Query(collection="sentinel-2-l2a", bbox=None, start=None, end=None)
    found = search_items(root, query)
    assert [one["id"] for one in found.items] == ["s1", "s3"]
    assert [len(ids) for ids in found.left_out.values()] == [1]
    with pytest.raises(InputError, match=r"1 of 3 items cannot be used, such as \S+s2\.json \(missing, or not a STAC"):
        search_items(root, query, max_lost=0.3)


def test_a_search_of_which_nothing_can_be_used_says_why(tmp_path):
    with pytest.raises(InputError, match=r"2 are left out, such as a \(no datetime\)\.$"):
        find_items(saved(tmp_path, content("a", when=None), content("b", when=None)), ALL)


# Links


@pytest.mark.parametrize("folder", ["plain", "a b", "a#b", "a?b", "a%20b", "a+b", "ä€", "a;b=c&d", "http:"])
@pytest.mark.parametrize(
    "name", ["B04.tif", "B 04.tif", "B#4.tif", "B?4.tif", "B%2004.tif", "B+4.tif", "Ä.tif", "s3:x"]
)
def test_a_file_of_any_name_in_a_folder_of_any_name_is_found(tmp_path, folder, name):
    from urllib.parse import quote

    place = tmp_path / folder
    place.mkdir()
    (place / name).write_text("x")
    for href in (f"./{name}", name, str(place / name), f"file://{quote(str(place / name))}", f"./{quote(name)}",
                 f"file:{quote(str(place / name))}", f"../{folder}/{name}"):  # fmt: skip
        if folder == "http:" and href.startswith(".."):
            continue
        assert absolute(href, str(place / "item.json")) == str(place / name)
    assert absolute(f"./{quote(name)}?version=2#part", str(place / "item.json")) == str(place / name)


@pytest.mark.parametrize(
    ("href", "place", "whole"),
    [
        ("./B 04.tif", "https://host/a/item.json", "https://host/a/B%2004.tif"),
        ("./B%2004.tif?sig=a%2Bb", "https://host/a/item.json", "https://host/a/B%2004.tif?sig=a%2Bb"),
        ("./B+4.tif", "https://host/a+b/item.json", "https://host/a+b/B+4.tif"),
        ("//other/B04.tif", "https://host/a/item.json", "https://other/B04.tif"),
        ("./B04.tif", "s3://bucket/a#b c/item.json", "s3://bucket/a#b c/B04.tif"),
        ("../../../B04.tif", "s3://bucket/a/item.json", "s3://bucket/B04.tif"),
        ("/x/B04.tif", "s3://bucket/a/item.json", "s3://bucket/x/B04.tif"),
        ("S3://Bucket/B04.tif", "/data/item.json", "s3://Bucket/B04.tif"),
        ("HTTPS://host/B04.tif", "/data/item.json", "https://host/B04.tif"),
    ],
)
def test_an_address_is_joined_as_an_address(href, place, whole):
    assert absolute(href, place) == whole


@pytest.mark.parametrize(
    "href", ["gs://bucket/B04.tif", "az://c/B04.tif", "ftp://host/B04.tif", "file://host/B04.tif", ""]
)
@pytest.mark.parametrize("place", ["/data/item.json", "https://host/item.json", "s3://bucket/item.json"])
def test_a_link_that_cannot_be_read_is_refused_by_item_and_asset_where_it_is_needed(href, place):
    scene = read_scene(content(href=href), href=place)
    assert not scene.assets
    with pytest.raises(InputError, match=r"no scene has B04 that can be read; item one: asset B04: the link is"):
        open_stac([scene], needed=["B04"])


def test_servers_are_told_apart_by_scheme_host_and_port():
    assert within("http://host/x", "https://host/v1") == "https://host/x"
    assert within("https://HOST:443/x", "https://host/v1") is not None
    for other in ("https://host.evil/x", "https://host:444/x", "http://host:8000/x", "https://host@evil/x", "file:///x",
                  "//evil/x", "https://host:x/"):  # fmt: skip
        assert within(other, "https://host/v1") is None
    assert within("https://other:444/x", "https://host/v1", ["other:444"])
    assert within("https://other:444/x", "https://host/v1", ["other:445"]) is None


HERE = ("127.0.0.1", "127.1", "0x7f.1", "0", "0.0.0.0", "2130706433", "[fe80::1]", "[::1]", "localhost", "a.localhost",
        "169.254.169.254", "metadata.google.internal", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::127.0.0.1]",
        "[2002:7f00:1::]")  # fmt: skip
NETWORK = ("10.0.0.1", "192.168.1.1", "router", "nas.local", "[fd00::1]", "[::ffff:10.0.0.1]")


@pytest.mark.parametrize("host", [*HERE, *NETWORK])
def test_a_server_of_the_internet_may_not_send_us_into_our_own_network_nor_any_server_to_this_machine(host):
    assert not may_ask(f"http://{host}/x", "https://host.org/catalog.json")
    assert may_ask(f"http://{host}:8000/x", "http://store.lan/catalog.json") == (host in NETWORK)
    assert may_ask("https://host.org/x", f"http://{host}/catalog.json")


@pytest.mark.parametrize("host", HERE)
def test_an_item_of_a_server_names_no_image_that_only_this_machine_can_ask(host):
    link = f"http://{host}:8000/B04.tif"
    for place in ("https://host.org/item.json", "http://store.lan/item.json", "s3://bucket/item.json"):
        with pytest.raises(InputError, match="which only this machine can ask"):
            image_place(link, place)
    assert image_place(link, "/data/item.json") == image_place(link, "http://localhost:9000/item.json")


def test_an_item_names_buckets_alone_by_s3():
    assert image_place("s3://sentinel-s2-l2a/B04.tif", "https://host.org/item.json")
    for link in ("s3://localhost:8443#/B04.tif", "s3://evil\u3002org#/B04.tif"):
        with pytest.raises(InputError, match="no name of a bucket"):
            image_place(link, "/data/item.json")


# Processings


def made(name, baseline, *, start="20210601T100000", when="2021-06-01T10:00:00Z", tile="33TWM", **told):
    strip = {"s2:datastrip_id": f"S2A_X_S{start}_N{baseline}"} if start else {}
    scene = content(name, when=when, **{"grid:code": f"MGRS-{tile}", "sat:relative_orbit": 79}, **strip,
                    **{"s2:processing_baseline": baseline}, **told)  # fmt: skip
    return read_scene(scene)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"start": "20210601T100003"}),
        ({"start": "20210601T100009"}, {}),
        ({"start": ""}, {}),
        ({}, {"start": ""}),
        ({"start": "20210601T100000", "when": "2021-06-01T10:00:05Z"}, {"start": "", "when": "2021-06-01T10:00:00Z"}),
    ],
)
def test_the_newest_baseline_counts_though_datastrips_begin_seconds_apart_or_are_not_told(old, new):
    scenes = [made("a_old", "02.14", **old), made("b_new", "05.00", **new)]
    for order in (scenes, scenes[::-1]):
        assert [scene.id for scene in newest_of_duplicates(order)] == ["b_new"]


def test_of_one_baseline_the_latest_processing_counts_before_the_greatest_id():
    late = made("a", "05.00", **{"s2:generation_time": "2023-01-01T00:00:00Z"})
    early = made("b", "05.00", **{"s2:generation_time": "2021-06-02T00:00:00.5Z"})
    assert [scene.id for scene in newest_of_duplicates([late, early])] == ["a"]


def test_parts_of_a_tile_stay_and_the_newest_is_on_top():
    old, new = made("a", "02.14"), made("b", "05.00", start="20210601T100200")
    other = made("ab", "03.00", tile="33TXM")
    (group,) = passes([old, other, new]).values()
    assert [scene.id for scene in group] == ["b", "ab", "a"]


# Left out by the user


def test_scenes_are_excluded_by_id_and_by_date_and_a_wrong_entry_is_refused():
    scenes = [read_scene(content(f"S{n}", when=f"2021-06-0{n}T10:00:00Z")) for n in (1, 2, 3)]
    source = open_stac(scenes, needed=["B04"], exclude=["S1", "2021-06-03"])
    assert source.dates() == [datetime.date(2021, 6, 2)]
    assert source.notes == ("2 scenes of the archive are left out (excluded by source.exclude): S1, S3.",)
    with pytest.raises(InputError, match=r"source\.exclude: S11 is neither the id nor the date .* did you mean S1"):
        without(scenes, ["S11"])
    with pytest.raises(InputError, match=r"all scenes of the period are left out by source\.exclude"):
        open_stac(scenes, needed=["B04"], exclude=["S1", "S2", "S3"])
    assert open_stac(scenes, needed=["B04"], exclude=["2020-01-01"], start=DAY).dates()
    with pytest.raises(InputError, match="2021-06-09"):
        without(scenes, ["2021-06-09"])


# Offsets by the pixels


def judged(verdicts, offsets=None, baselines=None):
    scenes = [
        read_scene(content(f"S{n}", offset=(offsets or {}).get(n, -0.1),
                           **{"s2:processing_baseline": (baselines or {}).get(n, "05.11")}))
        for n in range(len(verdicts))
    ]  # fmt: skip
    better = {"contradicts": 0.0}
    return trusted(scenes, [Check(verdict=v, reason="", better=better.get(v)) for v in verdicts])


C, A, U = "contradicts", "agrees", "undecided"


@pytest.mark.parametrize(
    ("verdicts", "offsets", "baselines", "wanted"),
    [
        ((C, U, C), {}, {}, ({"S0": 0.0, "S1": 0.0, "S2": 0.0}, ["S1"], [])),
        ((A, U, A), {}, {}, ({}, [], [])),
        ((U, U), {}, {}, ({}, [], [])),
        ((C, U, A), {}, {}, ({"S0": 0.0}, [], ["S1"])),
        # Another baseline agrees: only the scenes of the one that contradicts follow.
        ((C, U, A, U), {}, {2: "04.00", 3: "04.00"}, ({"S0": 0.0, "S1": 0.0}, ["S1"], [])),
        # None of its baseline was judged: what all others say.
        ((C, U), {}, {1: "04.00"}, ({"S0": 0.0, "S1": 0.0}, ["S1"], [])),
        ((C, A, U), {}, {1: "04.00", 2: "05.00"}, ({"S0": 0.0}, [], ["S2"])),
        # Scenes that say that they are free of the offset are another kind.
        ((C, U), {1: 0.0}, {}, ({"S0": 0.0}, [], ["S1"])),
    ],
)  # fmt: skip
def test_undecided_scenes_follow_what_those_of_their_kind_show_or_are_named(verdicts, offsets, baselines, wanted):
    assert judged(verdicts, offsets, baselines) == wanted


# Growth


def test_opening_many_scenes_takes_time_in_proportion_to_their_number():
    def scenes(count):
        days = [f"2021-{1 + n // 28 % 12:02d}-{1 + n % 28:02d}T10:00:00Z" for n in range(count)]
        return [read_scene(content(f"i{n}", when=day), href="/x.json") for n, day in enumerate(days)]

    def seconds(count):
        many = scenes(count)
        best = []
        for _ in range(3):
            began = time.process_time()
            open_stac(many, needed=["B04"])
            best.append(time.process_time() - began)
        return min(best)

    few, many = seconds(500), seconds(4000)
    assert many < 8 * few * 3, "eight times as many scenes, and three times for the machine"


def test_an_archive_may_be_opened_by_a_relative_path(tmp_path, monkeypatch):
    from landweave.sources.simulated.archive.archive import write_archive

    write_archive(tmp_path / "demo", size_km=0.6, dates=2, seed=1)
    monkeypatch.chdir(tmp_path)
    near, far = (
        landweave.open_stac(path, max_cloud_cover=100)
        for path in ("demo/archive/catalog.json", tmp_path / "demo" / "archive" / "catalog.json")
    )
    assert [scene.id for scene in near.scenes] == [scene.id for scene in far.scenes]
    for one, other in zip(near.scenes, far.scenes, strict=True):
        assert {name: asset.href for name, asset in one.assets.items()} == {
            name: asset.href for name, asset in other.assets.items()
        }
