"""Polygons and overlays in the view: counted by pixel centres, cut out of the map, and never a way to anything else."""

import json
import shutil
import time

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from browsers import NARROW, WIDE, browser, firefox, keep, served, visit, wait_until
from fastapi.testclient import TestClient

from landweave.errors import InputError
from landweave.maps.areas import PixelAreas
from landweave.runs.project.settings import read_project
from landweave.runs.project.view_settings import check_overlays
from landweave.viewer.ground import areas
from landweave.viewer.ground.areas import Asked, read_polygon
from landweave.viewer.server import make_app, open_view

OVERLAYS = """
[districts]
path = "districts.gpkg"
column = "name"

[view]
overlays = [
    { name = "Roads", path = "roads.geojson" },
    { name = "Lost", path = "nowhere.gpkg" },
    { name = "Orthophoto", url = "ELSEWHERE{z}/{x}/{y}.png", attribution = "Agency" },
    { name = "Plans", url = "ELSEWHEREwms", type = "wms", layers = "plan" },
]
"""


# Two cannot be driven at once: each is closed with its test.
@pytest.fixture
def chrome():
    """For downloads, taps and what a policy blocks: the protocol of a plain Firefox does not report them."""
    with browser() as opened:
        yield opened


@pytest.fixture(params=[browser, firefox], ids=["chromium", "firefox"])
def opened_browser(request):
    """One browser after the other."""
    with request.param() as opened:
        yield opened


@pytest.fixture(scope="module")
def elsewhere():
    """A server of tiles on another port, and what it was asked for."""
    from rio_tiler.utils import render
    from starlette.responses import Response

    picture = bytes(render(np.full((3, 256, 256), 120, "uint8"), img_format="PNG"))
    asked = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            asked.append(scope["path"])
            await Response(picture, media_type="image/png")(scope, receive, send)

    with served(app) as base:
        yield base, asked


@pytest.fixture(scope="module")
def view(finished, tmp_path_factory, elsewhere):
    import geopandas as gpd

    folder = shutil.copytree(finished, tmp_path_factory.mktemp("ground") / "country")
    opened = open_view(folder)
    west, south, east, north = opened.tiles.area
    middle = (west + east) / 2
    halves = [shapely.box(west, south, middle, north), shapely.box(middle, south, east, north)]
    gpd.GeoDataFrame({"name": ["West <b>", "East"]}, geometry=halves, crs="EPSG:4326").to_file(
        folder / "districts.gpkg"
    )
    roads = [shapely.LineString([(west, south), (east, north)]), shapely.Point(middle, south + 0.001), None]
    gpd.GeoDataFrame({"n": [1, 2, 3]}, geometry=roads, crs="EPSG:4326").to_file(folder / "roads.geojson")
    project = folder / "landweave.toml"
    text = project.read_text()
    if "[districts]" in text:
        before, _, after = text.partition("[districts]")
        text = before + after.partition("\n\n")[2]
    project.write_text(text + OVERLAYS.replace("ELSEWHERE", elsewhere[0]))
    return open_view(folder)


@pytest.fixture(scope="module")
def client(view):
    return TestClient(make_app(view), base_url="http://127.0.0.1:8765")


@pytest.fixture(scope="module")
def triangle(view):
    west, south, east, north = view.tiles.area
    wide, high = east - west, north - south
    corners = [
        (west + 0.2 * wide, south + 0.15 * high),
        (west + 0.85 * wide, south + 0.4 * high),
        (west + 0.4 * wide, south + 0.9 * high),
    ]
    return json.loads(shapely.to_geojson(shapely.Polygon(corners)))


def inside_of(path, polygon):
    """Values of a map, and whether each pixel's centre lies in a polygon of degrees."""
    with rasterio.open(path) as file:
        values, transform, crs = file.read(1), file.transform, file.crs
    columns, rows = np.meshgrid(np.arange(values.shape[1]) + 0.5, np.arange(values.shape[0]) + 0.5)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*(transform * (columns, rows)))
    return values, shapely.contains_xy(shapely.from_geojson(json.dumps(polygon)), lon, lat), (crs, transform)


