"""What the page of the view shows at every moment: the image below all, points, what loads, and whether anyone answers."""

import shutil
import threading
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import rasterio

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from browsers import NARROW, WIDE, browser, count, firefox, keep, served, visit, wait_until

from landweave.labels.reference import read_reference
from landweave.viewer.ground.places import LEARNED, TESTED, RunPlaces
from landweave.viewer.server import make_app, open_view

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])

# Share of the pixels of each visible map that show anything at all.
PAINTED = """() => [...document.querySelectorAll(".pane:not([hidden]) canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) n += data[i] === 255;
  return (4 * n) / data.length;
})"""


@pytest.fixture(scope="module", params=[browser, firefox], ids=["chromium", "firefox"])
def opened_browser(request):
    """One browser after the other."""
    with request.param() as opened:
        yield opened


@pytest.fixture(scope="module")
def view(finished, tmp_path_factory):
    return open_view(shutil.copytree(finished, tmp_path_factory.mktemp("page") / "country"))


@pytest.fixture(scope="module")
def address(view):
    with served(make_app(view)) as base:
        yield base


@pytest.fixture(scope="module")
def of_points(view, tmp_path_factory):
    """A view whose reference is a handful of points: nearly all of its map is a hole."""
    import geopandas as gpd
    import shapely

    folder = tmp_path_factory.mktemp("points")
    west, south, east, north = view.tiles.area
    lon, lat = np.meshgrid(np.linspace(west, east, 6)[1:-1], np.linspace(south, north, 6)[1:-1])
    known = view.run.plan.legend.classes
    classes = [known[i % len(known)] for i in range(lon.size)]
    codes = [found.codes[0] for found in classes]
    points = shapely.points(lon.ravel(), lat.ravel())
    gpd.GeoDataFrame({"label": codes}, geometry=points, crs="EPSG:4326").to_file(folder / "points.gpkg")
    reference = read_reference(folder / "points.gpkg", column="label")
    with rasterio.open(view.tiles.files["reference"]) as file:
        profile = file.profile
    empty = np.zeros((profile["height"], profile["width"]), "uint8")
    empty[10, 10] = view.description["legend"][0]["value"]
    with rasterio.open(folder / "reference.tif", "w", **{**profile, "driver": "GTiff"}) as file:
        file.write(empty, 1)
    run = replace(view.run, plan=replace(view.run.plan, reference=reference))
    tiles = replace(view.tiles, files={**view.tiles.files, "reference": folder / "reference.tif"})
    tiles.forget()
    told = {**view.description, "points": True, "version": "0123456789ab"}
    return replace(
        view, run=run, tiles=tiles, description=told, ground=replace(view.ground, places=RunPlaces(run=run))
    ), classes


@SIZES
def test_the_image_is_below_a_reference_with_holes_in_every_view(opened_browser, of_points, tmp_path, size):
    view, _ = of_points
    narrow = "narrow" if size == NARROW else "wide"
    with served(make_app(view)) as address:
        for mode in ("one", "swipe", "panels"):
            with visit(
                opened_browser, address, size=size, address=f"#view={mode}&layer=reference&with=prediction"
            ) as page:
                # The country covers most of a map's width or height.
                wait_until(page, lambda page=page: min(page.evaluate(PAINTED), default=0) > 0.2)
                page.wait_for_load_state("networkidle")
                assert len(page.evaluate(PAINTED)) == {"one": 1, "swipe": 1, "panels": 3}[mode]
                keep(page, f"points-{mode}-{narrow}", tmp_path)


def test_points_of_the_reference_are_markers_in_the_colour_of_their_class(opened_browser, of_points):
    view, classes = of_points
    first = classes[0]
    many = classes.count(first)
    with (
        served(make_app(view)) as address,
        visit(opened_browser, address, size=WIDE, address="#layer=reference") as page,
    ):
        # A disc of radius 4 within its rim has about fifty pixels; the picture has hardly any of that colour.
        wait_until(page, lambda: count(page, first.color) > 30 * many)
        wait_until(page, lambda: page.locator("#points-shown").inner_text() == f"{len(classes)} points in sight.")
        page.locator(f"[data-toggle=off-{first.value}]").uncheck()
        wait_until(page, lambda: count(page, first.color) < 10)


def learned_and_tested(view):
    """The samples that the view marks: not the pixels of all land that only models of other folds are asked about."""
    table = view.run.samples()
    return table[table["split"] != "land"]


@SIZES
def test_training_and_test_pixels_are_shown_and_counted(opened_browser, address, view, tmp_path, size):
    table = learned_and_tested(view)
    with visit(opened_browser, address, size=size, address="#layer=confidence&samples=1") as page:
        page.wait_for_load_state("networkidle")
        if size == NARROW:
            page.get_by_role("button", name="Layers").click()
        assert page.locator("#samples").is_checked()
        shown = page.locator("#samples-shown")
        wait_until(page, lambda: f"{len(table):,}" in shown.inner_text())
        keep(page, f"samples-{'narrow' if size == NARROW else 'wide'}", tmp_path)
        page.locator("#samples").uncheck()
        wait_until(page, lambda: shown.count() == 0)
        wait_until(page, lambda: "samples" not in page.url)


def test_samples_within_bounds_are_those_of_the_table(view):
    table = learned_and_tested(view)
    found = view.ground.places.of("samples")
    everywhere = found.within((-180, -90, 180, 90), most=10**9)
    assert everywhere["total"] == len(table) == len(everywhere["points"])
    roles = np.array([point[3] for point in everywhere["points"]])
    assert (roles == TESTED).sum() == (table["split"] == "test").sum()
    assert (roles == LEARNED).sum() == table["split"].isin(("train", "refit")).sum()
    few = found.within((-180, -90, 180, 90), most=10)
    assert few["total"] == len(table)
    assert 10 <= len(few["points"]) <= 20
    assert found.within((0, 0, 1, 1))["points"] == []


