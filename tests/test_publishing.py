"""A published folder holds the same tiles as the view, and needs no server but one for files."""

import functools
import http.server
import json
import re
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from browsers import NARROW, WIDE, browser, count, keep, visit, wait_until
from markupsafe import escape
from pmtiles.reader import MmapSource, Reader, all_tiles

from landweave.engine.ledger import Ledger
from landweave.errors import InputError
from landweave.runs.pipeline.status import remake_report
from landweave.runs.project.settings import read_project
from landweave.runs.results.compare import compare
from landweave.runs.results.layers import make_layers
from landweave.runs.results.run import open_run
from landweave.viewer.mercator import tiles_over
from landweave.viewer.publishing import MARK, POLICY, Publication, publish
from landweave.viewer.server import open_view
from landweave.viewer.tiles import Tiles, parse_day

REQUEST = Publication(images=2, attribution="Simulated land", licence="CC0-1.0")


@pytest.fixture(scope="module")
def finished(finished, tmp_path_factory):
    """A copy, since a view makes maps in the output folder."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("viewed") / "country")


@pytest.fixture(scope="module")
def archived(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "archives"
    assert publish(finished, folder, REQUEST) == folder / "index.html"
    return folder


@pytest.fixture(scope="module")
def filed(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "files"
    publish(finished, folder, Publication(tiles="folder", images=2))
    return folder


def told(folder):
    return json.loads((folder / "view.json").read_text())


def layers_and_dates(view):
    for layer in view["layers"]:
        for day in [d["date"] for d in view["dates"]] if layer.get("dated") else [None]:
            yield layer, day


def test_an_archive_holds_every_tile_that_the_view_would_show(finished, archived):
    run = open_run(finished)
    tiles = Tiles(run=run, files=make_layers(run).files, pictures="WEBP")
    seen = 0
    for layer, day in layers_and_dates(told(archived)):
        key = layer["id"] if day is None else f"{layer['id']}-{day}"
        with (archived / "tiles" / f"{key}.pmtiles").open("rb") as file:
            held = dict(all_tiles(MmapSource(file)))
            header = Reader(MmapSource(file)).header()
        expected = {}
        for place in tiles_over(tiles.bounds, layer["min_zoom"], layer["max_zoom"]):
            made = (
                tiles.values(layer["id"], *place) if day is None else tiles.image(layer["id"], parse_day(day), *place)
            )
            if made is not None:
                expected[place] = made.content
        assert held == expected
        assert header["clustered"]
        assert (header["min_zoom"], header["max_zoom"]) == (layer["min_zoom"], layer["max_zoom"])
        seen += len(expected)
    assert seen > 20


def test_a_folder_of_tiles_holds_the_same_and_blanks_where_there_is_none(archived, filed):
    for layer, day in layers_and_dates(told(filed)):
        key = layer["id"] if day is None else f"{layer['id']}-{day}"
        with (archived / "tiles" / f"{key}.pmtiles").open("rb") as file:
            held = dict(all_tiles(MmapSource(file)))
        places = tiles_over(told(filed)["bounds"], layer["min_zoom"], layer["max_zoom"])
        blanks, place = set(), filed / "tiles" / layer["id"] / (day or "")
        for z, x, y in places:
            content = (place / f"{z}/{x}/{y}.{layer['suffix']}").read_bytes()
            if (z, x, y) in held:
                assert content == held[z, x, y]
            else:
                blanks.add(content)
        assert len(blanks) <= 1


def test_the_same_run_gives_the_same_folder(finished, archived, tmp_path):
    publish(finished, tmp_path / "again", REQUEST)
    files = sorted(path.relative_to(archived) for path in archived.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (archived / name).read_bytes(), name


def test_the_page_states_its_policy_its_source_and_its_terms(archived, filed):
    assert f'http-equiv="Content-Security-Policy" content="{POLICY}"' in (archived / "index.html").read_text()
    assert (told(archived)["attribution"], told(archived)["licence"]) == ("Simulated land", "CC0-1.0")
    assert "not stated" in told(filed)["attribution"]
    assert "not stated" in told(filed)["licence"]
    assert not told(archived)["dossier"]


def test_a_file_overlay_is_published_only_where_the_project_says_so(finished, filed, tmp_path):
    assert not (filed / "overlay").exists()
    country = shutil.copytree(finished, tmp_path / "country")
    west, south, east, north = open_view(country).tiles.area
    line = {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    roads = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": line}]}
    for name in ("roads", "secret"):
        (country / f"{name}.geojson").write_text(json.dumps(roads))
    named = '{ name = "Secret", path = "secret.geojson" }, { name = "Roads", path = "roads.geojson", publish = true }'
    with (country / "landweave.toml").open("a") as file:
        file.write(f"\n[view]\noverlays = [{named}]\n")
    remake_report(read_project(country))
    publish(country, tmp_path / "shared", Publication(tiles="folder", images=0))
    assert [(one["id"], one["name"]) for one in told(tmp_path / "shared")["overlays"]] == [(1, "Roads")]
    assert [path.name for path in (tmp_path / "shared" / "overlay").iterdir()] == ["1.json"]
    drawn = json.loads((tmp_path / "shared" / "overlay" / "1.json").read_text())["features"]
    assert [feature["geometry"]["type"] for feature in drawn] == ["LineString"]


def test_downloads_are_those_of_the_run(finished, archived):
    names = [file["name"] for file in told(archived)["downloads"]]
    assert names == ["map.tif", "map.tif.aux.xml", "map.qml", "map.stac.json", "confidence.tif", "accuracy.json"]
    for file in told(archived)["downloads"]:
        assert (archived / file["href"]).read_bytes() == (finished / "out" / file["name"]).read_bytes()
    assert (archived / "report.html").read_bytes() == (finished / "out" / "report.html").read_bytes()


def test_nothing_of_this_machine_and_nothing_of_the_registers_own_is_published(finished, tmp_path):
    """A failed patch's error names files with their paths; a comparison holds the register's polygons."""
    folder = shutil.copytree(finished, tmp_path / "country")
    compare(folder)
    record = json.loads((folder / "out" / "run.json").read_text())
    name = open_run(folder).cells[0].name
    error = f'{folder}/archive/it\'s "B04".tif: cannot be read, nor can /srv/imagery/a.tif'
    record["failures"] = [{"what": f"fetch/{name}", "error": error, "log": f"logs/{name}.txt"}]
    (folder / "out" / "run.json").write_text(json.dumps(record))
    report = folder / "out" / "report.html"
    report.write_text(report.read_text().replace("</main>", f"<p>Failed: {escape(error)}</p></main>"))
    with Ledger(folder / "out" / "ledger.sqlite") as ledger:
        made = ledger.get("report")
        ledger.done("report", inputs=made.inputs, files=list(made.files), info=made.info)
    publish(folder, tmp_path / "public", Publication(tiles="folder", images=0))
    texts = [p for p in (tmp_path / "public").rglob("*") if p.suffix in {".html", ".json", ".xml", ".qml"}]
    for path in texts:
        text = path.read_text()
        assert str(tmp_path) not in text, path
        assert "/srv/imagery" not in text, path
    assert "cannot be read, nor can a.tif" in (tmp_path / "public" / "report.html").read_text()
    assert "cannot be read, nor can a.tif" in (tmp_path / "public" / "patches.json").read_text()
    assert (tmp_path / "public" / "compare.html").exists()
    assert not list((tmp_path / "public").rglob("*.gpkg"))


def test_a_map_whose_classes_were_renamed_since_is_not_published(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "country")
    legend = read_project(folder).path(read_project(folder).reference.legend)
    text = legend.read_text()
    one, other = re.findall(r"^name = .*$", text, flags=re.MULTILINE)[:2]
    legend.write_text(text.replace(one, "name = 0").replace(other, one).replace("name = 0", other))
    with pytest.raises(InputError, match=r"not fresh \(.*classes changed.*\); run the project first"):
        publish(folder, tmp_path / "page", REQUEST)
    assert not (tmp_path / "page").exists()


def test_the_current_folder_is_refused_and_a_link_leads_to_its_target(finished, tmp_path, monkeypatch):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    publish(finished, tmp_path / "link", Publication(tiles="folder", images=0))
    assert (tmp_path / "link").is_symlink()
    assert (real / "index.html").exists()
    monkeypatch.chdir(real)
    with pytest.raises(InputError, match="the current folder cannot be replaced"):
        publish(finished, ".", Publication(tiles="folder", images=0))


def test_only_what_was_published_is_ever_replaced(finished, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "diary.txt").write_text("dear diary")
    with pytest.raises(InputError, match=r"that landweave did not publish; give a new or empty folder\.$"):
        publish(finished, theirs, REQUEST)
    assert [path.name for path in theirs.iterdir()] == ["diary.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    publish(finished, empty, Publication(images=0))
    (empty / "tiles" / "left over").write_text("")
    publish(finished, empty, Publication(images=0))
    assert (empty / MARK).exists()
    assert not (empty / "tiles" / "left over").exists()


def test_a_name_with_markup_is_text_in_the_page(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "country")
    project = tmp_path / "country" / "landweave.toml"
    project.write_text(
        project.read_text().replace('name = "simulated"', "name = '</title><script>alert(1)</script>'", 1)
    )
    remake_report(read_project(project))
    page = publish(tmp_path / "country", tmp_path / "page", Publication(images=0)).read_text()
    assert "<title>&lt;/title&gt;&lt;script&gt;" in page
    assert page.count("<script") == 1


def test_an_unknown_form_of_tiles_is_refused(finished, tmp_path):
    with pytest.raises(InputError, match="choose pmtiles or folder"):
        publish(finished, tmp_path / "page", Publication(tiles="mbtiles"))


@contextmanager
def plain_server(folder):
    """What ``python -m http.server`` does, which sends whole files only."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *given):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def chrome():
    with browser() as opened:
        yield opened


