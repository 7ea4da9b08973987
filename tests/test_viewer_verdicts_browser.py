"""An interpreter in a browser: places judged by keys, saved before the next one comes, through a server that is killed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import geopandas as gpd
import pytest

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from browsers import NARROW, WIDE, browser, firefox, keep, served, visit, wait_until

from landweave.labels.verdicts.store import read_verdicts
from landweave.runs.estimate.accuracy import estimate_accuracy
from landweave.runs.estimate.draw import SizeRequest, draw_sample
from landweave.runs.estimate.map import find_map
from landweave.viewer.server import make_app, open_view
from landweave.viewer.verdicts.routes import judging_for

AXE = Path(__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module", params=[browser, firefox], ids=["chromium", "firefox"])
def opened_browser(request):
    """One browser after the other."""
    with request.param() as opened:
        yield opened


@pytest.fixture(scope="module")
def view(finished, tmp_path_factory):
    return open_view(shutil.copytree(finished, tmp_path_factory.mktemp("judged") / "country"))


def app_of(view, which, *, file=None):
    judging = judging_for(view.run, which, file=file, show_map=False, host="127.0.0.1", names=())
    return make_app(view, judging=judging)


def no_faults(page):
    """axe finds nothing to complain of, where it is installed (web/node_modules)."""
    if not AXE.exists():
        warnings.warn("no axe-core: cd web && npm ci", stacklevel=1)
    else:
        page.evaluate(AXE.read_text())
        # Maps are canvases: axe cannot see colours through them.
        found = page.evaluate(
            "axe.run(document).then((told) => told.violations.map((one) => `${one.id}: ${one.nodes[0].html}`))"
        )
        assert found == []


def introduce(page, name="ana"):
    page.locator("#interpreter").fill(name)
    page.get_by_role("button", name="Start").click()
    page.locator("#judging-head h1").wait_for()


def said(page):
    return page.locator("#judging-said").inner_text()


def heading(page):
    return page.locator("#judging-head h1").inner_text()


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def kept(path):
    return {(v.place.key, v.interpreter): v for v in read_verdicts(path)}


@pytest.mark.parametrize("size", [WIDE, pytest.param(NARROW, marks=pytest.mark.slow)], ids=["wide", "narrow"])
def test_a_hundred_units_take_at_most_three_keys_each_and_the_estimate_reads_them(opened_browser, view, tmp_path, size):
    path = tmp_path / "sample.gpkg"
    draw_sample(find_map(view.run.plan.project.file), path, request=SizeRequest(n=100, minimum=2), seed=7)
    names = [entry["name"] for entry in view.description["legend"]]
    with served(app_of(view, str(path))) as address, visit(opened_browser, address, size=size) as page:
        no_faults(page)
        assert "Map and register are hidden" in page.locator("#introduce").inner_text()
        introduce(page)
        assert heading(page) == "Place 1 of 100"
        page.wait_for_load_state("networkidle")
        keep(page, f"verdicts-sample-{size[0]}", tmp_path)
        no_faults(page)
        expected = []
        for number in range(1, 101):
            wait_until(page, lambda number=number: heading(page) == f"Place {number} of 100")
            name, other = names[number % len(names)], names[(number + 1) % len(names)]
            keys = [str(names.index(name) + 1)]
            if number % 10 == 0:
                keys = ["a", str(names.index(other) + 1), *keys]
            assert len(keys) <= 3
            press(page, *keys)
            expected.append((name, other if len(keys) == 3 else None))
            wait_until(page, lambda number=number: said(page).startswith(f"Saved place {number}:"))
        assert "All places are judged." in said(page)
        found = {int(v.place.key): (v.name, v.alternate) for v in read_verdicts(path)}
        # Units come in the order of their numbers, which the draw has shuffled.
        assert [found[number] for number in range(1, 101)] == expected
    labels = gpd.read_file(path, layer="sample").set_index("id")["reference"]
    assert [labels[number] for number in range(1, 101)] == [name for name, _ in expected]
    assert estimate_accuracy(path)["classes"]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_places_are_judged_taken_back_skipped_and_noted(opened_browser, view, tmp_path, size):
    path = tmp_path / "verdicts.gpkg"
    names = [entry["name"] for entry in view.description["legend"]]
    with served(app_of(view, "places", file=path)) as address, visit(opened_browser, address, size=size) as page:
        introduce(page)
        n = int(heading(page).rpartition(" ")[2])
        page.wait_for_load_state("networkidle")
        # Image, register and map are side by side, and the place has its facts.
        titles = [text for text in page.locator(".pane-title").all_inner_texts() if text]
        assert len(titles) == 3
        assert {"reference", "map"} <= set(titles)
        assert "Register:" in page.locator("#judging-facts").inner_text()
        keep(page, f"verdicts-places-{size[0]}", tmp_path)
        no_faults(page)
        if size == WIDE:
            page.get_by_text("Every observation").wait_for()
        else:
            assert page.locator("#dossier").is_hidden()
            press(page, "y")
            page.get_by_text("Every observation").wait_for()
            keep(page, f"verdicts-year-{size[0]}", tmp_path)
            press(page, "y")
        assert not path.exists()
        press(page, "1")
        wait_until(page, lambda: heading(page) == f"Place 2 of {n}")
        (first,) = read_verdicts(path)
        assert (first.name, first.interpreter) == (names[0], "ana")
        press(page, "u")
        wait_until(page, lambda: heading(page) == f"Place 3 of {n}")
        assert sorted(v.unsure for v in read_verdicts(path)) == [False, True]
        # Taken back, the place is shown again, without a verdict.
        press(page, "z")
        wait_until(page, lambda: said(page) == "Taken back: place 2.")
        assert heading(page) == f"Place 2 of {n}"
        assert [v.uid for v in read_verdicts(path)] == [first.uid]
        # A note goes along; letters in it are no commands.
        press(page, "n")
        page.keyboard.type("zu a 1 <b>")
        press(page, "Enter", "2")
        wait_until(page, lambda: heading(page) == f"Place 3 of {n}")
        assert [(v.name, v.note) for v in read_verdicts(path)][1:] == [(names[1], "zu a 1 <b>")]
        press(page, "s")
        assert heading(page) == f"Place 4 of {n}"
        press(page, "b", "b")
        assert heading(page) == f"Place 2 of {n}"
        assert page.locator("#judging-classes [aria-pressed=true]").inner_text().endswith(names[1])
        assert page.locator("#note").input_value() == "zu a 1 <b>"
        # By clicks as well, and changed: the newest counts.
        page.locator("#judging-classes button", has_text=names[2]).click()
        wait_until(page, lambda: said(page).startswith("Saved place 2:"))
        assert [v.name for v in read_verdicts(path)] == [names[0], names[2]]
        # Another date and another kind of image.
        before = page.locator("#judging-date").inner_text()
        press(page, ",")
        wait_until(page, lambda: page.locator("#judging-date").inner_text() != before)
        press(page, "i")
        assert page.locator("#judging-date").inner_text().split()[0] != before.split()[0]
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_second_interpreter_sees_progress_and_no_label(opened_browser, view, tmp_path):
    path = tmp_path / "verdicts.gpkg"
    with served(app_of(view, "places", file=path)) as address:
        with visit(opened_browser, address, size=WIDE) as page:
            introduce(page)
            for number in range(1, 4):
                press(page, "2")
                wait_until(page, lambda number=number: said(page).startswith(f"Saved place {number}:"))
        with visit(opened_browser, address, size=WIDE) as page:
            introduce(page, "bo")
            others = page.locator("#judging-others").inner_text()
            assert "ana: 3 judged" in others
            no_faults(page)
            assert page.locator("#judging-classes [aria-pressed=true]").count() == 0
            assert heading(page).startswith("Place 1 ")
        with visit(opened_browser, address, size=WIDE) as page:
            # The first one comes back, and goes on where she stopped.
            introduce(page)
            assert heading(page).startswith("Place 4 ")


def started(folder, port=0):
    command = [sys.executable, "-m", "landweave", "view", str(folder), "--port", str(port), "--verdicts", "places"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)
    return process, re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())


def test_a_server_that_is_killed_loses_no_verdict_that_the_page_called_saved(opened_browser, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "country")
    path = folder / "verdicts.gpkg"
    process, found = started(folder)
    again = None
    try:
        with visit(
            opened_browser, found[0], size=WIDE, errors=("Failed to load resource", "ERR_CONNECTION", "Error")
        ) as page:
            introduce(page)
            n = int(heading(page).rpartition(" ")[2])
            press(page, "1")
            wait_until(page, lambda: said(page).startswith("Saved place 1:"))
            wait_until(page, lambda: heading(page) == f"Place 2 of {n}")
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
            assert len(read_verdicts(path)) == 1
            # What is not saved is not called so, and the place stays.
            press(page, "2")
            page.get_by_text("Not saved yet: the server does not answer.").wait_for()
            press(page, "3")
            keep(page, "verdicts-lost", tmp_path)
            no_faults(page)
            assert heading(page) == f"Place 2 of {n}"
            assert len(read_verdicts(path)) == 1
            again, _ = started(folder, found[1])
            wait_until(page, lambda: said(page).startswith("Saved place 2:"), seconds=60)
            assert page.locator(".judging-alert").is_hidden()
            assert len(read_verdicts(path)) == 2
    finally:
        for one in filter(None, (process, again)):
            if one.poll() is None:
                one.send_signal(signal.SIGKILL)
            one.wait(timeout=20)
            one.stdout.close()
