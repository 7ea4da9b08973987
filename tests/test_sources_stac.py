"""Scenes of an archive: found, told apart, fused, and read with the right radiometry."""

import datetime
import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from archives import Faults, catalogue, item, land, served, write_cog
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.sources import remote
from landweave.sources.pixels import COARSE, read_coarse
from landweave.sources.stac import asking
from landweave.sources.stac.grouping import newest_of_duplicates, passes
from landweave.sources.stac.radiometry import check
from landweave.sources.stac.scenes import read_scene
from landweave.sources.stac.search import Query, find_items
from landweave.sources.stac.source import open_stac

GRID = GeoBox.from_bbox((500_040, 5_098_720, 501_320, 5_100_000), "EPSG:32633", resolution=10)
ALL = Query(collection="sentinel-2-l2a", bbox=None, start=None, end=None)
DAY = datetime.date(2021, 6, 1)
NUMBERS, KIND = land()
CLASSES = np.array([6, 4, 5], "uint8")[KIND]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    monkeypatch.setattr(asking, "PAUSE", 0.01)


def opened(folder, needed=("B04",), **options):
    items = find_items(str(catalogue(folder)), ALL)
    return open_stac([read_scene(item) for item in items], needed=needed, **options)


def shifted(by):
    return {name: (values + by).astype("uint16") for name, values in NUMBERS.items()}


# Radiometry


@pytest.mark.parametrize(
    ("numbers", "told", "flag"),
    [(0, 0.0, False), (1000, -0.1, False), (0, -0.1, True)],
    ids=["before 04.00", "offset in the pixels", "offset taken out already"],
)
def test_reflectance_is_the_same_however_the_archive_keeps_the_offset(tmp_path, numbers, told, flag):
    item(tmp_path, "one", day="2021-06-01", numbers=shifted(numbers), offset=told, applied=flag, baseline="05.00")
    patch = opened(tmp_path).load(GRID, [DAY], ["B04"])
    assert (patch["B04"].values[0] == NUMBERS["B04"]).all()


def test_scenes_of_one_day_in_different_baselines_are_corrected_before_they_are_fused(tmp_path):
    half = {name: values.copy() for name, values in NUMBERS.items()}
    for values in half.values():
        values[:, 64:] = 0
    item(tmp_path, "a", day="2021-06-01", numbers=half, tile="33TWM")
    item(tmp_path, "b", day="2021-06-01", numbers=shifted(1000), offset=-0.1, baseline="05.00", tile="33TXM")
    patch = opened(tmp_path).load(GRID, [DAY], ["B04"])
    assert (patch["B04"].values[0] == NUMBERS["B04"]).all()


def test_negative_reflectance_is_kept_and_missing_is_missing(tmp_path):
    numbers = {"B04": np.full((128, 128), 900, "uint16")}
    numbers["B04"][:, :5] = 0
    item(tmp_path, "one", day="2021-06-01", numbers=numbers, offset=-0.1, baseline="05.00")
    values = opened(tmp_path).load(GRID, [DAY], ["B04"])["B04"].values[0]
    assert (values[:, :5] == NODATA).all()
    assert (values[:, 5:] == -100).all()


def reflectance(shift=0.0):
    return {name: values / 1e4 + shift for name, values in NUMBERS.items()}


def test_pixels_that_are_right_agree():
    assert check(reflectance(), offset=-0.1, scene_classes=CLASSES).verdict == "agrees"


def test_an_offset_taken_off_twice_is_a_contradiction():
    found = check(reflectance(-0.1), offset=-0.1, scene_classes=CLASSES)
    assert (found.verdict, found.better) == ("contradicts", 0.0)


def test_an_offset_left_in_the_pixels_is_a_contradiction_with_and_without_scene_classes():
    for classes in (CLASSES, None):
        found = check(reflectance(0.1), offset=0.0, scene_classes=classes)
        assert (found.verdict, found.better) == ("contradicts", -0.1)


@pytest.mark.parametrize("ground", [0.8, 0.25])
def test_snow_and_bare_soil_say_nothing(ground):
    bright = {name: np.full((50, 50), ground) for name in NUMBERS}
    assert check(bright, offset=0.0).verdict == "undecided"
    assert check(bright, offset=-0.1).verdict == "undecided"


