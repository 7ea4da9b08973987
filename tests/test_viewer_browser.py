"""A browser walks over the view: it loads, swipes, clicks, changes dates, follows links, and asks nobody else."""

import json
import shutil
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from browsers import NARROW, WIDE, browser, count, keep, served, visit, wait_until

from landweave.runs.results.run import open_run
from landweave.viewer import server, tiles
from landweave.viewer.server import make_app, open_view

MARKUP = "<img src=x onerror=\"document.title='owned'\"><b>forest</b>"


@pytest.fixture(scope="module")
def chrome():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def view(finished, tmp_path_factory):
    """A view of a country one of whose classes and places have markup for names."""
    folder = tmp_path_factory.mktemp("view") / "country"
    shutil.copytree(finished, folder)
    legend = folder / "legend.toml"
    assert '"forest"' in legend.read_text()
    legend.write_text(legend.read_text().replace('"forest"', f"'''{MARKUP}'''"))
    project = folder / "landweave.toml"
    west, south, east, north = open_run(folder).cells[0].geobox.geographic_extent.boundingbox
    place = f"name = '''{MARKUP}'''\nlon = {(west + east) / 2}\nlat = {(south + north) / 2}\n"
    project.write_text(f"{project.read_text()}\n[[places]]\n{place}")
    return open_view(folder)


@pytest.fixture(scope="module")
def address(view):
    with served(make_app(view)) as base:
        yield base


def walk(chrome, address, view, tmp_path, size, name):
    legend = view.description["legend"]
    largest = max(legend, key=lambda entry: entry["pixels"])
    with visit(chrome, address, size=size) as page:
        # It loads: the map shows the colours of its classes.
        wait_until(page, lambda: count(page, largest["color"]) > 1000)
        narrow = size == NARROW
        keep(page, f"{name}-map", tmp_path)
        if narrow:
            page.get_by_role("button", name="Layers").click()
        # Text from data is text.
        assert MARKUP in page.locator("#legends").inner_text()
        assert page.locator("aside img, aside b").count() == 0
        assert page.title() == f"{view.description['name']} - landweave"
        assert "mapped area (pixel count, not an estimate)" in page.locator("#legends").inner_text()
        # A class switched off leaves the map, and comes back.
        box = page.locator(f"[data-toggle=off-{largest['value']}]")
        box.uncheck()
        wait_until(page, lambda: count(page, largest["color"]) == 0)
        box.check()
        wait_until(page, lambda: count(page, largest["color"]) > 1000)
        # Another date, by its button.
        shown = page.locator("#date-shown").inner_text()
        page.get_by_label("Date after").click()
        page.get_by_label("Date before").click()
        assert page.locator("#date-shown").inner_text() == shown
        page.locator("#date").fill("1")
        assert page.locator("#date-shown").inner_text().startswith(view.description["dates"][1]["date"])
        # The swipe: map on the left, image on the right.
        page.locator("#modes label", has_text="Swipe").click()
        page.locator("#other").select_option("true-colour")
        keep(page, f"{name}-swipe-panel", tmp_path)
        if narrow:
            page.get_by_role("button", name="Layers").click()
        page.wait_for_load_state("networkidle")
        whole = count(page, largest["color"])
        handle = page.locator("#swipe").bounding_box()
        x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x / 4, y, steps=4)
        page.mouse.up()
        assert int(page.locator("#swipe").get_attribute("aria-valuenow")) < 30
        wait_until(page, lambda: count(page, largest["color"]) < whole)
        keep(page, f"{name}-swipe", tmp_path)
        # Each side has its name on the map.
        left, right = (page.locator("#pane-0 .pane-title").nth(number) for number in (0, 1))
        assert (left.inner_text(), right.inner_text().split(",")[0]) == ("map", "true colour")
        assert left.bounding_box()["x"] < right.bounding_box()["x"]
        assert page.get_by_role("application", name="map and true colour").count() == 1
        # A click opens the dossier; its file is what the server said.
        middle = page.locator("#pane-0 .map").bounding_box()
        page.mouse.click(middle["x"] + 0.6 * middle["width"], middle["y"] + 0.5 * middle["height"])
        page.get_by_text("Every observation").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="JSON").click()
        told = json.loads(download.value.path().read_text())
        assert len(told["observations"]) == len(view.run.plan.dates)
        keep(page, f"{name}-dossier", tmp_path)
        page.wait_for_timeout(300)
        link = page.url
    # The link opens the same place, layers, date, swipe and pixel.
    with visit(chrome, address, size=size, address=link.removeprefix(address)) as page:
        page.get_by_text("Every observation").wait_for()
        assert page.locator("#stage").get_attribute("data-mode") == "swipe"
        page.wait_for_timeout(300)
        assert page.url == link
        page.keyboard.press("Escape")
        assert page.locator("#dossier").is_hidden()
        page.keyboard.press("3")
        assert page.locator(".pane:visible").count() == 3
        page.wait_for_load_state("networkidle")
        if size == WIDE:
            # A panel that is folded leaves its place to the maps, and a button to have it back.
            page.keyboard.press("l")
            wait_until(page, lambda: page.locator("#stage").bounding_box()["width"] == size[0])
            page.get_by_role("button", name="Layers").click()
            wait_until(page, lambda: page.locator("#stage").bounding_box()["width"] < size[0])
            assert page.locator("#open").is_hidden()
        keep(page, f"{name}-panels", tmp_path)


