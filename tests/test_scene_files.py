"""Scenes of archives: the item's words go first, then the file's, then what is usual."""

import json
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from test_raster_headers import HOLE, KEPT, MASKS, SHAPE, full, tif

from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.sources.files.opened import header_at
from landweave.sources.scene_files import overview
from landweave.sources.stac.scenes import read_scene
from landweave.sources.stac.source import open_stac

PLACE = {"proj:epsg": 32633, "proj:shape": list(SHAPE), "proj:transform": [10, 0, 500_000, 0, -10, 5_000_000]}


def item(assets, *, links=(), **properties):
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": "one", "collection": "c", "bbox": [14.9, 45.1, 15.1, 45.2],
        "geometry": None, "assets": assets, "links": list(links),
        "properties": {"datetime": "2021-06-01T10:00:00Z", **properties},
    }  # fmt: skip


def read(folder, assets, name="B04", *, bands=None, needed=None, **properties):
    scene = read_scene(item(assets, **properties), href=str(folder / "item.json"), bands=bands)
    source = open_stac([scene], needed=needed or [name])
    grid = header_at(tif(folder / "grid.tif", full(1))).grid
    return source.load(grid, source.dates(), [name])[name].values[0]


NAMES = ("B02", "B03", "B04", "B08")
RIGHT = (700, 1000, 1400, 2300)
ENTRIES = {
    "eo:bands": [{"name": name} for name in NAMES],
    "common names": [{"name": f"x{number}", "common_name": name} for number, name in enumerate(("blue", "green", "red", "nir"))],
    "STAC 1.1": [{"name": f"x{number}", "eo:common_name": name} for number, name in enumerate(("blue", "green", "red", "nir"))],
}  # fmt: skip


def stack(folder, names=()):
    tif(folder / "image.tif", np.stack([full(number) for number in RIGHT]), names=names)