def walk(chrome, base, view, tmp_path, size, name):
    largest = max(view["legend"], key=lambda entry: entry["pixels"])
    with visit(chrome, base, size=size) as page:
        wait_until(page, lambda: count(page, largest["color"]) > 1000)
        keep(page, f"{name}-map", tmp_path)
        if size == NARROW:
            page.get_by_role("button", name="Layers").click()
        panel = page.locator("#controls").inner_text()
        assert "A click shows class and confidence" in panel
        assert page.locator("#draw").is_hidden()
        assert view["licence"] in panel
        page.locator("#modes label", has_text="Swipe").click()
        page.locator("#other").select_option("true-colour")
        page.wait_for_load_state("networkidle")
        page.keyboard.press("l")
        wait_until(page, lambda: count(page, largest["color"]) > 100)
        keep(page, f"{name}-swipe", tmp_path)
        middle = page.locator("#pane-0 .map").bounding_box()
        page.mouse.click(middle["x"] + 0.3 * middle["width"], middle["y"] + 0.4 * middle["height"])
        dossier = page.locator("#dossier")
        dossier.get_by_text("confidence").wait_for()
        assert "%" in dossier.inner_text()
        assert set(dossier.inner_text().split("\n")) & {entry["name"] for entry in view["legend"]}
        keep(page, f"{name}-values", tmp_path)
        page.keyboard.press("Escape")
        if size == NARROW:
            page.get_by_role("button", name="Layers").click()
        else:
            page.keyboard.press("l")
        with page.expect_popup() as report:
            page.get_by_role("link", name="Report", exact=True).click()
        report.value.wait_for_load_state()
        with page.expect_download() as download:
            page.get_by_role("link", name="map.stac.json").click()
        assert json.loads(download.value.path().read_text())["stac_version"] == "1.1.0"


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_archives_behind_nginx(chrome, archived, tmp_path, size):
    from servers import nginx

    with nginx(archived, tmp_path / "nginx", extra="include /etc/nginx/mime.types;") as (base, asked):
        walk(chrome, f"{base}/", told(archived), tmp_path, size, f"nginx-{size[0]}")
        lines = asked.read_text().splitlines()
    assert any(".pmtiles 206" in line for line in lines)
    assert not any(".pmtiles 200" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_files_behind_a_plain_server(chrome, filed, tmp_path, size):
    with plain_server(filed) as base:
        walk(chrome, base, told(filed), tmp_path, size, f"plain-{size[0]}")


def test_archives_behind_a_plain_server_come_whole(chrome, archived, tmp_path):
    """A server that sends no parts of files, such as ``python -m http.server``."""
    shutil.copytree(archived, tmp_path / "page")
    with (tmp_path / "page" / "tiles" / "prediction.pmtiles").open("ab") as file:
        file.write(bytes(20_000))  # what is smaller than a first request comes whole anyway
    with plain_server(tmp_path / "page") as base:
        walk(chrome, base, told(archived), tmp_path, WIDE, "whole")


def test_archives_that_are_too_large_for_that_say_what_to_do_beside_the_panel(chrome, archived, tmp_path):
    shutil.copytree(archived, tmp_path / "page")
    with (tmp_path / "page" / "tiles" / "prediction.pmtiles").open("ab") as file:
        file.truncate(65_000_000)
    with plain_server(tmp_path / "page") as base:
        for size in (1200, 800), NARROW:
            with visit(chrome, base, size=size, errors=["Byte Serving"]) as page:
                notice = page.get_by_text("publish again with --tiles folder")
                notice.wait_for()
                keep(page, f"unsent-{size[0]}", tmp_path)
                box, name = notice.bounding_box(), page.locator("#name").bounding_box()
                assert box["x"] >= 0
                assert name is None or box["x"] + box["width"] <= name["x"]


@pytest.mark.parametrize("form", ["archived", "filed"])
def test_a_page_that_is_opened_by_a_double_click_says_what_to_do(chrome, form, request, tmp_path):
    folder = request.getfixturevalue(form)
    context = chrome.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    shell = page.locator("#shell")
    shell.wait_for(timeout=5000)
    assert "python -m http.server" in shell.inner_text()
    keep(page, f"double-click-{form}", tmp_path)
    context.close()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_three_maps_show_the_whole_area_and_so_does_one_after_them(chrome, filed, size):
    view = told(filed)
    west, south, east, north = view["area"]
    with plain_server(filed) as base, visit(chrome, base, size=size) as page:
        page.wait_for_load_state("networkidle")
        for key, maps in {"3": 3, "1": 1}.items():
            page.keyboard.press(key)
            wait_until(page, lambda maps=maps: page.locator(".pane:visible").count() == maps)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(300)
            box = page.locator("#pane-0 .map").bounding_box()
            # Pixels of web Mercator that the area takes at this zoom.
            zoom = float(re.search(r"z=([\d.]+)", page.url)[1])
            wide = (east - west) / 360 * 256 * 2**zoom
            middle = np.radians((south + north) / 2)
            high = (north - south) / 360 * 256 * 2**zoom / np.cos(middle)
            assert wide <= box["width"], key
            assert high <= box["height"] + 2, key
            # And it fills the map one way.
            assert wide > 0.8 * box["width"] or high > 0.8 * box["height"], key