def test_areas_within_a_polygon_are_those_of_the_pixels_whose_centre_it_covers(view, client, triangle):
    told = client.post("/areas", json={"geometry": triangle}).json()
    values, inside, (crs, transform) = inside_of(view.tiles.files["prediction"], triangle)
    land = np.broadcast_to(
        PixelAreas(crs, transform, values.shape).window(slice(0, values.shape[0]), slice(0, values.shape[1])),
        values.shape,
    )
    for entry in told["classes"]:
        here = inside & (values == entry["value"])
        # The border, bent by the projection, may take a pixel on or off.
        assert entry["pixels"] == pytest.approx(here.sum(), abs=4), entry["name"]
        assert entry["area_ha"] == pytest.approx(land[here].sum() / 1e4, abs=0.05)
    assert told["total_ha"] == pytest.approx(sum(entry["area_ha"] for entry in told["classes"]), abs=1e-3)
    reference, there, _ = inside_of(view.tiles.files["reference"], triangle)
    assert sum(e["reference_ha"] for e in told["classes"]) == pytest.approx(
        ((reference > 0) & there).sum() / 100, rel=0.01
    )
    codes, there, _ = inside_of(view.tiles.files["disagreement"], triangle)
    found = np.bincount(codes[there], minlength=4)
    assert told["agreement"]["share"] == pytest.approx(found[1] / found[1:4].sum(), abs=0.01)


def test_a_district_and_a_patch_are_named_by_the_project_and_nothing_else(view, client):
    halves = [client.post("/areas", json={"district": name}).json() for name in view.description["districts"]]
    whole = sum(entry["area_ha"] for entry in view.description["legend"])
    west, south, east, north = view.tiles.area
    box = json.loads(shapely.to_geojson(shapely.box(west, south, east, north)))
    boxed = client.post("/areas", json={"geometry": box}).json()
    assert sum(half["total_ha"] for half in halves) == pytest.approx(boxed["total_ha"], rel=0.01)
    assert boxed["total_ha"] <= whole + 0.01
    patch = view.run.cells[0]
    told = client.post("/areas", json={"patch": patch.name}).json()
    assert told["title"] == patch.name
    assert sum(entry["pixels"] for entry in told["classes"]) <= patch.geobox.shape[0] * patch.geobox.shape[1]
    for asked in ({"district": "../../etc/passwd"}, {"patch": "nobody"}, {}, {"district": "East", "patch": patch.name}):
        assert client.post("/areas", json=asked).status_code == 400, asked
    for wrong in ({"layer": 1}, {"geometry": "x"}, {"path": "/etc/passwd"}, {"crs": "EPSG:4326; x"}, [1]):
        assert client.post("/areas", json=wrong).status_code == 422, wrong


@pytest.mark.parametrize("layer", ["prediction", "confidence", "reference"])
def test_a_clip_holds_the_pixels_of_the_map_within_the_polygon_and_nothing_beyond(view, client, triangle, layer):
    answer = client.post("/clip", json={"geometry": triangle, "layer": layer, "form": "tif"})
    assert answer.headers["content-type"] == "image/tiff"
    assert layer in answer.headers["content-disposition"]
    values, inside, _ = inside_of(view.tiles.files[layer], triangle)
    with (
        rasterio.MemoryFile(answer.content) as memory,
        memory.open() as cut,
        rasterio.open(view.tiles.files[layer]) as whole,
    ):
        assert (cut.crs, cut.res, cut.nodata) == (whole.crs, whole.res, 0)
        found = np.zeros_like(values)
        column, row = (round(part) for part in ~whole.transform * (cut.transform.c, cut.transform.f))
        found[row : row + cut.height, column : column + cut.width] = cut.read(1)
        if layer != "confidence":
            assert cut.colormap(1) == whole.colormap(1)
            assert {k: v for k, v in cut.tags(1).items() if k.startswith("class_")} == {
                k: v for k, v in whole.tags(1).items() if k.startswith("class_")
            }
    assert (found != np.where(inside, values, 0)).sum() <= 6


def test_a_clip_as_png_has_the_colours_of_the_classes(view, client, triangle):
    answer = client.post("/clip", json={"geometry": triangle, "form": "png"})
    with rasterio.MemoryFile(answer.content) as memory, memory.open() as file:
        picture = file.read()
    colors = {tuple(int(entry["color"][i : i + 2], 16) for i in (1, 3, 5)) for entry in view.description["legend"]}
    shown = picture[:3, picture[3] > 0].T
    assert {tuple(color) for color in np.unique(shown, axis=0).tolist()} <= colors
    assert (picture[3] == 0).any()


