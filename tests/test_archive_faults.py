"""What goes wrong with archives: servers that are slow, busy or gone, images that are not there, areas nobody can read."""

import datetime
import json
import threading
import time

import numpy as np
import pytest
from archives import Faults, catalogue, item, land, served
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.runs.pipeline.check import check_project
from landweave.runs.project.settings import read_project
from landweave.sources import remote
from landweave.sources.files import opened as images
from landweave.sources.stac import asking
from landweave.sources.stac.footprint import meet
from landweave.sources.stac.scenes import read_scene
from landweave.sources.stac.search import Query, find_items
from landweave.sources.stac.source import open_stac

GRID = GeoBox.from_bbox((500_040, 5_098_720, 501_320, 5_100_000), "EPSG:32633", resolution=10)
ALL = Query(collection="sentinel-2-l2a", bbox=None, start=None, end=None)
DAY = datetime.date(2021, 6, 1)
NUMBERS = land()[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short pauses, and no image that is still open from before."""
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    monkeypatch.setattr(asking, "PAUSE", 0.01)
    monkeypatch.setattr(images, "_held", threading.local())


@pytest.fixture
def archive(tmp_path):
    item(tmp_path, "one", day="2021-06-01", numbers=NUMBERS)
    catalogue(tmp_path)
    return tmp_path


def at_first(times, fault, *, where):
    """A rule that fails the first requests for paths with that ending."""
    seen = []

    def rule(number, path):
        if path.endswith(where) and len(seen) < times:
            seen.append(path)
            return fault
        return None

    return Faults(rule)


def opened(url):
    return open_stac([read_scene(found) for found in find_items(f"{url}/catalog.json", ALL)], needed=["B04"])


# Searching


def test_a_server_that_is_busy_is_asked_when_it_says_but_not_kept_waiting_for(archive, monkeypatch):
    monkeypatch.setattr(asking, "TOLD", 0.4)
    for told, least in (("3600", 0.4), (None, 0.0)):
        faults = at_first(1, (429, {"Retry-After": told} if told else {}), where=".json")
        with served(archive, faults) as url:
            began = time.monotonic()
            assert len(find_items(f"{url}/catalog.json", ALL)) == 1
            passed = time.monotonic() - began
        assert faults.failed == 1
        assert least <= passed < 10
        assert told or passed < 0.4


@pytest.mark.parametrize("fault", ["cut", 503, 502])
def test_an_answer_that_breaks_off_or_fails_is_asked_for_again(archive, fault):
    faults = at_first(3, fault, where="one.json")
    with served(archive, faults) as url:
        assert len(find_items(f"{url}/catalog.json", ALL)) == 1
    assert faults.failed == 3


@pytest.mark.parametrize(
    ("fault", "why"),
    [("cut", "Connection broken"), ("slow", "Read timed out"), (503, "the server answers 503"), (404, "the server answers 404"),
     (401, "the server answers 401")],
)  # fmt: skip
def test_a_catalogue_that_keeps_failing_is_one_line_with_its_address(archive, monkeypatch, fault, why):
    monkeypatch.setattr(asking, "TIMEOUT", (0.1, 0.1))
    with (
        served(archive, Faults(lambda number, path: fault)) as url,
        pytest.raises(InputError, match=rf"^{url}/catalog\.json: not reachable: {why}[^\n]*\.$"),
    ):
        find_items(f"{url}/catalog.json", ALL)


# Images


def test_an_image_that_comes_too_slowly_is_given_up_and_asked_for_again(archive, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "0.3")
    faults = at_first(1, "slow", where=".tif")
    with served(archive, faults) as url:
        patch = opened(url).load(GRID, [DAY], ["B04"])
    assert faults.failed == 1
    assert (patch["B04"].values[0] == NUMBERS["B04"]).all()
    monkeypatch.setattr(remote, "TRIES", 2)
    monkeypatch.setattr(images, "_held", threading.local())
    with served(archive, Faults(lambda number, path: "slow" if path.endswith(".tif") else None)) as url:
        source = opened(url)
        with pytest.raises(OSError, match=r"B04\.tif: not read after 2 tries: .*[Tt]imed? ?out"):
            source.load(GRID, [DAY], ["B04"])


def damaged(path):
    content = path.read_bytes()
    # The header is sound; the pixels, but for the first, are not.
    path.write_bytes(content[:-6000] + np.random.default_rng(0).bytes(6000))


SPOIL = {
    "missing": lambda path: path.unlink(),
    "no image": lambda path: path.write_text("<html>Sorry</html>"),
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "damaged": damaged,
}


@pytest.mark.parametrize("how", SPOIL)
@pytest.mark.parametrize("where", ["disk", "server"])
def test_an_image_that_is_missing_or_damaged_is_named(archive, how, where):
    SPOIL[how](archive / "sentinel-2-l2a" / "one" / "B04.tif")
    with served(archive) as url:
        source = opened(url if where == "server" else archive)
        error = OSError if where == "server" else InputError
        with pytest.raises(error, match=r"^\S*B04\.tif: [^\n]+$"):
            source.load(GRID, [DAY], ["B04"])


def test_a_server_without_ranges_is_an_error_that_says_so(tmp_path):
    rough = {"B04": np.random.default_rng(1).integers(1, 9999, (512, 512)).astype("uint16")}
    item(tmp_path, "one", day="2021-06-01", numbers=rough)
    catalogue(tmp_path)
    with served(tmp_path, Faults(lambda number, path: "whole" if path.endswith(".tif") else None)) as url:
        source = opened(url)
        with pytest.raises(OSError, match=r"B04\.tif: .*[Rr]ange"):
            source.load(GRID, [DAY], ["B04"])


def test_one_missing_image_does_not_make_an_archive_out_of_reach(archive, monkeypatch):
    for number in (2, 3, 4):
        item(archive, f"more{number}", day=f"2021-06-0{number}", numbers={"B04": NUMBERS["B04"]})
    catalogue(archive)
    (archive / "sentinel-2-l2a" / "one" / "B04.tif").unlink()
    down = []
    with served(archive, Faults(lambda number, path: 503 if down else None)) as url:
        source = opened(url)
        assert source.scenes[0].id == "one"
        source.reach()
        down.append(True)
        monkeypatch.setattr(images, "_held", threading.local())
        with pytest.raises(InputError, match=r"No image of the archive can be read: http\S+\.tif: not read after 5 t"):
            source.reach()


# Places


@pytest.mark.parametrize("crs", ["EPSG:32718", "EPSG:32601", "EPSG:3031"])
def test_an_image_in_a_crs_that_the_area_does_not_touch_gives_nothing_and_hides_nothing(tmp_path, crs):
    far = item(
        tmp_path, "a", day="2021-06-01", numbers={"B04": np.full((128, 128), 7, "uint16")}, crs=crs, tile="18GAA"
    )
    near = item(tmp_path, "b", day="2021-06-01", numbers=NUMBERS)
    # Its footprint claims the area all the same.
    claims = read_scene({**far, "bbox": near["bbox"]}, href=str(tmp_path / "sentinel-2-l2a" / "a" / "a.json"))
    right = read_scene(near, href=str(tmp_path / "sentinel-2-l2a" / "b" / "b.json"))
    for resampling in ("nearest", "cubic"):
        alone = open_stac([claims], needed=["B04"], resampling=resampling).load(GRID, [DAY], ["B04"])
        assert (alone["B04"].values == NODATA).all()
        both = open_stac([claims, right], needed=["B04"], resampling=resampling).load(GRID, [DAY], ["B04"])
        assert (both["B04"].values[0] == NUMBERS["B04"]).all()


def test_a_footprint_across_the_antimeridian_is_met_on_both_sides_and_not_between():
    content = {"id": "x", "assets": {}, "bbox": [179.5, -17, -179.3, -16],
               "properties": {"datetime": "2021-06-01T22:00:00Z"}}  # fmt: skip
    scene = read_scene(content)
    assert scene.bbox == pytest.approx((179.5, -17, 180.7, -16))
    assert scene.day == datetime.date(2021, 6, 2)
    assert meet(scene.bbox, (179.0, -18, 179.6, -16.5))
    assert meet(scene.bbox, (-180.0, -18, -179.5, -16.5))
    assert not meet(scene.bbox, (-179.2, -18, -170, -16.5))
    assert not meet(scene.bbox, (0, -18, 10, -16.5))
    assert not meet(scene.bbox, (179.0, -15, 179.6, -14))


def outline(*boxes):
    import shapely

    return json.dumps(shapely.geometry.mapping(shapely.union_all([shapely.box(*box) for box in boxes])))


@pytest.mark.parametrize(
    ("area", "why"),
    [
        ("bounds = [179.9, -17, -179.9, -16]", "west, south, east, north; at the antimeridian, use one project"),
        ('bounds = [3300000, -1900000, 3400000, -1800000]\nbounds_crs = "EPSG:3832"', "antimeridian"),
        (outline((179.9, -17, 180, -16), (-180, -17, -179.9, -16)), "from longitude -180 to 180; areas across the anti"),
        (outline((179.9, -17, 180.1, -16)), r"from longitude 179.9 to 180\.1; areas across the antimeridian"),
        ("bounds = [10, 83, 11, 85]", "latitude 83 to 85; UTM ends at 80 S and 84 N"),
        ('bounds = [-100000, -100000, 100000, 100000]\nbounds_crs = "EPSG:3995"\ncrs = "EPSG:3995"', "around a pole"),
    ],
)  # fmt: skip
def test_an_area_across_the_antimeridian_or_at_a_pole_is_refused_before_anybody_is_asked(tmp_path, area, why):
    if area.startswith("{"):
        (tmp_path / "aoi.geojson").write_text(area)
        area = 'aoi = "aoi.geojson"'
    faults = Faults()
    with served(tmp_path, faults) as url:
        project = tmp_path / "landweave.toml"
        project.write_text(
            f'name = "far"\n[area]\n{area}\n[source]\ntype = "stac"\nurl = "{url}/"\n[model]\npath = "m"\n'
        )
        with pytest.raises(InputError, match=rf"^{project}: .*{why}") as caught:
            check_project(read_project(project))
    assert "\n" not in str(caught.value)
    assert faults.requests == 0
