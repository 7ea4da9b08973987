"""The page of the view for everyone: axe finds nothing in any state, and what is clicked is at least 24 pixels wide."""

import os
import shutil
import warnings
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from browsers import NARROW, WIDE, browser, keep, served, visit
from test_publishing import plain_server

from landweave.viewer.publishing import Publication, publish
from landweave.viewer.server import make_app, open_view

ROOT = Path(__file__).parents[1]

RULES = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"

# What can be clicked and is shown, smaller than 24 pixels; a box within a label is as large as the label.
SMALL = """() => [...document.querySelectorAll("button, a, input, select, summary, [role=slider]")].filter((one) => {
  const style = getComputedStyle(one);
  const label = one.tagName === "INPUT" ? one.closest("label") : null;
  const box = (label ?? one).getBoundingClientRect();
  const shown = box.width && style.visibility !== "hidden";
  return shown && (box.width < 24 || box.height < 24);
}).map((one) => `${one.tagName} ${one.id} ${one.className} ${one.textContent.slice(0, 20)}`)"""


def say(page):
    for part, text in {"status": "Something happened.", "lost": "The server does not answer."}.items():
        page.evaluate(
            f"document.getElementById('{part}').textContent = '{text}'; document.getElementById('{part}').hidden = false"
        )


def count_within(page):
    page.locator("#within summary").click()
    page.locator("#named").select_option(index=1)
    page.get_by_role("button", name="GeoTIFF").wait_for()


def open_all(page):
    for part in ("help", "within"):
        page.locator(f"#{part} summary").click()


def observations(page):
    page.get_by_text("Every observation").click()


STATES = {
    "one": ("", None),
    "swipe": ("#view=swipe", None),
    "panels": ("#view=panels&samples=1&grid=1", None),
    "ramp": ("#layer=confidence", None),
    "codes": ("#layer=disagreement&outline=1", None),
    "open": ("", open_all),
    "within": ("", count_within),
    "said": ("", say),
    "dossier": ("#pixel={lon},{lat}", observations),
}


@pytest.fixture(scope="module")
def chrome():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def view(finished, tmp_path_factory):
    return open_view(shutil.copytree(finished, tmp_path_factory.mktemp("access") / "country"))


@pytest.fixture(scope="module")
def address(view):
    with served(make_app(view)) as base:
        yield base


@pytest.fixture(scope="module")
def axe():
    """axe-core's text; the test skips, and says so, without it: it is installed with the page's own tools."""
    servers = Path(os.environ.get("LANDWEAVE_SERVERS", ROOT / ".servers"))
    for place in (ROOT / "web", servers):
        path = place / "node_modules" / "axe-core" / "axe.min.js"
        if path.exists():
            return path.read_text(encoding="utf-8")
    reason = "no axe-core: `cd web && npm ci`, or `make servers` where npm is installed"
    warnings.warn(reason, stacklevel=1)
    return pytest.skip(reason)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing_and_all_that_is_clicked_is_large_enough(chrome, address, view, axe, tmp_path, size, state):
    hash_, act = STATES[state]
    lon, lat = (sum(view.tiles.area[i::2]) / 2 for i in (0, 1))
    with visit(chrome, address, size=size, address=hash_.format(lon=lon, lat=lat)) as page:
        page.wait_for_load_state("networkidle")
        if size == NARROW and state != "dossier":
            page.get_by_role("button", name="Layers").click()
        if act is not None:
            act(page)
        found = {}
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(100)
            for fault in page.evaluate(RULES)["violations"]:
                found[scheme, fault["id"]] = [node["target"] for node in fault["nodes"]]
            keep(page, f"access-{state}-{scheme}-{'narrow' if size == NARROW else 'wide'}", tmp_path)
        assert found == {}
        assert page.evaluate(SMALL) == []


@pytest.fixture(scope="module")
def published(view, tmp_path_factory):
    folder = tmp_path_factory.mktemp("access") / "published"
    publish(view.run.plan.project.file, folder, Publication(tiles="folder", images=1))
    with plain_server(folder) as base:
        yield base


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing_on_a_published_page(chrome, published, axe, tmp_path, size):
    with visit(chrome, published, size=size) as page:
        page.wait_for_load_state("networkidle")
        if size == NARROW:
            page.get_by_role("button", name="Layers").click()
        else:
            # A click there answers with class and confidence.
            page.mouse.click(size[0] * 0.7, size[1] * 0.5)
        page.evaluate(axe)
        found = {}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(100)
            for fault in page.evaluate(RULES)["violations"]:
                found[scheme, fault["id"]] = [node["target"] for node in fault["nodes"]]
            keep(page, f"access-published-{scheme}-{'narrow' if size == NARROW else 'wide'}", tmp_path)
        assert found == {}
        assert page.evaluate(SMALL) == []