def test_what_is_too_large_or_no_polygon_is_refused_in_one_sentence(view, client, triangle, monkeypatch):
    def refused(asked, words, path="/areas"):
        answer = client.post(path, json=asked)
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["detail"]

    west, south, *_ = view.tiles.area
    flat = {"type": "Polygon", "coordinates": [[[west, south], [west + 1, south], [west, south]]]}
    many = np.linspace(0, 2 * np.pi, areas.MOST_VERTICES + 10)
    ring = np.round(np.column_stack([west + np.cos(many), south + np.sin(many)]), 7).tolist()
    for geometry, words in [
        ({"type": "Point", "coordinates": [1, 2]}, "its type is 'Point'"),
        ({"type": "Polygon", "coordinates": "x"}, "damaged"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, None], [1, 1], [0, 0]]]}, "polygon"),
        (flat, "no area"),
        ({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, "simplify it"),
        ({"type": "Polygon", "coordinates": [[[5e5, 5e6], [6e5, 5e6], [6e5, 6e6], [5e5, 5e6]]]}, "not degrees"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}, "no pixel centre"),
    ]:
        refused({"geometry": geometry}, words)
    refused({"geometry": triangle, "crs": "EPSG:99999"}, "EPSG:99999")
    refused({"geometry": triangle, "layer": "../map"}, "cannot be cut out", "/clip")
    monkeypatch.setattr(areas, "MOST_CLIPPED", 100)
    refused({"geometry": triangle}, "million pixels", "/clip")
    monkeypatch.setattr(areas, "MOST_PIXELS", 100)
    refused({"geometry": triangle}, "million pixels")


def test_a_polygon_around_the_world_with_thousands_of_long_edges_takes_no_time(client, view):
    ys = np.linspace(-80, 80, 9000)
    comb = np.column_stack([np.where(np.arange(9000) % 2, 179.0, -179.0), ys])
    ring = [[-179.5, -81.0], *np.round(comb, 5).tolist(), [-179.5, 81.0], [-179.5, -81.0]]
    start = time.monotonic()
    answer = client.post("/areas", json={"geometry": {"type": "Polygon", "coordinates": [ring]}})
    assert answer.status_code in {200, 400}
    assert time.monotonic() - start < 30
    world = {"type": "Polygon", "coordinates": [[[-179, -80], [179, -80], [179, 80], [-179, 80], [-179, -80]]]}
    mapped = client.post("/areas", json={"geometry": world}).json()["total_ha"]
    assert mapped == pytest.approx(sum(entry["area_ha"] for entry in view.description["legend"]), rel=1e-3)


def test_a_polygon_in_another_crs_is_the_same_polygon(triangle):
    project = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    shape = shapely.transform(
        shapely.from_geojson(json.dumps(triangle)), lambda at: np.column_stack(project.transform(*at.T))
    )
    back = read_polygon(json.loads(shapely.to_geojson(shape)), "EPSG:3857")
    assert back.symmetric_difference(read_polygon(triangle)).area < 1e-9
    with pytest.raises(InputError, match="no polygon"):
        read_polygon({"type": "Polygon", "coordinates": []})
    tangle = np.random.default_rng(0).random((2000, 2))
    with pytest.raises(InputError, match="its edges cross"):
        read_polygon({"type": "Polygon", "coordinates": [[*tangle.tolist(), tangle[0].tolist()]]})


def test_only_the_page_itself_may_post(client, triangle):
    body = json.dumps({"geometry": triangle})
    plain = {"Content-Type": "application/json"}
    assert client.post("/areas", content=body, headers=plain).status_code == 200
    for headers, status in [
        ({"Content-Type": "text/plain"}, 415),
        ({**plain, "Origin": "http://evil.example"}, 403),
        ({**plain, "Origin": "null"}, 403),
        ({**plain, "Sec-Fetch-Site": "cross-site"}, 403),
    ]:
        assert client.post("/areas", content=body, headers=headers).status_code == status, headers
    assert client.post("/areas", content=b" " * (areas.MOST_BYTES + 1), headers=plain).status_code == 413
    assert client.post("/areas", content=iter([b"{}"]), headers=plain).status_code == 411
    # A server that is told both reads the chunks, however many there are.
    both = {**plain, "content-length": "2", "transfer-encoding": "chunked"}
    assert client.post("/areas", content=b"{}", headers=both).status_code == 411
    assert client.post("/pixel", content=body, headers=plain).status_code == 405
    assert client.put("/areas", content=body, headers=plain).status_code == 405
    assert client.get("/areas").status_code == 405


