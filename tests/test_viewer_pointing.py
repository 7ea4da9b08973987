"""Places in the page of the view: coordinates as people paste them, what is under the pointer, and the legend's switches."""

import re
import shutil

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from browsers import NARROW, WIDE, browser, count, firefox, keep, served, visit, wait_until

from landweave.viewer.ground.map_crs import describe_crs
from landweave.viewer.server import make_app, open_view


@pytest.fixture(scope="module", params=[browser, firefox], ids=["chromium", "firefox"])
def opened_browser(request):
    """One browser after the other."""
    with request.param() as opened:
        yield opened


@pytest.fixture(scope="module")
def view(finished, tmp_path_factory):
    return open_view(shutil.copytree(finished, tmp_path_factory.mktemp("pointing") / "country"))


@pytest.fixture(scope="module")
def address(view):
    with served(make_app(view)) as base:
        yield base


@pytest.fixture(scope="module")
def middle(view):
    west, south, east, north = view.tiles.area
    return round((west + east) / 2, 4), round((south + north) / 2, 4)


def sexagesimal(value):
    minutes, seconds = divmod(round(abs(value) * 3600, 2), 60)
    return int(minutes // 60), int(minutes % 60), round(seconds, 2)


def ways_to_write(lon, lat, crs):
    """Texts for one place north of the equator and east of Greenwich."""
    (a, b, c), (d, e, f) = sexagesimal(lat), sexagesimal(lon)
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    comma = [str(value).replace(".", ",") for value in (lat, lon)]
    return [
        f"{lon}, {lat}", f"{lat}, {lon}", f"{lat} {lon}", f"{lat}; {lon}", f"{lon}\t{lat}", f"({lat}, {lon})",
        f"{lat}N {lon}E", f"{lon}E {lat}N", f"{lon}° E, {lat}° N", f"N {lat} E {lon}", f"N{lat}, E{lon}",
        f"lat={lat} lon={lon}", f"lon: {lon}, lat: {lat}", f"Latitude {lat}, longitude {lon}",
        f"{a}°{b}'{c}\"N {d}°{e}'{f}\"E", f"{d}°{e}\u2032{f}\u2033E {a}°{b}\u2032{c}\u2033N", f"{a} {b} {c} N, {d} {e} {f} E",
        f"N {a}° {b}' {c}\" E {d}° {e}' {f}\"", f"{a}° {b}' {c}\", {d}° {e}' {f}\"",
        f"{a}° {b + c / 60:.6f}' N {d}° {e + f / 60:.6f}' E",
        f"{comma[0]} {comma[1]}", f"{comma[0]}; {comma[1]}", f"{comma[1]}, {comma[0]}", f"{comma[0]} N {comma[1]} E",
        f"{x:.1f} {y:.1f}", f"{y:.1f}, {x:.1f}", f"{x:.1f} m, {y:.1f} m", f"{crs} {x:.1f}, {y:.1f}", f"x={x:.1f} y={y:.1f}",
        f"{x:.1f} E {y:.1f} N", f"{x:,.1f} {y:,.1f}",
        f"EPSG:4326 {lat} {lon}", f"geo:{lat},{lon}", f"https://www.openstreetmap.org/#map=15/{lat}/{lon}",
        f"https://www.google.com/maps/@{lat},{lon},12z", f"POINT ({lon} {lat})",
    ]  # fmt: skip


NOWHERE = {
    "": "Give longitude and latitude",
    "somewhere": "Give longitude and latitude",
    "14": "Give longitude and latitude",
    "1 2 3": "Give longitude and latitude",
    "46 75 10 N 18 0 0 E": "Give longitude and latitude",
    "46 N 18 N": "Give longitude and latitude",
    "-33.9, 18.4": "outside the project",
    "EPSG:9999 500000 5000000": "EPSG:9999 is not known here",
    "1e99, <img src=x>": "Give longitude and latitude",
}


def test_coordinates_are_understood_in_any_order_that_people_paste(opened_browser, address, view, middle):
    crs = view.description["crs"]["name"]
    with visit(opened_browser, address, size=WIDE) as page:
        page.wait_for_load_state("networkidle")
        wrong = {}
        for text in ways_to_write(*middle, crs):
            page.locator("#where").fill(text)
            page.locator("#where").press("Enter")
            page.wait_for_timeout(20)
            told = page.evaluate("document.getElementById('where').validationMessage")
            shown = page.locator("#position").inner_text()
            found = re.match(r"Middle: ([\d.]+)° N, ([\d.]+)° E", shown)
            assert found, shown
            if told or (float(found[2]), float(found[1])) != pytest.approx(middle, abs=3e-5):
                wrong[text] = told or shown
            # Somewhere else before the next.
            page.keyboard.press("Escape")
            page.locator("#whole").click()
        assert wrong == {}
        for text, reason in NOWHERE.items():
            page.locator("#where").fill(text)
            page.locator("#where").press("Enter")
            assert reason in page.evaluate("document.getElementById('where').validationMessage"), text


@pytest.mark.parametrize(
    ("crs", "side"),
    [(crs, side) for crs in ("EPSG:32633", "EPSG:3794", "EPSG:3035", "EPSG:3857") for side in (0.02, 2.0)]
    + [("EPSG:31287", 0.02)],  # of a whole country it has a datum that leaps, and degrees are shown instead
)
def test_the_polynomials_of_a_crs_are_right_to_five_centimetres(tmp_path, crs, side):
    bounds = (14.0, 45.8, 14.0 + side, 45.8 + side)
    grid = rasterio.transform.from_origin(500_000, 5_100_000, 10, 10)
    with rasterio.open(
        tmp_path / "map.tif", "w", driver="GTiff", width=1, height=1, count=1, dtype="uint8", crs=crs, transform=grid
    ) as file:
        file.write(np.ones((1, 1, 1), "uint8"))
    found = describe_crs(tmp_path / "map.tif", bounds)
    rng = np.random.default_rng(1)
    lon, lat = (rng.uniform(low, low + side, 200) for low in bounds[:2])
    web = np.array(Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(lon, lat))
    own = np.array(Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat))
    assert found["name"] == crs
    assert np.abs(polynomial(found["to"], web) - own).max() < 0.06
    assert np.abs(polynomial(found["back"], own) - web).max() < 0.06