@pytest.mark.parametrize(
    ("cirrus", "shift", "offset", "verdict"),
    [
        (0.002, 0.0, 0.0, "agrees"),
        (0.002, 0.0, -0.1, "agrees"),
        (0.002, 0.1, 0.0, "contradicts"),  # the offset is still in the pixels
        (0.002, -0.1, -0.1, "contradicts"),  # it was taken off twice
        (0.03, 0.0, 0.0, "undecided"),  # thin cloud all over: dark ground is bright, and says nothing
        (0.03, 0.0, -0.1, "undecided"),
    ],
)
def test_the_cirrus_band_tells_thin_cloud_from_an_offset(cirrus, shift, offset, verdict):
    bands = reflectance(shift + (0.08 if cirrus > 0.01 else 0.0))
    bands["B10"] = np.full_like(bands["B04"], cirrus + shift)
    found = check(bands, offset=offset)
    assert found.verdict == verdict
    assert (found.better is not None) == (verdict == "contradicts")


# Grouping


def scene(name="s", **properties):
    base = {"datetime": "2021-06-01T10:00:00Z", "grid:code": "MGRS-33TWM", "platform": "sentinel-2a",
            "earthsearch:boa_offset_applied": False}  # fmt: skip
    asset = {"href": "/b.tif", "raster:bands": [{"scale": 1e-4, "offset": 0}]}
    return read_scene(
        {"id": name, "bbox": properties.pop("bbox", [14, 46, 15, 47]), "assets": {"red": asset},
         "collection": "c", "properties": base | properties}
    )  # fmt: skip


def strip(baseline):
    return {"s2:processing_baseline": baseline, "s2:datastrip_id": f"X_20230101T000000_S20210601T100000_N{baseline}"}


def test_the_newest_baseline_of_an_acquisition_stays_then_the_greatest_id():
    old, new, newer = scene("z", **strip("02.14")), scene("a", **strip("05.00")), scene("b", **strip("05.00"))
    for order in ([old, new, newer], [newer, new, old]):
        assert [s.id for s in newest_of_duplicates(order)] == ["b"]


def test_two_parts_of_a_tile_are_no_duplicates():
    other = {"s2:processing_baseline": "05.00", "s2:datastrip_id": "X_20230101T000000_S20210601T100030_N05.00"}
    assert len(newest_of_duplicates([scene("a", **strip("05.00")), scene("b", **other)])) == 2


def test_one_solar_day_and_orbit_is_one_date():
    near = [
        scene("a", **{"sat:relative_orbit": 79}),
        scene("b", **{"sat:relative_orbit": 79, "grid:code": "MGRS-33TXM"}),
    ]
    other = scene("c", **{"sat:relative_orbit": 80, "datetime": "2021-06-01T11:40:00Z"})
    found = passes([*near, other])
    assert [[s.id for s in group] for group in found.values()] == [["a", "b"], ["c"]]
    assert list(found) == [DAY, datetime.datetime(2021, 6, 1, 11, 40)]  # noqa: DTZ001 - UTC, without zone


def test_without_an_orbit_two_passes_are_told_apart_by_time():
    found = passes(
        [scene("a"), scene("b", datetime="2021-06-01T10:02:00Z"), scene("c", datetime="2021-06-01T11:40:00Z")]
    )
    assert [len(group) for group in found.values()] == [2, 1]


def test_a_solar_day_is_not_the_day_of_greenwich():
    late = scene("nz", datetime="2021-06-01T22:30:00Z", bbox=[174, -42, 176, -40])
    assert late.day == datetime.date(2021, 6, 2)


# Searching


def test_all_is_found_in_a_catalogue_a_collection_and_a_list_of_items(tmp_path):
    contents = [item(tmp_path, f"s{n}", day=f"2021-06-0{n}", numbers=NUMBERS) for n in (1, 2)]
    root = catalogue(tmp_path)
    for content in contents:
        content["links"] = [{"rel": "self", "href": str(tmp_path / "sentinel-2-l2a" / content["id"] / "x.json")}]
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": contents}))
    for place in (root, tmp_path / "sentinel-2-l2a" / "collection.json", tmp_path / "items.json"):
        source = open_stac([read_scene(i) for i in find_items(str(place), ALL)], needed=["B04"])
        assert len(source.dates()) == 2
        assert (source.load(GRID, [DAY], ["B04"])["B04"].values[0] == NUMBERS["B04"]).all()