def test_outlines_and_overlays_are_those_of_the_project(view, client):
    west, south, east, north = view.tiles.area
    area = shapely.from_geojson(client.get("/outline.json").text)
    assert shapely.total_bounds(area) == pytest.approx([west, south, east, north], abs=2e-4)
    names = [feature["properties"]["name"] for feature in client.get("/districts.json").json()["features"]]
    assert names == ["West <b>", "East"]
    roads = client.get("/overlay/0").json()["features"]
    assert [feature["geometry"]["type"] for feature in roads] == ["LineString", "Point"]
    lost = client.get("/overlay/1")
    assert lost.status_code == 400
    # Neither a path nor anything that the project does not name.
    assert str(view.run.folder.parent) not in lost.text
    for number in ("2", "3", "99", "-1"):
        assert client.get(f"/overlay/{number}").status_code == 400, number
    assert client.get("/overlay/x").status_code == 422


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ('{ name = "a" }', "give either path"),
        ('{ name = "a", path = "x", url = "https://b.c/{z}/{x}/{y}" }', "give either path"),
        ('{ name = "a", url = "ftp://b.c/{z}/{x}/{y}" }', "not an address"),
        ('{ name = "a", url = "https://b.c; script-src \'unsafe-inline\'/{z}/{x}/{y}" }', "not an address"),
        ('{ name = "a", url = "https://b.c/tiles" }', "contains {z}, {x} and {y}"),
        ('{ name = "a", url = "https://b.c/wms", type = "wms" }', "name the WMS's layers"),
    ],
)
def test_an_overlay_that_cannot_be_drawn_is_refused_with_the_project(view, tmp_path, overlay, words):
    text = (view.run.plan.project.file).read_text().partition("[view]")[0]
    (tmp_path / "landweave.toml").write_text(f"{text}\n[view]\noverlays = [{overlay}]\n")
    with pytest.raises(InputError, match=words.replace("{", r"\{").replace("}", r"\}")):
        read_project(tmp_path / "landweave.toml")


def panel(page, size):
    if size == NARROW:
        page.get_by_role("button", name="Layers").click()


def test_nothing_is_loaded_from_elsewhere_until_it_is_switched_on(chrome, view, elsewhere, tmp_path):
    base, asked = elsewhere
    host = base.removesuffix("/")
    app = make_app(view)
    policy = TestClient(app, base_url="http://127.0.0.1:8765").get("/").headers["content-security-policy"]
    assert policy.count(host) == 1
    assert f"img-src 'self' blob: data: {host};" in policy
    asked.clear()
    context = chrome.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
    page = context.new_page()
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    with served(app) as address:
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert asked == []
        assert f"loads from {host.partition('//')[2]}" in page.locator("#overlays").inner_text()
        page.get_by_label("Roads").check()
        page.get_by_label("Orthophoto").check()
        wait_until(page, lambda: any(path.endswith(".png") for path in asked))
        page.get_by_label("Plans").check()
        wait_until(page, lambda: "/wms" in asked)
        page.wait_for_load_state("networkidle")
        keep(page, "overlays", tmp_path)
        assert "over=0,2,3" in page.url
        assert faults == []
        # A host that the project does not name is not allowed.
        page.evaluate("const image = new Image(); image.src = 'https://example.org/x.png'; document.body.append(image)")
        wait_until(page, lambda: any("Content Security Policy" in text.replace("-", " ") for text in faults))
        page.get_by_label("Lost").check()
        wait_until(page, lambda: "nowhere.gpkg" in page.locator("#status").inner_text())
    context.close()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_district_is_chosen_counted_and_saved(chrome, view, tmp_path, size):
    with (
        served(make_app(view)) as address,
        visit(chrome, address, size=size, address="#districts=1&outline=1") as page,
    ):
        page.wait_for_load_state("networkidle")
        panel(page, size)
        page.locator("#within summary").click()
        page.locator("#named").select_option("district:West <b>")
        result = page.locator("#within-result")
        result.get_by_role("button", name="GeoTIFF").wait_for()
        text = result.inner_text()
        expected = view.ground.areas.within(Asked(district="West <b>"))
        assert text.startswith("West <b>: ")
        assert f"{expected['agreement']['share']:.0%}".replace("%", " %") in text
        result.scroll_into_view_if_needed()
        keep(page, f"district-{'narrow' if size == NARROW else 'wide'}", tmp_path)
        with page.expect_download() as download:
            result.get_by_role("button", name="PNG").click()
        assert download.value.suggested_filename.endswith("_West_b_prediction.png")
        assert download.value.path().read_bytes().startswith(b"\x89PNG")
        result.get_by_role("button", name="Clear").click()
        wait_until(page, lambda: result.inner_text() == "")


