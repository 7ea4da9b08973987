"""Every recorded item of every known archive is read as its documentation says."""

import copy
import datetime
import functools
import itertools
import json
import warnings
from pathlib import PurePosixPath

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from recorded_items import ITEMS

from landweave.errors import InputError
from landweave.sources.stac.grouping import newest_of_duplicates
from landweave.sources.stac.scenes import read_scene

BANDS = ("B02", "B03", "B04", "B05", "B08", "B8A", "B10", "B11", "B12", "SCL")
BY_ID = {(row.catalogue, row.collection, row.id): row for row in ITEMS}
IDS = [row.file.replace("/", ":") for row in ITEMS]
MOMENTS = st.datetimes(datetime.datetime(2015, 7, 1), datetime.datetime(2035, 12, 31))  # noqa: DTZ001 (items tell UTC)


@pytest.fixture(scope="session")
def folder(shared_data):
    place = shared_data / "stac_items"
    if not place.is_dir():
        reason = f"no recorded STAC items at {place}: set LANDWEAVE_DATA to the folder that holds stac_items"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return place


@functools.cache
def text_of(path):
    return path.read_text()


def item_of(folder, row):
    return json.loads(text_of(folder / f"{row.file}.json"))


@functools.cache
def scene_of(folder, row_file):
    path = folder / f"{row_file}.json"
    return read_scene(json.loads(text_of(path)), href=str(path))


def rows(catalogue, collection="any"):
    found = [row for row in ITEMS if row.catalogue == catalogue and collection in {"any", row.collection}]
    assert found
    return found


def response(folder, name):
    return json.loads(text_of(folder / "search_responses" / f"{name}.response.json"))["features"]


def moved(item, moment):
    other = copy.deepcopy(item)
    other["properties"]["datetime"] = f"{moment.isoformat()}Z"
    return other


def offsets(scene):
    return {asset.offset for band, asset in scene.assets.items() if band.startswith("B")}


# The table itself


def test_the_table_has_a_row_for_every_recorded_item(folder):
    files = {str(path.relative_to(folder).with_suffix("")) for path in folder.glob("*/*.json")}
    files = {name for name in files if not name.startswith("search_responses/")}
    assert len(files) == 30
    assert sorted(files) == sorted(row.file for row in ITEMS)


@pytest.mark.parametrize("row", ITEMS, ids=IDS)
def test_the_table_quotes_its_item(folder, row):
    item = item_of(folder, row)
    assert item["id"] == row.id
    assert item.get("collection") == row.collection
    for band, wanted in row.bands.items():
        asset = item["assets"][wanted.key]
        assert str(PurePosixPath(asset["href"])) == str(PurePosixPath(wanted.href))
        assert asset["proj:shape"] == list(wanted.shape)
        assert asset["proj:transform"][:6] == [wanted.metres, 0, row.corner[0], 0, -wanted.metres, row.corner[1]]
        told = asset["raster:bands"][0] if "raster:bands" in asset else asset
        assert told.get("nodata", 0) == wanted.nodata
        if band != "SCL":
            assert told.get("offset", told.get("raster:offset")) == row.said
            assert told.get("scale", told.get("raster:scale", 1e-4)) == wanted.scale


# Every item, every band


@pytest.mark.parametrize("row", ITEMS, ids=IDS)
def test_an_item_is_known_for_what_it_is(folder, row):
    scene = scene_of(folder, row.file)
    assert scene.id == row.id
    assert (scene.collection or None) == row.collection
    assert scene.catalogue == row.catalogue
    assert scene.moment == datetime.datetime.fromisoformat(row.moment)
    assert scene.moment.tzinfo is None
    assert scene.day == datetime.date.fromisoformat(row.day)
    assert type(scene.day) is datetime.date
    assert scene.cloud_cover == pytest.approx(row.cloud, abs=1e-9)
    assert scene.platform == row.platform
    assert scene.tile == row.tile
    assert scene.baseline == row.baseline
    assert scene.orbit == row.orbit