def test_cloud_cover_period_and_area_are_checked_here_too(tmp_path):
    item(tmp_path, "clear", day="2021-06-01", numbers=NUMBERS, cloud=10)
    item(tmp_path, "cloudy", day="2021-06-02", numbers=NUMBERS, cloud=90)
    item(tmp_path, "late", day="2021-09-01", numbers=NUMBERS)
    item(tmp_path, "away", day="2021-06-01", numbers=NUMBERS, corner=(700_020, 5_200_020))
    root = str(catalogue(tmp_path))
    query = Query(collection="sentinel-2-l2a", bbox=(15, 46.03, 15.02, 46.06), start=datetime.date(2021, 5, 1),
                  end=datetime.date(2021, 6, 30), max_cloud_cover=80)  # fmt: skip
    assert [found["id"] for found in find_items(root, query)] == ["clear"]


def test_an_empty_search_says_why(tmp_path):
    item(tmp_path, "cloudy", day="2021-06-02", numbers=NUMBERS, cloud=90)
    root = str(catalogue(tmp_path))
    with pytest.raises(InputError, match="at most 50 % cloud; all 1 are above max_cloud_cover"):
        find_items(root, Query(collection="sentinel-2-l2a", bbox=None, start=None, end=None, max_cloud_cover=50))
    with pytest.raises(InputError, match=r"no scene of sentinel-9 .* check collection"):
        find_items(root, Query(collection="sentinel-9", bbox=None, start=None, end=None))


def test_an_item_without_the_asked_band_is_left_out_and_named(tmp_path):
    item(tmp_path, "whole", day="2021-06-01", numbers=NUMBERS)
    item(tmp_path, "poor", day="2021-06-02", numbers={"B02": NUMBERS["B02"]})
    source = opened(tmp_path, needed=["B02", "B04"])
    assert source.incomplete == ("poor",)
    assert source.dates() == [DAY]
    with pytest.raises(InputError, match=r"no scene has B05; there are B02, .*bands\.B04"):
        opened(tmp_path, needed=["B05"])


def test_an_unknown_catalogue_is_read_by_naming_its_assets(tmp_path):
    content = item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    content["assets"]["band_4"] = content["assets"].pop("red")
    content["links"] = [{"rel": "self", "href": str(tmp_path / "sentinel-2-l2a" / "one" / "x.json")}]
    (tmp_path / "items.json").write_text(json.dumps(content))
    found = read_scene(find_items(str(tmp_path / "items.json"), ALL)[0], bands={"B04": "band_4"})
    assert found.assets["B04"].key == "band_4"


@pytest.mark.parametrize("root", ["absent.json", "text.json", "list.json"])
def test_what_is_no_catalogue_is_refused_by_name(tmp_path, root):
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(InputError, match=root):
        find_items(str(tmp_path / root), ALL)


def test_a_catalogue_that_does_not_answer_is_refused_with_its_address(monkeypatch):
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/: not reachable"):
        find_items("http://127.0.0.1:1/", ALL)


class Api:
    """A STAC API of two pages that answers nothing to a query it does not support."""

    def __init__(self, items, *, conforms):
        self.items, self.conforms, self.asked, self.url = items, conforms, [], ""

    def __call__(self, method, path, body):
        place = path.split("?")[0]
        if place in {"/", ""}:
            links = [{"rel": "search", "href": f"{self.url}/search", "method": "POST", "type": "application/geo+json"}]
            return {"type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "x",
                    "conformsTo": self.conforms, "links": links}  # fmt: skip
        if place == "/search":
            question = json.loads(body or b"{}")
            self.asked.append(question)
            first = int(question.get("token", 0))
            found = [] if "query" in question else self.items[first : first + 1]
            links = [] if "query" in question or first + 1 >= len(self.items) else [
                {"rel": "next", "method": "POST", "href": f"{self.url}/search", "body": {**question, "token": first + 1}}
            ]  # fmt: skip
            return {"type": "FeatureCollection", "features": found, "links": links}
        return None


SEARCH = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]


@pytest.mark.parametrize("conforms", [SEARCH, [*SEARCH, "https://api.stacspec.org/v1.0.0/item-search#query"]])
def test_all_pages_are_read_and_an_empty_answer_to_a_filter_is_asked_again_without(tmp_path, conforms):
    contents = [item(tmp_path, f"s{n}", day=f"2021-06-0{n}", numbers=NUMBERS, cloud=20 * n) for n in (1, 2, 3)]
    for content in contents:
        content["links"] = [{"rel": "self", "href": str(tmp_path / "sentinel-2-l2a" / content["id"] / "x.json")}]
    api = Api(contents, conforms=conforms)
    with served(tmp_path, answer=api) as url:
        api.url = url
        query = Query(collection="sentinel-2-l2a", bbox=(15, 46, 15.02, 46.06), start=DAY, end=None, max_cloud_cover=50)
        assert [found["id"] for found in find_items(url, query)] == ["s1", "s2"]
    assert any("query" in question for question in api.asked) == (len(conforms) == 3)