def polynomial(told, places):
    left, bottom, right, top = told["box"]
    u, v = (2 * places[0] - left - right) / (right - left), (2 * places[1] - bottom - top) / (top - bottom)
    return np.array([np.polynomial.chebyshev.chebval2d(u, v, np.array(told[axis])) for axis in "xy"])


def test_a_map_in_degrees_has_no_other_coordinates(tmp_path):
    with rasterio.open(
        tmp_path / "map.tif", "w", driver="GTiff", width=1, height=1, count=1, dtype="uint8", crs="EPSG:4326",
        transform=rasterio.transform.from_origin(14, 46, 0.1, 0.1),
    ) as file:  # fmt: skip
        file.write(np.ones((1, 1, 1), "uint8"))
    assert describe_crs(tmp_path / "map.tif", (14, 45.9, 14.1, 46)) is None


def test_the_pointer_shows_class_and_confidence_of_the_pixel_under_it(opened_browser, address, view, tmp_path):
    run = view.run
    lon, lat = (sum(view.tiles.area[i::2]) / 2 for i in (0, 1))
    centre = view.dossier(lon, lat)["place"]
    lon, lat = Transformer.from_crs(centre["crs"], "EPSG:4326", always_xy=True).transform(centre["x"], centre["y"])
    told = view.dossier(lon, lat)
    with visit(opened_browser, address, size=WIDE, address=f"#layer=reference&z=16&lon={lon}&lat={lat}") as page:
        page.wait_for_load_state("networkidle")
        box = page.locator("#pane-0 .map").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        hover = page.locator("#hover")
        hover.wait_for()
        text = hover.inner_text()
        assert f"map: {told['prediction']['name']}" in re.sub(r"\s+", " ", text)
        assert f"confidence: {told['prediction']['confidence']} %" in text
        assert ("reference:" in text) == (told["reference"] is not None)
        x, y = Transformer.from_crs("EPSG:4326", view.description["crs"]["name"], always_xy=True).transform(lon, lat)
        shown = re.search(r"(\d+), (\d+)$", page.locator("#position").inner_text())
        assert (int(shown[1]), int(shown[2])) == pytest.approx((x, y), abs=run.plan.pixel_metres)
        keep(page, "hover", tmp_path)
        page.mouse.move(box["x"] + box["width"] + 30, 10)
        hover.wait_for(state="hidden")
        assert page.locator("#position").inner_text().startswith("Middle: ")
        for part in ("#north", ".ol-scale-line"):
            assert page.locator(part).first.is_visible(), part


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_legend_switches_all_none_and_only_one(opened_browser, address, view, tmp_path, size):
    first, second = sorted(view.description["legend"], key=lambda entry: -entry["pixels"])[:2]
    with visit(opened_browser, address, size=size) as page:
        wait_until(page, lambda: count(page, first["color"]) > 100)
        if size == NARROW:
            page.get_by_role("button", name="Layers").click()
        page.get_by_role("button", name=f"Only {second['name']}").click()
        wait_until(page, lambda: count(page, first["color"]) == 0 and count(page, second["color"]) > 50)
        assert page.locator("#legends input:checked").count() == 1
        keep(page, f"only-{'narrow' if size == NARROW else 'wide'}", tmp_path)
        page.get_by_role("button", name="None of Classes").click()
        wait_until(page, lambda: count(page, second["color"]) == 0)
        page.get_by_role("button", name="All of Classes").click()
        wait_until(page, lambda: count(page, first["color"]) > 100)
        # What was clicked keeps the focus.
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "All of Classes"