@pytest.mark.parametrize("how", ENTRIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_band_of_several_is_the_one_that_the_item_calls_so(tmp_path, how, name):
    stack(tmp_path)
    asset = {"href": "./image.tif", "bands" if how == "STAC 1.1" else "eo:bands": ENTRIES[how]}
    values = read(tmp_path, {"image": asset}, name, bands=dict.fromkeys(NAMES, "image"))
    assert np.unique(values).tolist() == [RIGHT[NAMES.index(name)]]


@pytest.mark.parametrize("name", NAMES)
def test_a_band_of_several_is_the_one_that_the_file_calls_so(tmp_path, name):
    stack(tmp_path, NAMES)
    values = read(tmp_path, {"image": {"href": "./image.tif"}}, name, bands=dict.fromkeys(NAMES, "image"))
    assert np.unique(values).tolist() == [RIGHT[NAMES.index(name)]]


@pytest.mark.parametrize("band", ["3", "vermilion"])
def test_a_band_of_several_can_be_named(tmp_path, band):
    stack(tmp_path, ["", "", "vermilion", ""])
    assert (read(tmp_path, {"image": {"href": "./image.tif"}}, bands={"B04": f"image:{band}"}) == 1400).all()
    told = {"href": "./image.tif", "eo:bands": [{"name": n} for n in ("b", "g", "vermilion", "n")]}
    assert (read(tmp_path, {"image": told}, bands={"B04": f"image:{band}"}) == 1400).all()


UNCLEAR = {
    "nobody says": ({"href": "./image.tif"}, "image", r"has 4 bands \(1, 2, 3, 4\); name the one of B04: bands.B04 ="),
    "other names": (
        {"href": "./image.tif", "eo:bands": [{"name": n} for n in "abcd"]}, "image",
        r"asset image: it has 4 bands \(a, b, c, d\), and none of them is called B04 or red; name the band",
    ),
    "twice": (
        {"href": "./image.tif", "eo:bands": [{"name": "B04"}, {"common_name": "red"}]}, "image",
        r"2 of them is called",
    ),
    "too many": ({"href": "./image.tif"}, "image:5", r"no band 5 \(asset image\); it has 4"),
    "unknown": ({"href": "./image.tif"}, "image:x", r"has 4 bands \(1, 2, 3, 4\); name the one of B04"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNCLEAR)
def test_a_band_that_nobody_names_is_refused(tmp_path, case):
    stack(tmp_path)
    asset, key, message = UNCLEAR[case]
    with pytest.raises(InputError, match=message):
        read(tmp_path, {"image": asset}, bands={"B04": key})


def test_each_band_of_an_asset_has_its_own_numbers(tmp_path):
    stack(tmp_path)
    numbers = [{"scale": scale, "offset": 0.0} for scale in (1e-4, 1e-4, 2e-4, 1e-4)]
    asset = {"href": "./image.tif", "eo:bands": ENTRIES["eo:bands"], "raster:bands": numbers}
    assert (read(tmp_path, {"image": asset}, bands={"B04": "image"}) == 2800).all()


@given(
    told=st.sampled_from([None, 0, 7, "nan"]), own=st.sampled_from([None, -9999, 0]),
    number=st.sampled_from([-9999, 0, 7, 1234]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_nodata_is_the_items_else_the_files_else_0(tmp_path_factory, told, own, number):
    folder = tmp_path_factory.mktemp("n")
    tif(folder / "B04.tif", full(number, "int16"), nodata=own)
    told_of = {} if told is None else {"raster:bands": [{"nodata": told, "scale": 1e-4, "offset": 0}]}
    values = read(folder, {"B04": {"href": "./B04.tif", **told_of}})
    missing = told if told is not None else own if own is not None else 0
    assert np.unique(values).tolist() == [NODATA if number == missing else number]


SCALES = {
    "the item's": ({"raster:bands": [{"scale": 2.75e-5, "offset": -0.2}]}, {"scales": [1e-3], "offsets": [0.0]}, 750),
    "the item's, in STAC 1.1": ({"raster:scale": 2.75e-5, "raster:offset": -0.2}, {}, 750),
    "the file's": ({}, {"scales": [2.75e-5], "offsets": [-0.2]}, 750),
    "the usual one": ({}, {}, 10000),
}


@pytest.mark.parametrize("case", SCALES)
def test_scale_and_offset_are_the_items_else_the_files_else_the_usual(tmp_path, case):
    told, tags, wanted = SCALES[case]
    tif(tmp_path / "B04.tif", full(10000), **tags)
    assert np.unique(read(tmp_path, {"B04": {"href": "./B04.tif", **told}})).tolist() == [wanted]


@pytest.mark.parametrize("properties", [{}, {"s2:processing_baseline": "05.10"}])
def test_floating_point_numbers_are_reflectance(tmp_path, properties):
    tif(tmp_path / "B04.tif", full(0.1234, "float32"))
    assert (read(tmp_path, {"B04": {"href": "./B04.tif"}}, **properties) == 1234).all()


def test_a_baseline_still_gives_whole_numbers_their_offset(tmp_path):
    tif(tmp_path / "B04.tif", full(2234))
    assert (read(tmp_path, {"B04": {"href": "./B04.tif"}}, **{"s2:processing_baseline": "05.10"}) == 1234).all()


def test_what_an_item_says_goes_before_the_archives_usual_numbers():
    told = {
        "href": "https://landsateuwest.blob.core.windows.net/x.tif",
        "raster:bands": [{"scale": 2.75e-5, "offset": -0.2}],
    }
    link = {"rel": "self", "href": "https://planetarycomputer.microsoft.com/api/stac/v1/collections/l/items/x"}
    asset = read_scene(item({"red": told}, links=[link]), bands={"B04": "red"}).assets["B04"]
    assert (asset.scale, asset.offset) == (2.75e-5, -0.2)


@pytest.mark.parametrize("how", MASKS)
def test_what_a_file_masks_is_missing(tmp_path, how):
    MASKS[how](tmp_path / "B04.tif")
    assert (read(tmp_path, {"B04": {"href": "./B04.tif"}}) == np.where(HOLE, NODATA, 77)).all()


def test_a_file_with_a_mask_and_no_nodata_may_measure_0(tmp_path):
    tif(tmp_path / "B04.tif", full(0), mask=KEPT)
    assert (read(tmp_path, {"B04": {"href": "./B04.tif"}}) == np.where(HOLE, NODATA, 0)).all()


@pytest.mark.parametrize("outside", [True, False])
def test_a_changed_mask_changes_the_stamp(tmp_path, outside):
    grid = header_at(tif(tmp_path / "grid.tif", full(1))).grid
    stamps = []
    for mask in (KEPT, 255 - KEPT):
        tif(tmp_path / "B04.tif", full(77), mask=mask, outside=outside)
        scene = read_scene(item({"B04": {"href": "./B04.tif"}}), href=str(tmp_path / "item.json"))
        stamps.append(open_stac([scene], needed=["B04"]).stamp(grid))
    assert stamps[0] != stamps[1]


def test_masked_ground_does_not_judge_the_offset(tmp_path):
    tif(tmp_path / "B04.tif", full(0), mask=np.zeros(SHAPE, "uint8"))
    scene = read_scene(item({"B04": {"href": "./B04.tif"}}), href=str(tmp_path / "item.json"))
    assert overview(scene).reason == "no valid pixel in a visible or short-wave band"


def test_a_file_without_a_place_takes_the_items(tmp_path):
    tif(tmp_path / "B04.tif", full(1234), crs=None)
    assert (read(tmp_path, {"B04": {"href": "./B04.tif", **PLACE}}) == 1234).all()
    with pytest.raises(InputError, match=r"B04\.tif: the raster has no coordinate reference system"):
        read(tmp_path, {"B04": {"href": "./B04.tif"}})


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_file_without_a_transform_takes_the_items_if_it_has_its_size(tmp_path):
    tif(tmp_path / "B04.tif", full(1234), transform=Affine.identity())
    assert (read(tmp_path, {"B04": {"href": "./B04.tif", **PLACE}}) == 1234).all()
    with pytest.raises(InputError, match="no position"):
        read(tmp_path, {"B04": {"href": "./B04.tif", **PLACE, "proj:shape": [12, 16]}})


@pytest.mark.parametrize(("kind", "value"), [("qa_pixel", 21824), ("Fmask", 194), ("of a byte", 101)])
def test_bits_are_no_per_cent(tmp_path, kind, value):
    tif(tmp_path / "B04.tif", full(1234))
    tif(tmp_path / "qa.tif", full(value))
    assets = {"B04": {"href": "./B04.tif"}, kind: {"href": "./qa.tif"}}
    with pytest.raises(InputError, match=rf"qa\.tif: band 1 is used as a mask .* holds {value}: .* from 0 to 100"):
        read(tmp_path, assets, "cloud", bands={"cloud": kind})


def test_per_cents_are_read_and_what_the_file_masks_is_unknown(tmp_path):
    tif(tmp_path / "B04.tif", full(1234))
    tif(tmp_path / "clp.tif", full(100), mask=KEPT)
    assets = {"B04": {"href": "./B04.tif"}, "cloud": {"href": "./clp.tif"}}
    assert (read(tmp_path, assets, "cloud") == np.where(HOLE, 255, 100)).all()
    tif(tmp_path / "scl.tif", full(4), mask=KEPT)
    assets["SCL"] = {"href": "./scl.tif"}
    assert (read(tmp_path, assets, "SCL") == np.where(HOLE, 0, 4)).all()


@pytest.mark.parametrize("href", [{}, {"href": ""}, {"href": None}])
def test_an_asset_without_a_link_is_named(tmp_path, href):
    with pytest.raises(InputError, match=r"asset B04.*no href|B04.*href"):
        read(tmp_path, {"B04": href})


def test_complex_numbers_are_refused(tmp_path):
    tif(tmp_path / "B04.tif", full(1 + 2j, "complex64"))
    with pytest.raises(InputError, match=r"B04\.tif: band 1 holds complex numbers"):
        read(tmp_path, {"B04": {"href": "./B04.tif"}})


def test_items_that_were_recorded_say_nothing_new():
    folder = Path(__file__).parents[2] / "shared" / "data" / "stac_items" / "earth_search_v0"
    for path in sorted(folder.glob("*.json")):
        for asset in read_scene(json.loads(path.read_text())).assets.values():
            assert asset.band is None