# Faults of servers


def places(folder, url):
    items = find_items(f"{url}/catalog.json", ALL)
    return open_stac([read_scene(found) for found in items], needed=["B04"])


@pytest.mark.parametrize("fault", [503, 429, 403, "cut", "slow"])
def test_a_server_that_fails_twice_gives_the_same_pixels(tmp_path, fault):
    item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    catalogue(tmp_path)
    seen = []

    def rule(number, path):
        if not path.endswith(".tif") or len(seen) >= 2:
            return None
        seen.append(path)
        return fault

    faults = Faults(rule)
    with served(tmp_path, faults) as url:
        patch = places(tmp_path, url).load(GRID, [DAY], ["B04"])
    # A slow answer is an answer; the image is small and comes with its header.
    assert faults.failed == (1 if fault == "slow" else 2)
    assert (patch["B04"].values[0] == NUMBERS["B04"]).all()


def test_the_search_is_patient_too(tmp_path):
    item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    catalogue(tmp_path)
    faults = Faults(lambda number, path: 503 if number in {1, 3} else None)
    with served(tmp_path, faults) as url:
        assert len(find_items(f"{url}/catalog.json", ALL)) == 1
    assert faults.failed == 2


def test_a_server_that_keeps_failing_is_an_error_that_hides_signatures(tmp_path):
    item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    catalogue(tmp_path)
    with served(tmp_path, Faults(lambda number, path: 503 if path.endswith(".tif") else None)) as url:
        source = places(tmp_path, url)
        with pytest.raises(OSError, match=r"B04\.tif: not read after 5 tries"):
            source.load(GRID, [DAY], ["B04"])
    assert remote.readable("https://h/a.tif?sig=secret") == "https://h/a.tif"


# Grids


def test_a_scene_of_another_zone_comes_onto_the_patchs_grid(tmp_path):
    from rasterio.warp import transform

    (east,), (north,) = transform("EPSG:32633", "EPSG:32634", [500_600.0], [5_099_400.0])
    corner = (round(east / 20) * 20 - 1200, round(north / 20) * 20 + 1200)
    flat = {"B04": np.full((256, 256), 1234, "uint16")}
    item(tmp_path, "far", day="2021-06-01", numbers=flat, corner=corner, crs="EPSG:32634", tile="34TAA")
    inner = GRID[40:80, 40:80]
    assert (opened(tmp_path).load(inner, [DAY], ["B04"])["B04"].values == 1234).all()


def test_a_strip_reads_the_same_pixels_as_the_whole(tmp_path):
    rough = {"B04": np.random.default_rng(1).integers(100, 4000, (128, 128)).astype("uint16")}
    item(tmp_path, "one", day="2021-06-01", numbers=rough)
    source = opened(tmp_path)
    turned = GeoBox.from_bbox((500_113, 5_098_913, 501_113, 5_099_913), "EPSG:32633", resolution=8, tight=True)
    whole = source.load(turned, [DAY], ["B04"])["B04"].values[0]
    for start in (0, 37, 64):
        part = source.load(turned[start : start + 9, 10:60], [DAY], ["B04"])["B04"].values[0]
        assert (part == whole[start : start + 9, 10:60]).all()


# What a server may make us read


def one_item(folder, **changed):
    """An item collection of one scene under ``folder``; ``changed`` goes into the asset of B04."""
    content = item(folder, "one", day="2021-06-01", numbers=NUMBERS, classes=CLASSES)
    for asset in content["assets"].values():
        asset["href"] = f"sentinel-2-l2a/one/{asset['href']}"
    content["assets"]["red"] |= changed
    return content


def load_from(url, content, folder):
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [content]}))
    source = open_stac([read_scene(found) for found in find_items(f"{url}/items.json", ALL)], needed=("B04",))
    return source.load(GRID, [DAY], ["B04"])["B04"].values[0]


