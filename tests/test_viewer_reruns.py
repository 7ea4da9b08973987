"""The view and the run behind it: other projects, failed patches, reruns while somebody looks."""

import json
import logging
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import rasterio

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from archives import edit
from fastapi.testclient import TestClient

from landweave.errors import InputError
from landweave.runs.results.layers import make_layers
from landweave.runs.results.run import check_same_project, open_run
from landweave.viewer import server, tiles
from landweave.viewer.description import describe
from landweave.viewer.ground.routes import ground_of
from landweave.viewer.mercator import tiles_over
from landweave.viewer.overview import overview
from landweave.viewer.publishing import publish
from landweave.viewer.server import make_app, open_view
from landweave.viewer.tiles import Tiles


@pytest.fixture(scope="module")
def finished(finished, tmp_path_factory):
    """A copy of a finished run, to be edited."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("rerun") / "country")


@pytest.fixture(scope="module")
def view(finished):
    return open_view(finished)


EDITS = {
    "period": ("start = 2017-01-01", "start = 2017-03-01", "period, dates"),
    "bands": ('"B11", "B12"]', '"B11"]', "bands"),
    "size of patches": ("patch_size = 60", "patch_size = 50", "area, patches"),
    "pixels": ("resolution = 10 ", "resolution = 20 ", "area"),
    "masks": ('clouds = "scl"', 'clouds = "none"', "source"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_project_that_is_no_longer_that_of_its_run_is_refused_in_a_line(finished, tmp_path, name):
    before, after, changed = EDITS[name]
    text = (finished / "landweave.toml").read_text()
    try:
        edit(finished, before, after)
        for act in (open_view, lambda project: publish(project, tmp_path / "page")):
            with pytest.raises(InputError, match=r"`landweave run` first\.$") as refused:
                act(finished)
            assert f"the project has changed since the run ({changed}" in str(refused.value)
            assert "\n" not in str(refused.value)
    finally:
        (finished / "landweave.toml").write_text(text)
    assert not (tmp_path / "page").exists()


def test_what_changes_no_file_of_the_run_is_let_through(finished):
    text = (finished / "landweave.toml").read_text()
    try:
        edit(finished, 'name = "simulated"', 'name = "another name"')
        check_same_project(open_run(finished))
    finally:
        (finished / "landweave.toml").write_text(text)


def test_patches_without_a_record_do_not_count_as_clear(view):
    run, layers = view.run, make_layers(view.run)
    names = [cell.name for cell in run.cells]
    shares = {name: list(run.valid_fractions(name)) for name in names}
    seen = {names[1]: shares[names[1]]}

    def told(fractions):
        some = replace(run, fractions=fractions)
        return [
            day["valid"]
            for day in describe(some, layers, Tiles(run=some, files=layers.files), ground_of(some, layers))["dates"]
        ]

    assert told(seen) == pytest.approx(shares[names[1]], abs=1e-4)
    assert told({}) == [None] * len(run.plan.dates)
    assert np.isnan(replace(run, fractions={}).valid_fractions(names[0])).all()
    assert replace(run, fractions={}).clearest_date(names[0]) == run.plan.dates[0]
    json.dumps(told({}), allow_nan=False)


@pytest.fixture
def rerun(finished, tmp_path):
    """A copy to be run over, as it were, under an open view; every look at its files counts."""
    return shutil.copytree(finished, tmp_path / "country")


def middle(view, z):
    west, south, east, north = view.tiles.area
    lon, lat = (west + east) / 2, (south + north) / 2
    return tiles_over((lon, lat, lon, lat), z, z)[0]


def test_a_run_that_has_changed_is_told_and_never_kept_under_its_old_version(rerun, monkeypatch):
    monkeypatch.setattr(server, "LOOK", 0.0)
    view = open_view(rerun)
    client = TestClient(make_app(view), base_url="http://127.0.0.1")
    version, legend = (client.get("/view.json").json()[key] for key in ("version", "legend"))
    address = "/tiles/prediction/{}/{}/{}".format(*middle(view, view.tiles.natural_zoom))
    before = client.get(f"{address}?v={version}")
    assert "immutable" in before.headers["Cache-Control"]
    assert before.headers["Landweave-Version"] == version
    for asked in (address, f"{address}?v=0"):
        assert client.get(asked).headers["Cache-Control"] == "no-store"
    water = next(entry["value"] for entry in legend if entry["name"] == "water")
    with rasterio.open(view.run.folder / "map.tif") as file:
        values, profile = file.read(1), {**file.profile, "driver": "GTiff"}
    with rasterio.open(rerun / "new.tif", "w", **profile) as file:
        file.write(np.where(values > 0, water, 0).astype("uint8"), 1)
    (rerun / "new.tif").replace(view.run.folder / "map.tif")
    between = client.get(f"{address}?v={version}")
    assert between.headers["Cache-Control"] == "no-store"
    assert between.headers["Landweave-Version"] != version
    assert between.content != before.content
    told = client.get("/view.json").json()
    assert told["version"] != version
    assert {entry["name"] for entry in told["legend"] if entry["pixels"]} == {"water"}
    after = client.get(f"{address}?v={told['version']}")
    assert after.content == between.content
    assert "immutable" in after.headers["Cache-Control"]


def test_images_of_a_run_that_has_changed_are_read_again(rerun, monkeypatch):
    monkeypatch.setattr(server, "LOOK", 0.0)
    view = open_view(rerun)
    client = TestClient(make_app(view), base_url="http://127.0.0.1")
    day = view.run.clearest_date(view.run.cells[0].name)
    address = "/tiles/ndvi/{}/{}/{}/{}".format(day, *middle(view, view.tiles.natural_zoom))
    assert client.get(address).status_code == 200
    for cell in view.run.cells:
        shutil.rmtree(view.run.folder / "patches" / f"{cell.name}.zarr")
    assert client.get(address).status_code == 200  # kept
    os.utime(view.run.folder / "run.json")
    assert client.get(address).status_code == 204


def test_a_project_edited_under_an_open_view_is_refused_once_it_is_run_into(rerun, monkeypatch, caplog):
    # A server that another test started in this process may have silenced them.
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "propagate", True)
    caplog.set_level("WARNING", logger="uvicorn.error")
    client = TestClient(make_app(open_view(rerun)), base_url="http://127.0.0.1")
    edit(rerun, "patch_size = 60", "patch_size = 50")
    assert client.get("/view.json").status_code == 200
    os.utime(rerun / "out" / "run.json")
    answer = client.get("/view.json")
    assert answer.status_code == 409
    assert str(rerun) not in answer.text
    assert "`landweave run` first." in caplog.text


def test_the_far_picture_is_made_again_when_a_quicklook_comes_or_changes(rerun):
    day = open_run(rerun).plan.dates[0]
    run = open_run(rerun)
    names = sorted(cell.name for cell in run.cells)
    look = run.folder / "patches" / f"{names[-1]}_quicklooks"
    look.rename(rerun / "aside")
    picture = overview(run, day).path

    def known():
        with rasterio.open(picture) as file:
            return int((file.dataset_mask() > 0).sum())

    holes, made = known(), picture.stat().st_mtime_ns
    assert overview(run, day).path.stat().st_mtime_ns == made
    (rerun / "aside").rename(look)  # its files are as old as they were
    overview(run, day)
    assert known() > holes
    made = picture.stat().st_mtime_ns
    for path in look.iterdir():
        os.utime(path)
    assert overview(run, day).path.stat().st_mtime_ns > made


def test_what_is_kept_is_bounded_by_its_bytes(finished, monkeypatch):
    monkeypatch.setattr(tiles, "CACHED_TILES", 40_000)
    monkeypatch.setattr(tiles, "CACHED_BANDS", 40_000)
    view = open_view(finished)
    z = view.tiles.zooms[1]
    places = tiles_over(view.tiles.area, z, z)
    for day in view.run.plan.dates[:3]:
        for place in places:
            made = view.tiles.image("ndvi", day, *place)
            assert view.tiles.image("ndvi", day, *place) == made
    for kept in (view.tiles._made, view.tiles._bands):
        assert 0 < kept.currsize <= 40_000
        assert len(kept) > 1
    size = sum(tile.content.__sizeof__() for tile in view.tiles._made.values() if tile)
    assert size <= 40_000
    assert sum(bands.nbytes for bands in view.tiles._bands.values()) <= 40_000


def test_a_crowd_of_dossiers_leaves_room_for_tiles(view, monkeypatch):
    """Many wait for a dossier that does not end; a tile comes all the same."""
    end = threading.Event()
    monkeypatch.setattr(server, "pixel_dossier", lambda *given: {"ended": end.wait(60)})
    address = "/tiles/prediction/{}/{}/{}".format(*middle(view, view.tiles.natural_zoom))
    west, south, _, _ = view.tiles.area
    with TestClient(make_app(view), base_url="http://127.0.0.1") as client, ThreadPoolExecutor(21) as pool:
        try:
            asked = [pool.submit(client.get, f"/pixel?lon={west}&lat={south}") for _ in range(20)]
            time.sleep(0.3)
            tile = pool.submit(client.get, address).result(30)
            waited = not end.is_set() and not any(task.done() for task in asked)
        finally:
            end.set()
        dossiers = [task.result() for task in asked]
    assert tile.status_code == 200
    assert waited
    assert [answer.json() for answer in dossiers] == [{"ended": True}] * 20