@pytest.mark.parametrize("row", ITEMS, ids=IDS)
def test_an_item_has_the_bands_of_its_level_and_no_others(folder, row):
    assert {band for band in BANDS if band in scene_of(folder, row.file).assets} == set(row.bands)


@pytest.mark.parametrize(
    ("row", "band"),
    [pytest.param(row, band, id=f"{row.file.replace('/', ':')}-{band}") for row in ITEMS for band in row.bands],
)
def test_a_band_is_read_from_the_right_file_with_the_right_scale_on_the_right_grid(folder, row, band):
    asset, wanted = scene_of(folder, row.file).assets[band], row.bands[band]
    assert asset.key == wanted.key
    place = "" if "://" in wanted.href else f"{(folder / row.file).parent}/"
    assert asset.href == place + wanted.href
    assert asset.scale == pytest.approx(wanted.scale, rel=1e-12)
    assert asset.offset == pytest.approx(wanted.offset, abs=1e-12)
    assert asset.nodata == wanted.nodata
    assert tuple(asset.geobox.shape) == wanted.shape
    assert asset.geobox.transform == Affine(wanted.metres, 0, row.corner[0], 0, -wanted.metres, row.corner[1])
    assert asset.geobox.crs.epsg == row.epsg


@pytest.mark.parametrize("place", ["https://example.org/a/b", "s3://bucket/a/b", "/data/a/b"])
@pytest.mark.parametrize("row", [row for row in ITEMS if row.catalogue == "stactools"], ids=lambda row: row.id)
def test_a_relative_href_starts_where_the_item_lies(folder, row, place):
    scene = read_scene(item_of(folder, row), href=f"{place}/{row.id}.json")
    assert {band: scene.assets[band].href for band in row.bands} == {
        band: f"{place}/{wanted.href}" for band, wanted in row.bands.items()
    }


# The offset traps


@given(moment=MOMENTS)
def test_no_scale_and_no_offset_comes_from_the_date(folder, moment):
    for row in ITEMS:
        scene = read_scene(moved(item_of(folder, row), moment), href=str(folder / f"{row.file}.json"))
        assert scene.moment == moment
        for band, wanted in row.bands.items():
            assert (scene.assets[band].scale, scene.assets[band].offset) == (wanted.scale, wanted.offset)


@pytest.mark.parametrize(
    "row",
    [row for row in ITEMS if row.catalogue.startswith("earth-search") and row.baseline >= (4, 0) and row.offset == 0],
    ids=lambda row: row.file.replace("/", ":"),
)
def test_a_cog_whose_offset_is_already_removed_is_not_corrected_again(folder, row):
    item = item_of(folder, row)
    flag = next(key for key in item["properties"] if key.endswith(":boa_offset_applied"))
    assert item["properties"][flag] is True
    assert offsets(read_scene(item)) == {0.0}
    # The same item, but for the flag: the pixels then hold ESA's numbers.
    item["properties"][flag] = False
    assert offsets(read_scene(item)) == {-0.1}


def test_the_original_beside_a_corrected_cog_keeps_its_offset(folder):
    for row in rows("earth-search-v1", "sentinel-2-l2a"):
        item = item_of(folder, row)
        originals = {band: f"{key}-jp2" for band, (key, _, _) in row.layout.items()}
        scene = read_scene(item, bands=originals)
        for band, key in originals.items():
            asset = scene.assets[band]
            assert (asset.key, asset.href) == (key, item["assets"][key]["href"])
            assert asset.offset == (0 if band == "SCL" else row.said)


def test_an_old_cog_of_baseline_04_00_without_a_flag_still_holds_the_offset(folder):
    # Earth Search v0 wrote the baseline weeks before it began to take the offset out and to say so.
    row = next(row for row in rows("earth-search-v0") if row.baseline == (4, 0))
    item = item_of(folder, row)
    del item["properties"]["sentinel:boa_offset_applied"]
    assert offsets(read_scene(item)) == {-0.1}