def test_a_walk_on_a_wide_screen(chrome, address, view, tmp_path):
    walk(chrome, address, view, tmp_path, WIDE, "wide")


@pytest.mark.slow
def test_a_walk_on_a_phone(chrome, address, view, tmp_path):
    walk(chrome, address, view, tmp_path, NARROW, "narrow")


@pytest.mark.slow
def test_all_goes_by_keys(chrome, address, view, tmp_path):
    with visit(chrome, address, size=WIDE) as page:
        page.wait_for_load_state("networkidle")
        for key, mode in {"2": "swipe", "3": "panels", "1": "one"}.items():
            page.keyboard.press(key)
            assert page.locator("#stage").get_attribute("data-mode") == mode
        before = page.locator("#date-shown").inner_text()
        page.keyboard.press(",")
        assert page.locator("#date-shown").inner_text() != before
        page.keyboard.press("[")
        assert page.locator("#opacity-shown").inner_text() == "90 %"
        page.keyboard.press("g")
        assert page.locator("#grid").is_checked()
        page.keyboard.press("/")
        place = view.description["places"][0]
        page.keyboard.type(f"{place['lon']}, {place['lat']}")
        page.keyboard.press("Enter")
        page.locator("#pane-0 .map").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=f"Pixel {place['lon']:.5f}, {place['lat']:.5f}").wait_for()
        keep(page, "keys", tmp_path)


@pytest.mark.slow
def test_a_link_that_was_tampered_with_opens_the_plain_view(chrome, address, view):
    bad = "#view=<script>&layer=../../x&with=%00&date=2017-99-99&z=1e99&lon=abc&lat=900&off=999,a,-1&pixel=x,y&at=7"
    with visit(chrome, address, size=WIDE, address=bad) as page:
        page.wait_for_load_state("networkidle")
        assert page.locator("#stage").get_attribute("data-mode") == "one"
        assert page.locator("#layer").input_value() == "prediction"


def place_in(url):
    """Zoom, longitude and latitude that an address names; None for what it does not."""
    told = dict(part.split("=", 1) for part in url.partition("#")[2].split("&") if "=" in part)
    return [float(told[key]) if key in told else None for key in ("z", "lon", "lat")]


