"""Items of public archives as they were recorded: every band's place, scale and offset, decided from metadata."""

import json

import pytest
from odc.geo.geobox import GeoBox

from landweave.sources.scenes import newest_of_duplicates, read_scene

COMMON = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B8A": "nir08", "B11": "swir16", "B12": "swir22", "SCL": "scl"}  # fmt: skip
PLAIN = {name: name for name in COMMON}
SIZED = {name: f"{name}_{'10' if name in {'B02', 'B03', 'B04', 'B08'} else '20'}m" for name in COMMON}
L1C = {name: key for name, key in COMMON.items() if name != "SCL"} | {"B10": "cirrus"}

# File, archive, key of each band, reflectance of number 0, EPSG, baseline, solar day, tile, orbit.
# The reason of the offset stands behind each group.
TABLE = [
    # v0: nothing is said of scale; old baseline, or the flag says that the offset is out of the pixels.
    ("earth_search_v0/S2A_28QCH_20200714_0_L2A", "earth-search-v0", PLAIN, 0.0, 32628, (2, 14), "2020-07-14", "28QCH", 123),
    ("earth_search_v0/S2A_17SPR_20221106_0_L2A", "earth-search-v0", PLAIN, 0.0, 32617, (4, 0), "2022-11-06", "17SPR", 54),
    ("earth_search_v0/S2B_20EPT_20250731_0_L2A", "earth-search-v0", PLAIN, 0.0, 32720, (5, 11), "2025-07-31", "20EPT", 95),
    # v1: raster:bands says 0 before 04.00; from then on -0.1, yet boa_offset_applied: it is out of the COGs' pixels.
    ("earth_search_v1_s2_l2a/S2A_32TMT_20200305_0_L2A", "earth-search-v1", COMMON, 0.0, 32632, (2, 14), "2020-03-05", "32TMT", 108),
    ("earth_search_v1_s2_l2a/S2A_32TMT_20200305_1_L2A", "earth-search-v1", COMMON, 0.0, 32632, (5, 0), "2020-03-05", "32TMT", 108),
    ("earth_search_v1_s2_l2a/S2A_32TNT_20200305_0_L2A", "earth-search-v1", COMMON, 0.0, 32632, (2, 14), "2020-03-05", "32TNT", 108),
    ("earth_search_v1_s2_l2a/S2A_32TNT_20200305_1_L2A", "earth-search-v1", COMMON, 0.0, 32632, (5, 0), "2020-03-05", "32TNT", 108),
    ("earth_search_v1_s2_l2a/S2B_20EPT_20250731_0_L2A", "earth-search-v1", COMMON, 0.0, 32720, (5, 11), "2025-07-31", "20EPT", 95),
    ("earth_search_v1_s2_l2a/S2B_24MUV_20250731_0_L2A", "earth-search-v1", COMMON, 0.0, 32724, (5, 11), "2025-07-31", "24MUV", 95),
    ("earth_search_v1_s2_l2a/S2B_31QGB_20200831_0_L2A", "earth-search-v1", COMMON, 0.0, 32631, (2, 14), "2020-08-31", "31QGB", 22),
    # Collection 1 keeps the offset in the pixels and has no flag.
    ("earth_search_v1_c1_l2a/S2B_T20EPT_20250731T131905_L2A", "earth-search-v1", COMMON, -0.1, 32720, (5, 11), "2025-07-31", "20EPT", 95),
    ("earth_search_v1_c1_l2a/S2B_T24MUV_20250731T130245_L2A", "earth-search-v1", COMMON, -0.1, 32724, (5, 11), "2025-07-31", "24MUV", 95),
    ("earth_search_v1_c1_l2a/S2B_T24MVV_20250731T130245_L2A", "earth-search-v1", COMMON, -0.1, 32724, (5, 11), "2025-07-31", "24MVV", 95),
    ("earth_search_v1_c1_l2a/S2B_T24MWV_20250731T130245_L2A", "earth-search-v1", COMMON, -0.1, 32724, (5, 11), "2025-07-31", "24MWV", 95),
    # L1C: JPEG 2000 as the producer wrote it.
    ("earth_search_v1_l1c/S2B_20EPT_20250731_0_L1C", "earth-search-v1", L1C, -0.1, 32720, (5, 11), "2025-07-31", "20EPT", 95),
    ("earth_search_v1_l1c/S2B_24MUV_20250731_0_L1C", "earth-search-v1", L1C, -0.1, 32724, (5, 11), "2025-07-31", "24MUV", 95),
    ("earth_search_v1_l1c/S2B_24MVV_20250731_0_L1C", "earth-search-v1", L1C, -0.1, 32724, (5, 11), "2025-07-31", "24MVV", 95),
    # Planetary Computer says nothing of scale: the baseline decides.
    ("planetary_computer/S2A_MSIL2A_20230216T235751_R087_T52CEB_20230217T134604", "planetary-computer", PLAIN, -0.1, 32752, (4, 0), "2023-02-17", "52CEB", 87),
    ("planetary_computer/S2A_MSIL2A_20240823T174901_R141_T13TDE_20240824T013055", "planetary-computer", PLAIN, -0.1, 32613, (5, 11), "2024-08-23", "13TDE", 141),
    ("planetary_computer/S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531", "planetary-computer", PLAIN, 0.0, 32606, (2, 12), "2019-06-29", "06VVN", 43),
    ("planetary_computer/S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251", "planetary-computer", PLAIN, -0.1, 32624, (4, 0), "2022-06-12", "24XWR", 27),
    ("planetary_computer/S2B_MSIL2A_20240825T173909_R098_T13TDE_20240825T215747", "planetary-computer", PLAIN, -0.1, 32613, (5, 11), "2024-08-25", "13TDE", 98),
    # Copernicus: scale, offset and projection stand on the asset; acquisitions of 2020 in baseline 05.00.
    ("cdse/S2A_MSIL2A_20200703T103031_N0500_R108_T32TMT_20230613T212700", "cdse", SIZED, -0.1, 32632, (5, 0), "2020-07-03", "32TMT", 108),
    ("cdse/S2A_MSIL2A_20200703T103031_N0500_R108_T32TNT_20230613T212700", "cdse", SIZED, -0.1, 32632, (5, 0), "2020-07-03", "32TNT", 108),
    ("cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912", "cdse", SIZED, -0.1, 32632, (5, 0), "2020-07-05", "32TMT", 65),
    ("cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TNT_20230530T175912", "cdse", SIZED, -0.1, 32632, (5, 0), "2020-07-05", "32TNT", 65),
    ("digital_earth_africa/S2B_T37MGP_20240710T073012_L2A", "deafrica", COMMON, -0.1, 32737, (5, 10), "2024-07-10", "37MGP", 6),
    # stactools: raster:bands is right, hrefs are relative.
    ("stactools_stac_1_1/S2A_T46RER_20210908T043714_L1C", "stactools", L1C, 0.0, 32646, (3, 1), "2021-09-08", "46RER", 133),
    ("stactools_stac_1_1/S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBP", "stactools", COMMON, -0.1, 32734, (4, 0), "2022-04-01", "34LBP", None),
    ("stactools_stac_1_1/S2B_T33XWJ_20220413T150756_L2A", "stactools", COMMON, -0.1, 32633, (4, 0), "2022-04-13", "33XWJ", 25),
]  # fmt: skip
FINE = {"B02", "B03", "B04", "B08"}