def test_a_polygon_is_drawn_or_opened_and_a_click_that_draws_opens_no_dossier(opened_browser, view, triangle, tmp_path):
    with served(make_app(view)) as address, visit(opened_browser, address, size=WIDE) as page:
        page.wait_for_load_state("networkidle")
        page.locator("#within summary").click()
        page.locator("#draw").click()
        box = page.locator("#pane-0 .map").bounding_box()
        corners = [(0.4, 0.3), (0.6, 0.35), (0.55, 0.6)]
        for x, y in corners[:-1]:
            page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
            page.wait_for_timeout(350)
        zoom = page.url
        x, y = corners[-1]
        page.mouse.dblclick(box["x"] + x * box["width"], box["y"] + y * box["height"])
        result = page.locator("#within-result")
        result.get_by_role("button", name="GeoTIFF").wait_for()
        assert page.locator("#dossier").is_hidden()
        page.wait_for_timeout(500)
        assert page.url == zoom
        keep(page, "drawn", tmp_path)
        # Given up.
        page.locator("#draw").click()
        page.keyboard.press("Escape")
        wait_until(page, lambda: page.locator("#draw").inner_text() == "Draw")
        page.wait_for_timeout(400)
        # A file, and one that is none.
        feature = {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {}, "geometry": triangle}],
        }
        for name, content in {
            "mine.geojson": json.dumps(feature),
            "none.json": "{",
            "point.json": '{"type": "Point"}',
        }.items():
            (tmp_path / name).write_text(content)
        page.locator("#file").set_input_files(tmp_path / "mine.geojson")
        expected = view.ground.areas.within(Asked(geometry=triangle))["total_ha"]
        wait_until(page, lambda: f"{expected:,.1f} ha mapped" in result.inner_text())
        page.locator("#file").set_input_files(tmp_path / "none.json")
        page.get_by_text("none.json is not GeoJSON.").wait_for()
        page.locator("#file").set_input_files(tmp_path / "point.json")
        page.get_by_text("point.json contains no polygon.").wait_for()


def test_check_opens_the_files_of_overlays(view):
    project = view.run.plan.project
    with pytest.raises(InputError, match=r"nowhere\.gpkg"):
        check_overlays(project.view, project.path)
    found = project.view.model_copy(update={"overlays": project.view.overlays[:1]})
    check_overlays(found, project.path)


def test_on_a_phone_the_panel_makes_room_for_drawing(chrome, view, tmp_path):
    with served(make_app(view)) as address, visit(chrome, address, size=NARROW) as page:
        page.wait_for_load_state("networkidle")
        panel(page, NARROW)
        page.locator("#within summary").click()
        page.locator("#draw").click()
        page.locator("#controls").wait_for(state="hidden")
        for x, y in [(120, 400), (280, 400), (200, 520)]:
            page.touchscreen.tap(x, y)
            page.wait_for_timeout(400)
        page.touchscreen.tap(120, 400)
        result = page.locator("#within-result")
        result.get_by_role("button", name="GeoTIFF").wait_for()
        assert page.locator("#dossier").is_hidden()
        keep(page, "drawn-narrow", tmp_path)