def test_bounds_that_are_none_are_refused(view):
    from fastapi.testclient import TestClient

    client = TestClient(make_app(view), base_url="http://127.0.0.1:8765")
    assert client.get("/samples?bounds=-180,-90,180,90").status_code == 200
    assert client.get("/points?bounds=0,0,1,1").status_code == 404
    for bad in ("", "?bounds=1,2,3", "?bounds=1,2,3,x", "?bounds=1,2,3,4,5", "?bounds=1,2,3,4&v=1"):
        assert client.get(f"/samples{bad}").status_code in {400, 422}, bad
    assert client.get("/samples?bounds=1.2.3,2,3,4").status_code == 400


class Held:
    """Requests that get no answer until they are released."""

    def __init__(self, page, pattern):
        self.routes, self.free = [], False
        page.route(pattern, self.take)

    def take(self, route):
        if self.free:
            route.continue_()
        else:
            self.routes.append(route)

    def release(self):
        from playwright.sync_api import Error

        self.free = True
        for route in self.routes:
            # Some were given up meanwhile.
            with suppress(Error):
                route.continue_()


@SIZES
def test_old_tiles_stay_and_a_bar_is_shown_until_the_new_ones_come(opened_browser, address, view, tmp_path, size):
    largest = max(view.description["legend"], key=lambda entry: entry["pixels"])
    with visit(opened_browser, address, size=size) as page:
        wait_until(page, lambda: count(page, largest["color"]) > 500)
        page.wait_for_load_state("networkidle")
        wait_until(page, page.locator("#loading").is_hidden)
        before = count(page, largest["color"])
        if size == NARROW:
            page.get_by_role("button", name="Layers").click()
        held = Held(page, "**/tiles/confidence/**")
        page.locator("#layer").select_option("confidence")
        wait_until(page, page.locator("#loading").is_visible)
        page.wait_for_timeout(300)
        assert count(page, largest["color"]) == before
        keep(page, f"loading-{'narrow' if size == NARROW else 'wide'}", tmp_path)
        held.release()
        wait_until(page, page.locator("#loading").is_hidden)
        wait_until(page, lambda: count(page, largest["color"]) == 0)


def test_another_date_takes_no_tiles_away_before_its_own_are_there(opened_browser, address, view):
    dates = [day["date"] for day in view.description["dates"]]
    with visit(opened_browser, address, size=WIDE, address=f"#layer=true-colour&date={dates[0]}") as page:
        wait_until(page, lambda: max(page.evaluate(PAINTED), default=0) > 0.2)
        page.wait_for_load_state("networkidle")
        wait_until(page, page.locator("#loading").is_hidden)
        held = Held(page, "**/tiles/**")
        whole = page.evaluate(PAINTED)[0]
        for _ in range(2):
            page.get_by_label("Date after").click()
        wait_until(page, lambda: len(held.routes) > 0)
        page.wait_for_timeout(300)
        assert page.evaluate(PAINTED)[0] == whole
        held.release()
        wait_until(page, page.locator("#loading").is_hidden)
        assert page.evaluate(PAINTED)[0] > 0.1


class Restartable:
    """A server that can be ended and started again on its port."""

    def __init__(self, app):
        self.app, self.port, self.server = app, 0, None

    def start(self):
        import uvicorn

        config = uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        end = time.monotonic() + 20
        while not self.server.started:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.02)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def end(self):
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(timeout=20)


@SIZES
def test_a_lost_server_is_reported_without_a_click_and_comes_back(opened_browser, view, tmp_path, size):
    server = Restartable(make_app(view))
    server.start()
    known = ("ERR_CONNECTION", "Failed to fetch", "ERR_EMPTY_RESPONSE", "tile ")
    try:
        with visit(opened_browser, f"http://127.0.0.1:{server.port}/", size=size, errors=known) as page:
            largest = max(view.description["legend"], key=lambda entry: entry["pixels"])
            wait_until(page, lambda: count(page, largest["color"]) > 500)
            page.wait_for_load_state("networkidle")
            assert page.locator("#lost").is_hidden()
            server.end()
            # Nobody touches the page.
            page.get_by_text("The server does not answer.").wait_for(timeout=15_000)
            # A layer that is chosen meanwhile leaves the old one where it is ...
            page.keyboard.press("2")
            page.wait_for_timeout(300)
            keep(page, f"lost-{'narrow' if size == NARROW else 'wide'}", tmp_path)
            server.start()
            page.locator("#lost").wait_for(state="hidden", timeout=15_000)
            # ... and is asked for again as soon as there is an answer.
            wait_until(page, lambda: count(page, largest["color"]) > 200)
            wait_until(page, page.locator("#loading").is_hidden)
    finally:
        server.end()


def test_a_page_notices_by_itself_that_its_run_has_changed(opened_browser, view, monkeypatch):
    from landweave.viewer import server

    monkeypatch.setattr(server, "LOOK", 0.0)
    with served(make_app(view)) as address, visit(opened_browser, address, size=WIDE) as page:
        page.wait_for_load_state("networkidle")
        monkeypatch.setattr(server, "stamp_of", lambda folder: ("written again",))
        page.get_by_text("The run has changed since this page was opened: reload it.").wait_for(timeout=15_000)