def recorded(shared_data, name):
    path = shared_data / "stac_items" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent: the recorded items are not here")
    return json.loads(path.read_text()), path


@pytest.mark.parametrize(
    ("name", "archive", "keys", "offset", "epsg", "baseline", "day", "tile", "orbit"),
    TABLE,
    ids=[row[0] for row in TABLE],
)
def test_a_recorded_item_is_read_as_its_archive_means_it(
    shared_data, name, archive, keys, offset, epsg, baseline, day, tile, orbit
):
    item, path = recorded(shared_data, name)
    scene = read_scene(item, href=str(path))
    assert (scene.id, scene.catalogue, scene.collection) == (item["id"], archive, item.get("collection") or "")
    assert (scene.baseline, str(scene.day), scene.tile, scene.orbit) == (baseline, day, tile, orbit)
    assert scene.platform == f"S2{'A' if 'S2A' in item['id'] else 'B'}"
    assert scene.cloud_cover == item["properties"]["eo:cloud_cover"]
    assert scene.moment.isoformat()[:19] == item["properties"]["datetime"][:19]
    for band, key in keys.items():
        if key not in item["assets"]:
            assert (band, archive) == ("B8A", "earth-search-v0")
            continue
        found, told = scene.assets[band], item["assets"][key]
        href = told["href"]
        assert found.key == key
        assert found.href == (str(path.parent / href[2:]) if href.startswith("./") else href)
        classes = band == "SCL"
        assert (found.scale, found.offset, found.nodata) == (1.0 if classes else 1e-4, 0.0 if classes else offset, 0.0)
        assert isinstance(found.geobox, GeoBox)
        assert found.geobox.crs.epsg == epsg
        assert abs(found.geobox.resolution.x) == (10 if band in FINE else 60 if band == "B10" else 20)
        assert list(found.geobox.shape) == told["proj:shape"]
        assert (found.geobox.transform.c, found.geobox.transform.f) == (
            told["proj:transform"][2],
            told["proj:transform"][5],
        )