@given(
    major=st.integers(1, 9), minor=st.integers(0, 99), moment=MOMENTS, row=st.sampled_from(rows("planetary-computer"))
)
def test_planetary_computer_has_the_offset_from_baseline_04_00_on(folder, major, minor, moment, row):
    item = moved(item_of(folder, row), moment)
    item["properties"]["s2:processing_baseline"] = f"{major:02d}.{minor:02d}"
    scene = read_scene(item)
    assert scene.baseline == (major, minor)
    assert offsets(scene) == {-0.1 if major >= 4 else 0.0}
    assert scene.assets["SCL"].offset == 0


@given(told=st.dictionaries(st.sampled_from(BANDS[:-1]), st.sampled_from([0.0, -0.1, -0.05])))
def test_copernicus_tells_the_offset_of_each_asset(folder, told):
    row = rows("cdse")[0]
    item = item_of(folder, row)
    told = {band: offset for band, offset in told.items() if band in row.bands}
    for band, offset in told.items():
        item["assets"][row.bands[band].key]["raster:offset"] = offset
    # Coarser copies and the item as a whole have no say.
    item["assets"]["B02_60m"]["raster:offset"] = 7.0
    item["properties"]["raster:offset"] = 7.0
    scene = read_scene(item)
    assert {band: scene.assets[band].offset for band in row.bands if band != "SCL"} == {
        band: told.get(band, -0.1) for band in row.bands if band != "SCL"
    }


@pytest.mark.parametrize(
    "row", [row for row in ITEMS if row.collection in {"sentinel-2-c1-l2a", "s2_l2a_c1"}], ids=lambda row: row.id
)
def test_collection_1_of_an_old_date_has_the_offset(folder, row):
    item = item_of(folder, row)
    assert not any(key.endswith("boa_offset_applied") for key in item["properties"])
    item = moved(item, datetime.datetime.fromisoformat("2016-05-01T10:00:00"))
    item["properties"]["s2:processing_baseline"] = "05.00"
    assert offsets(read_scene(item)) == {-0.1}


# The same acquisition twice

PAIRS = (
    "earth_search_v1_s2_l2a/S2A_32TMT_20200305_0_L2A",
    "earth_search_v1_s2_l2a/S2A_32TMT_20200305_1_L2A",
    "earth_search_v1_s2_l2a/S2A_32TNT_20200305_0_L2A",
    "earth_search_v1_s2_l2a/S2A_32TNT_20200305_1_L2A",
)


def test_of_one_acquisition_in_two_baselines_the_newer_is_kept_in_any_order(folder):
    scenes = [scene_of(folder, name) for name in PAIRS]
    assert {scene.baseline for scene in scenes} == {(2, 14), (5, 0)}
    answers = [[scene.id for scene in newest_of_duplicates(order)] for order in itertools.permutations(scenes)]
    assert sorted(answers[0]) == ["S2A_32TMT_20200305_1_L2A", "S2A_32TNT_20200305_1_L2A"]
    assert all(answer == answers[0] for answer in answers)


def test_of_one_acquisition_twice_in_one_baseline_the_greatest_id_is_kept_in_any_order(folder):
    items = [json.loads(text_of(folder / f"{name}.json")) for name in PAIRS[:2]]
    again = copy.deepcopy(items[1])
    again["id"] = "S2A_32TMT_20200305_2_L2A"
    scenes = [read_scene(item) for item in (*items, again)]
    for order in itertools.permutations(scenes):
        assert [scene.id for scene in newest_of_duplicates(order)] == ["S2A_32TMT_20200305_2_L2A"]


def test_a_newer_baseline_goes_before_a_greater_id(folder):
    old, new = (json.loads(text_of(folder / f"{name}.json")) for name in PAIRS[:2])
    old["id"], new["id"] = new["id"], old["id"]
    for order in itertools.permutations([read_scene(old), read_scene(new)]):
        assert [scene.baseline for scene in newest_of_duplicates(order)] == [(5, 0)]


