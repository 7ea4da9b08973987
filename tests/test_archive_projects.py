"""Projects on archives with faults: what was left out is said, lost images can be excluded, and the right thing is blamed."""

import datetime
import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from archives import catalogue, edit, item, land

from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project

NUMBERS = {"B04": land()[0]["B04"]}
DAYS = ("2021-06-01", "2021-06-17", "2021-07-03")
EAST, NORTH = 500_040, 5_100_000

PROJECT = """
name = "t"
output = "out"
[area]
patch_size = 32
buffer = 0
bounds = [500040, 5098720, 501320, 5100000]
bounds_crs = "EPSG:32633"
[source]
type = "stac"
url = "catalog.json"
collection = "sentinel-2-l2a"
clouds = "none"
radiometry = "trust-metadata"
[features]
bands = ["B04"]
indices = []
step_days = 16
[reference]
path = "register.gpkg"
column = "code"
erosion = 0
[sampling]
per_class = 50
[model.params]
n_estimators = 3
"""


@pytest.fixture
def world(tmp_path):
    for number, day in enumerate(DAYS):
        item(tmp_path, f"S{number}", day=day, numbers=NUMBERS)
    boxes = [shapely.box(EAST + 320 * k, NORTH - 1280, EAST + 320 * (k + 1), NORTH) for k in range(4)]
    register = gpd.GeoDataFrame({"code": ["a", "b", "a", "b"]}, geometry=boxes, crs="EPSG:32633")
    register.to_file(tmp_path / "register.gpkg")
    catalogue(tmp_path)
    (tmp_path / "landweave.toml").write_text(PROJECT)
    return tmp_path


def result(folder, **options):
    return run(read_project(folder), workers=1, options=Options(**options))


def record(folder):
    return json.loads((folder / "out" / "run.json").read_text())


def lose(folder, name):
    (folder / "sentinel-2-l2a" / name / "B04.tif").unlink()


def test_a_lost_image_is_named_and_left_out_by_its_scene_or_its_date(world):
    lose(world, "S1")
    with pytest.raises(
        InputError, match=r'B04\.tif: no such file; 1 of 3 scenes lack .*: source\.exclude = \["S1"\]\.$'
    ):
        check_project(read_project(world))
    for allowed in (False, True):
        told = result(world, allow_missing=allowed)
        assert told.status == 1
        assert told.stopped.startswith("no patch has its imagery: degraded: 2021-06-17 could not be read: ")
        assert "source.exclude" in told.stopped
        assert "reference" not in told.stopped
    for entry in ('"S1"', '"2021-06-17"', "2021-06-17"):
        edit(world, 'clouds = "none"', f'clouds = "none"\nexclude = [{entry}]')
        done = result(world, until="fetch")
        assert (done.status, done.stopped) == (0, None)
        note = "1 scene of the archive is left out (excluded by source.exclude): S1."
        assert note in done.notices
        assert note in record(world)["left_out"]
        assert f"note:      {note}" in check_project(read_project(world))
        edit(world, f'clouds = "none"\nexclude = [{entry}]', 'clouds = "none"')


def test_an_entry_to_exclude_that_is_nothing_is_refused_with_the_file_and_the_nearest(world):
    edit(world, 'clouds = "none"', 'clouds = "none"\nexclude = ["S11"]')
    with pytest.raises(InputError, match=r"landweave\.toml: source\.exclude: S11 is neither .* did you mean S1"):
        check_project(read_project(world))


def test_dates_of_other_imagery_are_left_out_too(world):
    edit(world, PROJECT.split("[source]")[1].split("[features]", maxsplit=1)[0],
         '\ntype = "rasters"\npattern = "sentinel-2-l2a/S*/{date:%Y-%m-%d}_{variable}.tif"\nexclude = ["2021-06-17"]\n')  # fmt: skip
    for number, day in enumerate(DAYS):
        path = world / "sentinel-2-l2a" / f"S{number}" / "B04.tif"
        path.rename(path.with_name(f"{day}_B04.tif"))
    plan, _ = make_plan(read_project(world))
    assert plan.dates == (datetime.date(2021, 6, 1), datetime.date(2021, 7, 3))
    edit(world, '"2021-06-17"', '"2021-06-18"')
    with pytest.raises(
        InputError, match=r"source\.exclude: 2021-06-18 is not a date of the imagery; there are 2021-06"
    ):
        make_plan(read_project(world))


def test_a_run_that_lost_more_patches_than_it_may_stops_and_one_that_lost_fewer_goes_on(world):
    # A scene of the western half only: three of five columns of patches need its file.
    half = {"B04": NUMBERS["B04"][:, :60].copy()}
    item(world, "S3", day="2021-07-19", numbers=half)
    catalogue(world)
    lose(world, "S3")
    edit(world, 'clouds = "none"', 'clouds = "none"\nmax_lost = 0.5')
    told = result(world, allow_missing=True, until="sample")
    assert told.status == 1
    assert told.stopped.startswith(
        "15 of 25 patches lack their imagery, more than source.max_lost = 0.5: degraded: 2021"
    )
    edit(world, "max_lost = 0.5", "max_lost = 0.7")
    assert result(world, allow_missing=True, until="sample").stopped is None