def test_the_table_names_every_recorded_item(shared_data):
    folder = shared_data / "stac_items"
    there = {f"{p.parent.name}/{p.stem}" for p in folder.glob("*/*.json") if p.parent.name != "search_responses"}
    if not there:
        pytest.skip("no recorded items here")
    assert there == {row[0] for row in TABLE}


def test_an_offset_already_taken_out_of_the_cogs_is_still_in_the_producers_files(shared_data):
    item, path = recorded(shared_data, "earth_search_v1_s2_l2a/S2A_32TMT_20200305_1_L2A")
    assert item["assets"]["red"]["raster:bands"][0]["offset"] == -0.1
    assert read_scene(item, href=str(path)).assets["B04"].offset == 0.0
    assert read_scene(item, href=str(path), bands={"B04": "red-jp2"}).assets["B04"].offset == -0.1


def test_the_same_acquisition_in_two_baselines_is_one_scene_of_the_newer(shared_data):
    scenes = [read_scene(recorded(shared_data, row[0])[0]) for row in TABLE if "20200305" in row[0]]
    for order in (scenes, scenes[::-1]):
        assert {s.id for s in newest_of_duplicates(order)} == {"S2A_32TMT_20200305_1_L2A", "S2A_32TNT_20200305_1_L2A"}
    assert newest_of_duplicates(scenes) == newest_of_duplicates(scenes[::-1])


def test_an_old_acquisition_processed_anew_has_the_offset_and_a_date_decides_nothing(shared_data):
    item, _ = recorded(shared_data, TABLE[22][0])
    assert read_scene(item).day.year == 2020
    assert read_scene(item).assets["B04"].offset == -0.1
    item, _ = recorded(shared_data, "planetary_computer/S2A_MSIL2A_20240823T174901_R141_T13TDE_20240824T013055")
    item["properties"]["datetime"] = "2018-01-01T00:00:00Z"
    assert read_scene(item).assets["B04"].offset == -0.1
    item["properties"]["s2:processing_baseline"] = "03.01"
    assert read_scene(item).assets["B04"].offset == 0.0


@pytest.mark.parametrize(
    ("name", "count", "kept"),
    [("cdse_s2_l2a", 4, 4), ("earth_search_v1_s2_l2a", 10, 5), ("planetary_computer_site2_35MNM", 13, 13)],
)
def test_whole_search_responses_are_read(shared_data, name, count, kept):
    content, _ = recorded(shared_data, f"search_responses/{name}.response")
    scenes = [read_scene(item) for item in content["features"]]
    assert len(scenes) == count
    assert all({"B04", "SCL"} <= scene.assets.keys() for scene in scenes)
    assert len(newest_of_duplicates(scenes)) == kept


def test_levels_and_collections_in_one_response_are_told_apart(shared_data):
    content, _ = recorded(shared_data, "search_responses/earth_search_v1_filter.response")
    scenes = [read_scene(item) for item in content["features"]]
    optical = [scene for scene in scenes if "B04" in scene.assets]
    assert {scene.collection for scene in optical} >= {"sentinel-2-l2a", "sentinel-2-c1-l2a", "sentinel-2-l1c"}
    assert len(newest_of_duplicates(optical)) == len(optical)
    assert {s.assets["B04"].offset for s in optical if s.collection == "sentinel-2-c1-l2a"} == {-0.1}