@pytest.mark.parametrize("spelling", ["path", "file://", "self", "vrt"])
def test_an_item_from_a_server_never_makes_us_read_a_file_of_this_machine(tmp_path, monkeypatch, spelling):
    monkeypatch.setattr(remote, "TRIES", 1)
    private, folder = tmp_path / "private" / "secret.tif", tmp_path / "web"
    write_cog(private, np.full((128, 128), 7777, "uint16"))
    content = one_item(folder)
    href = {"path": str(private), "file://": f"file://{private}", "self": "./secret.tif", "vrt": "v.tif"}[spelling]
    content["assets"]["red"]["href"] = href
    if spelling == "self":
        content["links"] = [{"rel": "self", "href": str(private.with_name("item.json"))}]
    (folder / "v.tif").write_text(
        '<VRTDataset rasterXSize="128" rasterYSize="128"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500040,10,0,5100000,0,-10</GeoTransform>"
        '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{private}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(folder / "v.tif") as file:
        assert (file.read(1) == 7777).all()
    with served(folder) as url, pytest.raises((InputError, OSError), match=r"http|not a GeoTIFF") as caught:
        load_from(url, content, folder)
    assert "\n" not in str(caught.value)


def test_an_href_from_a_servers_root_starts_at_that_server(tmp_path):
    content = one_item(tmp_path, href="/sentinel-2-l2a/one/B04.tif")
    with served(tmp_path) as url:
        assert (load_from(url, content, tmp_path) == NUMBERS["B04"]).all()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("properties",), None), (("properties", "eo:cloud_cover"), "none"), (("properties", "sat:relative_orbit"), "x"),
        (("bbox",), ["a", 1, 2, 3]), (("bbox",), 7), (("assets",), None), (("assets", "red"), None),
        (("assets", "red", "raster:bands"), None), (("assets", "red", "raster:bands"), [None]),
        (("assets", "red", "proj:shape"), ["x", 1]), (("assets", "red", "proj:shape"), [-1, 5]),
        (("properties", "proj:epsg"), "nowhere"), (("links",), None), (("collection",), []),
    ],
)  # fmt: skip
def test_an_item_that_is_not_as_stac_has_it_is_one_line_or_read(tmp_path, place, value):
    content = one_item(tmp_path)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [content]}))
    told, scenes = "", []
    try:
        scenes = [read_scene(found) for found in find_items(str(tmp_path / "items.json"), ALL)]
    except InputError as error:
        told = str(error)
    assert [scene.id for scene in scenes] == ["one"] or (told and "\n" not in told)


def test_a_catalogue_that_links_back_to_itself_is_read_once(tmp_path):
    item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    root = catalogue(tmp_path)
    child = tmp_path / "sentinel-2-l2a" / "collection.json"
    content = json.loads(child.read_text())
    content["links"] += [{"rel": "child", "href": "../catalog.json"}, {"rel": "child", "href": "./collection.json"}]
    child.write_text(json.dumps(content))
    assert len(find_items(str(root), ALL)) == 1


def test_a_grid_that_is_not_that_of_the_file_is_not_believed(tmp_path):
    content = item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    path = tmp_path / "sentinel-2-l2a" / "one" / "one.json"
    # As where an item tells one grid for all its bands, and this band has another.
    content["assets"]["red"] |= {"proj:shape": [256, 256], "proj:transform": [5, 0, 500_040, 0, -5, 5_100_000]}
    path.write_text(json.dumps(content))
    assert (opened(tmp_path).load(GRID, [DAY], ["B04"])["B04"].values[0] == NUMBERS["B04"]).all()


def test_an_image_without_overviews_is_not_read_whole_to_judge_it(tmp_path):
    write_cog(tmp_path / "large.tif", np.ones((10, 10), "uint16"))
    with rasterio.open(tmp_path / "large.tif") as file:
        profile = file.profile | {"driver": "GTiff", "width": 4000, "height": 3000}
    with rasterio.open(tmp_path / "plain.tif", "w", **profile):
        pass
    assert max(read_coarse(tmp_path / "plain.tif").shape) < 2 * COARSE


def test_pixels_that_change_in_a_file_of_the_same_size_change_its_stamp(tmp_path):
    item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    path = tmp_path / "sentinel-2-l2a" / "one" / "B04.tif"
    noise = np.random.default_rng(0).integers(1, 9000, (512, 512), "uint16")
    profile = {"driver": "GTiff", "height": 512, "width": 512, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", **profile, transform=Affine(10, 0, 500_040, 0, -10, 5_100_000)) as file:
        file.write(noise, 1)
    before = opened(tmp_path).stamp(GRID)
    size = path.stat().st_size
    with rasterio.open(path, "r+") as file:
        file.write(np.full((100, 512), 7, "uint16"), 1, window=Window(0, 412, 512, 100))
    assert path.stat().st_size == size
    assert opened(tmp_path).stamp(GRID) != before