def drawn(page):
    """What the first map shows, when nothing is under way any more."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    return page.evaluate("document.querySelector('#pane-0 canvas').toDataURL()")


def test_every_way_to_a_place_reaches_the_address(chrome, view, tmp_path):
    """A link that is copied after it opens where its writer stood; the hint to zoom in goes."""
    cells = view.run.cells
    boxes = [cell.geobox.geographic_extent.boundingbox for cell in (cells[0], cells[-1])]
    first, last = [((left + right) / 2, (bottom + top) / 2) for left, bottom, right, top in boxes]
    doubtful = {"rank": 1, "reference_class": "water", "suggested_class": MARKUP, "area_ha": 1.0}
    doubtful |= {"lon": last[0], "lat": last[1]}
    told = {**view.description, "doubtful": [doubtful]}
    near = view.description["natural_zoom"]
    with (
        served(make_app(replace(view, description=told))) as address,
        visit(chrome, address, size=WIDE, address="#layer=ndvi") as page,
    ):
        wait_until(page, lambda: None not in place_in(page.url))

        def stands_at(place, zoom):
            wait_until(page, lambda: place_in(page.url) == pytest.approx([zoom, *place], abs=6e-7))

        page.evaluate(f"location.hash = '#layer=ndvi&z=1&lon={last[0]}&lat={last[1]}'")
        page.get_by_text("Zoom in to see NDVI.").wait_for()
        page.locator(".place").first.click()
        stands_at(first, near)
        assert page.locator("#hint").is_hidden()
        page.locator("#where").fill(f"{last[0]}, {last[1]}")
        page.get_by_role("button", name="Go", exact=True).click()
        stands_at(last, near)
        page.locator(".place").first.click()
        stands_at(first, near)
        page.locator("#doubtful summary").click()
        page.locator("#doubtful-list button").click()
        stands_at(last, near)
        # The place is marked, and in a link to it too.
        assert f"mark={last[0]:.6f},{last[1]:.6f}" in page.url
        keep(page, "doubtful", tmp_path)
        link, marked = page.url, drawn(page)
        page.keyboard.press("Escape")
        wait_until(page, lambda: "mark" not in page.url)
        assert drawn(page) != marked
        page.evaluate(f"location.hash = {json.dumps(link.partition('#')[2])}")
        wait_until(page, lambda: drawn(page) == marked)
        # What fits is the whole, also where three maps have made way for one.
        page.evaluate("location.hash = '#view=one'")
        page.locator("#stage[data-mode=one]").wait_for()
        wait_until(page, lambda: None not in place_in(page.url))
        fitted = place_in(page.url)
        page.locator(".place").first.click()
        stands_at(first, max(near, fitted[0]))
        page.get_by_role("button", name="Whole map").click()
        stands_at(fitted[1:], fitted[0])
        # Latitude first is understood, too.
        page.locator("#where").fill(f"{last[1]}, {last[0]}")
        page.locator("#where").press("Enter")
        stands_at(last, max(near, fitted[0]))


def test_a_link_to_a_pixel_marks_it_also_where_no_dossier_can_be_asked_for(chrome, view):
    box = view.run.cells[0].geobox.geographic_extent.boundingbox
    lon, lat = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    app = make_app(replace(view, description={**view.description, "dossier": False}))
    near = f"#z=14&lon={lon}&lat={lat}"
    with served(app) as address, visit(chrome, address, size=WIDE, address=near) as page:
        plain = drawn(page)
        assert drawn(page) == plain
        page.evaluate(f"location.hash = '{near}&pixel={lon:.6f},{lat:.6f}'")
        wait_until(page, lambda: drawn(page) != plain)
        page.locator("#dossier").get_by_text("confidence").wait_for()
        page.keyboard.press("Escape")
        page.locator("#dossier").wait_for(state="hidden")
        wait_until(page, lambda: drawn(page) == plain)


def test_what_failed_is_told_on_the_page(chrome, view, monkeypatch):
    """A tile that cannot be made, and a patch that was not made."""
    box = view.run.cells[0].geobox.geographic_extent.boundingbox
    lon, lat = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    name = view.run.cells[0].name
    told = {
        "place": {"lon": lon, "lat": lat}, "observations": None, "curve": None, "probabilities": None,
        "prediction": None, "out_of_fold": None, "reference": None,
        "patch": {"name": name, "row": 1, "column": 1, "record": {"seen": None, "failures": ["OSError: no such key"]}},
    }  # fmt: skip

    def broken(*given):
        raise RuntimeError("cut short")

    monkeypatch.setattr(server, "pixel_dossier", lambda *given: told)
    monkeypatch.setattr(tiles, "_of_file", broken)
    known = ("500 (Internal Server Error)", "tile confidence", "AbortError")
    view = replace(view, tiles=replace(view.tiles, files=dict(view.tiles.files)))
    view.tiles.forget()
    with (
        served(make_app(view)) as address,
        visit(chrome, address, size=WIDE, address=f"#layer=confidence&pixel={lon},{lat}", errors=known) as page,
    ):
        page.get_by_text('A part of "confidence" could not be had (500)').wait_for()
        page.get_by_text("This patch failed: OSError: no such key").wait_for()
        # A tile that fails later is told again.
        page.wait_for_load_state("networkidle")
        page.locator("#status").click()
        page.locator("#status").wait_for(state="hidden")


def test_a_page_is_told_that_its_run_has_changed(chrome, view, monkeypatch):
    monkeypatch.setattr(server, "LOOK", 0.0)
    with served(make_app(view)) as address, visit(chrome, address, size=WIDE) as page:
        page.wait_for_load_state("networkidle")
        assert page.locator("#status").is_hidden()
        monkeypatch.setattr(server, "stamp_of", lambda folder: ("written again",))
        page.keyboard.press("2")
        page.get_by_text("The run has changed since this page was opened: reload it.").wait_for()


def test_a_long_name_without_spaces_widens_no_page(chrome, view, monkeypatch):
    long = "x" * 300
    doubtful = {"rank": 1, "reference_class": long, "suggested_class": long, "area_ha": 1.0, "lon": 0, "lat": 0}
    first, *others = view.description["legend"]
    legend = [{**first, "name": long}, *others]
    box = view.run.cells[0].geobox.geographic_extent.boundingbox
    lon, lat = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    found = {"value": first["value"], "name": long, "confidence": 50, "code": long}
    told = {**view.dossier(lon, lat), "prediction": found, "out_of_fold": found, "reference": found}
    told["probabilities"] = {long: 0.6, "other": 0.4}
    monkeypatch.setattr(server, "pixel_dossier", lambda *given: told)
    shown = replace(view, description={**view.description, "legend": legend, "doubtful": [doubtful]})
    report = (view.run.folder / "report.html").read_text()
    for size in (WIDE, NARROW):
        with (
            served(make_app(shown)) as address,
            visit(chrome, address, size=size, address=f"#pixel={lon},{lat}") as page,
        ):
            page.get_by_text("Every observation").wait_for()
            if size == NARROW:
                page.get_by_role("button", name="Layers").click()
            page.locator("#doubtful summary").click()
            for part in ("controls", "dossier"):
                wide = f"(part => part.scrollWidth - part.clientWidth)(document.getElementById('{part}'))"
                assert page.evaluate(wide) <= 0, part
        page = chrome.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_content(report.replace("grassland", long))
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.close()