def test_scenes_that_were_taken_once_are_all_kept(folder):
    for name, number in [("cdse_s2_l2a", 4), ("planetary_computer_site2_35MNM", 13)]:
        scenes = [read_scene(feature) for feature in response(folder, name)]
        assert len(newest_of_duplicates(scenes)) == len(scenes) == number


# Whole answers of a search


@pytest.mark.parametrize(
    ("name", "catalogue", "number", "offset"),
    [
        ("cdse_s2_l2a", "cdse", 4, -0.1),  # 05.00 of 2020, raster:offset on the asset
        ("earth_search_v1_s2_l2a", "earth-search-v1", 10, 0.0),  # 02.14, or 05.00 with the offset taken out
        ("planetary_computer_site2_35MNM", "planetary-computer", 13, 0.0),  # 02.12 throughout
    ],
)
def test_every_feature_of_an_answer_is_read(folder, name, catalogue, number, offset):
    scenes = [read_scene(feature) for feature in response(folder, name)]
    assert len(scenes) == number
    for scene in scenes:
        assert (scene.catalogue, scene.collection) == (catalogue, "sentinel-2-l2a")
        assert {band for band in BANDS if band in scene.assets} == set(BANDS) - {"B10"}
        assert offsets(scene) == {offset}
        assert scene.orbit is not None
        assert scene.baseline is not None


def test_an_answer_holds_the_item_as_the_archive_gives_it_alone(folder):
    for name in ("cdse_s2_l2a", "earth_search_v1_s2_l2a"):
        known = 0
        for feature in response(folder, name):
            scene = read_scene(feature)
            row = BY_ID.get((scene.catalogue, scene.collection, scene.id))
            if row is not None:
                known += 1
                assert scene == scene_of(folder, row.file)
        assert known == 4


def test_older_processings_of_an_answer_are_left_out(folder):
    scenes = [read_scene(feature) for feature in response(folder, "earth_search_v1_s2_l2a")]
    kept = newest_of_duplicates(scenes)
    assert newest_of_duplicates(reversed(scenes)) == kept
    assert sorted(scene.id for scene in kept) == [
        "S2A_32TMT_20200302_1_L2A",
        "S2A_32TMT_20200305_1_L2A",
        "S2A_32TNT_20200305_1_L2A",
        "S2A_32UMU_20200305_1_L2A",
        "S2A_32UNU_20200305_1_L2A",
    ]


def test_three_collections_of_one_acquisition_are_told_apart(folder):
    features = [
        feature
        for feature in response(folder, "earth_search_v1_filter")
        if feature["collection"].startswith("sentinel-2-") and "20EPT" in feature["id"]
    ]
    told = {}
    for feature in features:
        scene = read_scene(feature)
        assert scene.catalogue == "earth-search-v1"
        told[scene.collection] = (
            offsets(scene),
            "SCL" in scene.assets,
            "B10" in scene.assets,
            scene.assets["B04"].href,
        )
    assert told == {
        "sentinel-2-c1-l2a": (
            {-0.1}, True, False,
            "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a/20/E/PT/2025/7/S2B_T20EPT_20250731T131905_L2A/B04.tif",
        ),
        "sentinel-2-l2a": (
            {0.0}, True, False,
            "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs/20/E/PT/2025/7/S2B_20EPT_20250731_0_L2A/B04.tif",
        ),
        "sentinel-2-l1c": ({-0.1}, False, True, "s3://sentinel-s2-l1c/tiles/20/E/PT/2025/7/31/0/B04.jp2"),
    }  # fmt: skip
    # One is no older processing of another.
    assert len(newest_of_duplicates([read_scene(feature) for feature in features])) == 3


def test_radar_images_in_an_answer_give_no_optical_band(folder):
    radar = [item for item in response(folder, "earth_search_v1_filter") if item["collection"] == "sentinel-1-grd"]
    assert len(radar) == 3
    for item in radar:
        try:
            scene = read_scene(item)
        except InputError:
            continue
        assert not set(BANDS) & set(scene.assets)