def test_two_passes_of_a_day_are_one_date_and_the_later_one_fills_the_first(world):
    first = {"B04": NUMBERS["B04"].copy()}
    first["B04"][:, 50:] = 0
    item(world, "S1", day=DAYS[1], numbers=first)
    later = {"B04": np.full((128, 128), 777, "uint16")}
    item(world, "T1", day=DAYS[1], numbers=later, orbit=80, hour=11)
    catalogue(world)
    assert any("Several passes of one day are fused to one date" in line for line in check_project(read_project(world)))
    plan, _ = make_plan(read_project(world))
    assert [str(day) for day in plan.dates] == list(DAYS)
    assert len(set(plan.days)) == 3
    done = result(world, until="sample")
    assert (done.status, done.stopped) == (0, None)
    stacks = sorted((world / "out" / "patches").glob("*.zarr"))
    got = np.concatenate(
        [xr.open_zarr(s, consolidated=False, mask_and_scale=False)["B04"].values[1].ravel() for s in stacks]
    )
    want = np.where(first["B04"] > 0, first["B04"], 777)
    assert np.array_equal(np.sort(got[got != NODATA]), np.sort(want.ravel()))


def test_items_that_cannot_be_used_are_counted_and_too_many_of_them_stop_the_project(world):
    path = world / "sentinel-2-l2a" / "S1" / "S1.json"
    content = json.loads(path.read_text())
    content["properties"]["datetime"] = "soon"
    path.write_text(json.dumps(content))
    line = "note:      1 scene of the archive is left out (datetime is not a valid time): S1."
    assert line in check_project(read_project(world))
    edit(world, 'clouds = "none"', 'clouds = "none"\nmax_lost = 0.2')
    with pytest.raises(
        InputError, match=r"1 of 3 items cannot be used, such as S1 \(datetime is not a valid time\); .*max"
    ):
        check_project(read_project(world))


def test_scenes_without_dark_ground_follow_those_that_contradict_their_metadata(world):
    six = land()[0]
    snow = {name: np.full((128, 128), 6000, "uint16") for name in six}
    for number, numbers in enumerate((six, snow, six)):
        item(world, f"S{number}", day=DAYS[number], numbers=numbers, offset=-0.1, baseline="05.11")
    catalogue(world)
    edit(world, 'radiometry = "trust-metadata"', 'radiometry = "trust-pixels"')
    done = result(world, until="fetch")
    offsets = json.loads((world / "out" / "radiometry.json").read_text())
    assert {name: (one["offset"], one["decided_by"]) for name, one in offsets.items()} == {
        "S0": (0.0, "pixels"), "S1": (0.0, "pixels of other scenes"), "S2": (0.0, "pixels")
    }  # fmt: skip
    assert any(line.startswith("Scenes without dark ground that take") and "1 (S1)" in line for line in done.notices)
    stack = next((world / "out" / "patches").glob("*.zarr"))
    got = xr.open_zarr(stack, consolidated=False, mask_and_scale=False)["B04"].values[1]
    assert set(np.unique(got)) <= {NODATA, 6000}
    assert (got == 6000).any()


@pytest.mark.parametrize("rule", ["check", "trust-metadata"])
def test_a_file_that_says_other_numbers_than_its_item_is_named_by_check_run_and_record(world, rule):
    # The item says nodata 0 and scale 1e-4; the file of S1 says otherwise.
    with rasterio.open(world / "sentinel-2-l2a" / "S1" / "B04.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.nodata, file.scales = 9999, (0.001,)
    edit(world, 'radiometry = "trust-metadata"', f'radiometry = "{rule}"')
    said = "B04 of S1: nodata is 0 in the item (used) and 9999 in the file, scale is 0.0001 in the item (used) and 0.001 in"
    assert any(said in line for line in check_project(read_project(world)))
    done = result(world, until="fetch")
    assert any(line.startswith("Items and files disagree in 1 of 3 scenes: " + said) for line in done.notices)
    decisions = json.loads((world / "out" / "radiometry.json").read_text())
    assert {name for name, one in decisions.items() if "differs" in one} == {"S1"}
    assert record(world)["differs"] == {"S1": decisions["S1"]["differs"]}
    assert "nodata is 0 in the item (used) and 9999 in the file" in decisions["S1"]["differs"]["B04"]


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"type": "FeatureCollection", "features": [7]}'])
def test_a_catalogue_that_is_nested_without_end_or_holds_no_items_is_one_line(world, text):
    (world / "catalog.json").write_text(text)
    with pytest.raises(InputError, match=r"^\S+catalog\.json: [^\n]+$"):
        check_project(read_project(world))
