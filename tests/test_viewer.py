"""The browser view: what it shows is what lies on disk, and what it is asked reaches nothing else."""

import hashlib
import json
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from pyproj import Transformer
from scipy.ndimage import binary_dilation

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from fastapi.testclient import TestClient

from landweave.errors import InputError
from landweave.features.clouds import NO_DATA
from landweave.maps.areas import count_classes, open_map
from landweave.patch.align import outline_bounds
from landweave.patch.grid import utm_cells
from landweave.patch.store import read_raster
from landweave.runs.pipeline.driver import run as run_project
from landweave.runs.project.settings import read_project
from landweave.runs.results import layers as layers_module
from landweave.runs.results.layers import AGREE, DIFFER, EDGE, disagreement, make_layers
from landweave.runs.results.pixel import REASONS, find_cell, pixel_dossier
from landweave.runs.results.run import open_run
from landweave.viewer import server, tiles
from landweave.viewer.guard import HEADERS, PAGE_POLICY
from landweave.viewer.mercator import WORLD, tile_geobox, tiles_over
from landweave.viewer.server import make_app, open_view

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def finished(finished, tmp_path_factory):
    """A copy, since a view makes maps in the output folder."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("viewed") / "country")


@pytest.fixture(scope="module")
def view(finished):
    return open_view(finished)


@pytest.fixture(scope="module")
def client(view):
    return TestClient(make_app(view), base_url="http://127.0.0.1:8765")


@pytest.fixture(scope="module")
def tile_of(view):
    """Column and row, on a zoom level, of the tile that holds the middle of the area."""
    west, south, east, north = view.tiles.area

    def find(z):
        x, y = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(
            (west + east) / 2, (south + north) / 2
        )
        side = WORLD / 2**z
        return z, int((x + WORLD / 2) // side), int((WORLD / 2 - y) // side)

    return find


def decoded(answer):
    assert answer.status_code == 200, answer.text
    with rasterio.MemoryFile(answer.content) as memory, memory.open() as file:
        return file.read()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("layer", "file"),
    [("prediction", "map.tif"), ("confidence", "confidence.tif"), ("reference", "view/reference.tif")],
)
def test_a_tile_holds_the_values_of_the_map_under_its_pixels(view, client, tile_of, layer, file):
    z, x, y = tile_of(view.tiles.zooms[1])
    shown = decoded(client.get(f"/tiles/{layer}/{z}/{x}/{y}"))
    with rasterio.open(view.run.folder / file) as source:
        values = source.read(1)
        columns, rows = np.meshgrid(np.arange(256) + 0.5, np.arange(256) + 0.5)
        box = tile_geobox(z, x, y)
        east, north = box.affine * (columns, rows)
        across, down = ~source.transform * Transformer.from_crs("EPSG:3857", source.crs, always_xy=True).transform(
            east, north
        )
    # The warper may be wrong by an eighth of a pixel; who stands that near to a border may fall to either side.
    sure = (np.abs(across % 1 - 0.5) < 0.37) & (np.abs(down % 1 - 0.5) < 0.37)
    sure &= (across >= 0) & (down >= 0) & (across < values.shape[1]) & (down < values.shape[0])
    assert sure.sum() > 10_000
    assert shown.shape == (1, 256, 256)
    np.testing.assert_array_equal(shown[0][sure], values[down[sure].astype(int), across[sure].astype(int)])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_maps_of_the_view_and_pieces_of_labels_have_a_style_for_qgis(view):
    import xml.etree.ElementTree as ET

    folder = view.run.folder
    entries = {}
    for path in [*folder.glob("view/*.tif"), *folder.glob("labels/*_pieces.tif")]:
        found = ET.parse(path.with_suffix(".qml")).getroot()
        entries[path.stem] = [(e.get("value"), e.get("label"), e.get("color")) for e in found.iter() if e.get("label")]
    assert {"reference", "disagreement", "observations"} < set(entries)
    assert any(name.endswith("_pieces") for name in entries)
    assert entries["disagreement"][:2] == [("1", "agree", "#d9d9d9"), ("2", "differ", "#c0267e")]
    # One more than the number of observations is stored.
    assert entries["observations"][0][:2] == ("1", "0")
    assert [label for _, label, _ in entries["reference"]] == list(view.run.plan.legend.names.values())


def test_a_tile_of_ndvi_and_one_in_colour_are_made_of_the_bands_of_that_date(view, client, tile_of):
    run = view.run
    z, x, y = tile_of(view.tiles.zooms[1])
    day = run.clearest_date(run.cells[0].name)
    ndvi = decoded(client.get(f"/tiles/ndvi/{day}/{z}/{x}/{y}"))[0]
    picture = decoded(client.get(f"/tiles/infrared/{day}/{z}/{x}/{y}"))
    lon, lat = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True).transform(
        *(tile_geobox(z, x, y).affine * (100.5, 100.5))
    )
    cell, row, column = find_cell(run.cells, lon, lat)
    patch = run.patch(cell.name).sel(time=np.datetime64(day))
    red, near, green = (float(patch[name].values[row, column]) for name in ("B04", "B08", "B03"))
    assert ndvi[100, 100] == pytest.approx(((near - red) / (near + red) + 1) * 127 + 1, abs=0.51)
    expected = [
        255 * min(max(value / top, 0), 1) ** (1 / 1.6) for value, top in ((near, 5000), (red, 3000), (green, 3000))
    ]
    np.testing.assert_allclose(picture[:3, 100, 100], expected, atol=12)  # as JPEG keeps it


def test_quicklooks_serve_the_far_view_and_their_overview_the_farthest(view, client, tile_of):
    day = view.run.plan.dates[0]
    least, greatest = view.tiles.zooms
    for z in range(least, greatest + 1):
        answer = client.get("/tiles/true-colour/{}/{}/{}/{}".format(day, *tile_of(z)))
        assert answer.status_code == 200
        assert answer.headers["content-type"] in {"image/png", "image/jpeg"}
    assert (view.run.folder / "view" / "images" / f"{day}.tif").exists()


def test_without_bands_of_a_date_only_its_picture_is_offered(view):
    from dataclasses import replace

    project = view.run.plan.project
    let_go = project.model_copy(update={"source": project.source.model_copy(update={"keep": False})})
    run = replace(view.run, plan=replace(view.run.plan, project=let_go))
    assert set(tiles.Tiles(run=run, files={}).image_zooms) == {"true-colour"}
    assert {"true-colour", "infrared", "short-wave", "ndvi"} == set(view.tiles.image_zooms)


def test_a_place_has_the_class_the_confidence_and_the_probabilities_of_the_map(view, client):
    run = view.run
    rng = np.random.default_rng(1)
    to_degrees = {
        str(c.geobox.crs): Transformer.from_crs(str(c.geobox.crs), "EPSG:4326", always_xy=True) for c in run.cells
    }
    asked = 0
    for cell in run.cells:
        predicted = read_raster(run.folder / "predictions" / f"{cell.name}.tif")
        own = cell.own()
        candidates = np.argwhere((predicted[0] > 0) & (True if own is None else own))
        if not len(candidates):
            continue
        row, column = candidates[rng.integers(len(candidates))].tolist()
        lon, lat = to_degrees[str(cell.geobox.crs)].transform(*(cell.geobox.affine * (column + 0.5, row + 0.5)))
        told = client.get("/pixel", params={"lon": f"{lon:.9f}", "lat": f"{lat:.9f}"}).json()
        assert (told["patch"]["name"], told["patch"]["row"], told["patch"]["column"]) == (cell.name, row, column)
        assert (told["prediction"]["value"], told["prediction"]["confidence"]) == tuple(
            predicted[:, row, column].tolist()
        )
        shares = told["probabilities"]
        assert sum(shares.values()) == pytest.approx(1, abs=0.002)
        assert shares[told["prediction"]["name"]] == pytest.approx(max(shares.values()), abs=1e-4)
        assert round(100 * shares[told["prediction"]["name"]]) == pytest.approx(told["prediction"]["confidence"], abs=1)
        held_out = read_raster(run.folder / "predictions" / f"{cell.name}_oof.tif")[:, row, column].tolist()
        assert (told["out_of_fold"] or {"value": 0})["value"] == held_out[0]
        label = int(read_raster(run.folder / "labels" / f"{cell.name}.tif")[0, row, column])
        if label:
            assert told["reference"]["value"] == label
            assert run.plan.legend.translate([told["reference"]["code"]])[0].tolist() == [label]
        asked += 1
    assert asked >= 3


def test_the_dossier_of_a_training_pixel_shows_what_the_model_was_trained_on(view):
    run = view.run
    rows = run.samples()
    series = pd.read_parquet(run.folder / "samples_series.parquet")
    scales = {layer.name: (layer.scale, layer.offset) for layer in run.plan.recipe.layers}
    cells = {cell.name: cell for cell in run.cells}
    for number in (0, len(rows) // 2, len(rows) - 1):
        row = rows.iloc[number]
        crs = str(cells[row["patch"]].geobox.crs)
        lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(row["x"], row["y"])
        told = pixel_dossier(run, lon, lat)
        kept = series[series["row"] == number].set_index("acquisition")
        assert len(kept) > 2
        for told_of in told["observations"]:
            day = np.datetime64(told_of["date"])
            if day not in kept.index:
                assert told_of["reason"] == REASONS[NO_DATA]  # such observations are not kept with the samples
                continue
            assert told_of["reason"] == REASONS[int(kept.loc[day, "reason"])]
            for band, value in told_of["bands"].items():
                assert kept.loc[day, band] == (-32768 if value is None else round(value * 1e4))
        for name, (scale, offset) in scales.items():
            for day, value in zip(run.plan.recipe.days, told["curve"]["layers"][name], strict=True):
                units = int(row[f"{name}_d{day:03d}"])
                if units == -32768:
                    assert value is None
                else:
                    assert value == pytest.approx(units * scale + offset, abs=0.51 * scale + 1e-5)


def test_mapped_areas_are_counted_and_called_so(view, client):
    told = client.get("/view.json").json()
    counted = count_classes(open_map(view.run.folder / "map.tif"))
    assert told["area_title"] == "mapped area (pixel count, not an estimate)"
    assert {e["value"]: e["pixels"] for e in told["legend"] if e["pixels"]} == counted.pixels
    for entry in told["legend"]:
        assert entry["area_ha"] == pytest.approx(counted.areas.get(entry["value"], 0) / 1e4, abs=0.006)


def test_dates_tell_how_much_of_the_area_counts(view, client):
    told = client.get("/view.json").json()
    sizes = [cell.geobox.shape[0] * cell.geobox.shape[1] for cell in view.run.cells]
    shares = [view.run.valid_fractions(cell.name) for cell in view.run.cells]
    for number, day in enumerate(told["dates"]):
        assert day["date"] == str(view.run.plan.dates[number])
        assert day["valid"] == pytest.approx(np.average([s[number] for s in shares], weights=sizes), abs=1e-4)


def test_disagreement_at_an_edge_is_set_apart():
    reference, core, mapped = (np.array(v) for v in ([1, 1, 1, 2, 0], [1, 1, 0, 0, 0], [1, 2, 2, 2, 1]))
    assert disagreement(reference, core, mapped).tolist() == [AGREE, DIFFER, EDGE, AGREE, 0]


def test_maps_are_made_once_and_again_when_what_they_show_has_changed(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "country", ignore=shutil.ignore_patterns("archive*", "view"))
    shutil.copytree(finished / "archive", tmp_path / "country" / "archive")
    run = open_run(tmp_path / "country")
    before = make_layers(run)
    made = []
    monkeypatch.setattr(layers_module, "_make", lambda *given: made.append(given[-1].stem))
    assert make_layers(run) == before
    assert made == []
    labels = run.folder / "labels" / f"{run.cells[0].name}.tif"
    labels.write_bytes(labels.read_bytes() + b"\0")
    assert make_layers(run).version != before.version
    assert set(made) == {"reference", "disagreement"}


def test_a_run_makes_the_maps_of_a_large_view_with_its_mosaic(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "country", ignore=shutil.ignore_patterns("view"))
    project = read_project(tmp_path / "country")
    assert run_project(project).made == {}
    monkeypatch.setattr(layers_module, "LARGE", 1)
    assert run_project(project).made == {"mosaic": 1}
    for work in ("_make", "_areas"):
        monkeypatch.setattr(layers_module, work, None)
    files = open_view(project.file).tiles.files
    assert {"reference", "disagreement", "observations"} < set(files)
    assert all(path.exists() for path in files.values())
    assert run_project(project).made == {}


ATTACKS = {
    "another file by dots": ("/page/..%2f..%2fcli.py", 404),
    "another file by dots, not encoded": ("/page/../server.py", 404),
    "another file by a double encoding": ("/page/%252e%252e%252fserver.py", 404),
    "another file by backslashes": ("/page/..%5cserver.py", 404),
    "an absolute path": ("/page//etc/passwd", 404),
    "a file with a null byte": ("/page/index.html%00.png", 404),
    "a layer that is a path": ("/tiles/..%2f..%2fmap.tif/12/1/1", 404),
    "a layer that is an address": ("/tiles/http:%2f%2fexample.org%2fa.tif/12/1/1", 404),
    "a layer that GDAL would fetch": ("/tiles/%2fvsicurl%2fhttp:%2f%2fexample.org%2fa.tif/12/1/1", 404),
    "an address as a parameter": ("/tiles/prediction/12/1/1?url=http://example.org/a.tif", 400),
    "an expression as a parameter": ("/tiles/prediction/12/1/1?expression=b1*2", 400),
    "a size as a parameter": ("/tiles/prediction/12/1/1?tilesize=100000", 400),
    "a size in the path": ("/tiles/prediction/12/1/1@100x", 422),
    "a query without end": ("/pixel?lon=1" + "0" * 5000 + "&lat=1", 400),
    "the whole world": ("/tiles/prediction/0/0/0", 404),
    "a box as a parameter": ("/pixel?bbox=-180,-90,180,90", 400),
    "a zoom beyond all": ("/tiles/prediction/99/0/0", 404),
    "a column beyond its zoom": ("/tiles/prediction/14/16384/0", 404),
    "absurd numbers": (f"/tiles/prediction/14/{10**40}/{10**40}", 404),
    "negative numbers": ("/tiles/prediction/14/-1/-1", 404),
    "no number": ("/tiles/prediction/14/NaN/1", 422),
    "a missing layer": ("/tiles/secrets/12/1/1", 404),
    "a dated layer without its date": ("/tiles/true-colour/12/1/1", 404),
    "a date on which nothing was seen": ("/tiles/true-colour/1999-01-01/14/1/1", 404),
    "a date that is a path": ("/tiles/true-colour/..%2f..%2fetc/14/1/1", 404),
    "a date that is none": ("/tiles/true-colour/2017-13-45/14/1/1", 404),
    "a place outside": ("/pixel?lon=0&lat=0", 404),
    "not a place on Earth": ("/pixel?lon=999&lat=0", 422),
    "a place that is not a number": ("/pixel?lon=nan&lat=nan", 400),
    "half a place": ("/pixel?lon=1", 400),
    "the schema": ("/openapi.json", 404),
    "the interactive docs": ("/docs", 404),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_not_in_the_tables_is_refused_and_opens_nothing(view, client, attack, monkeypatch):
    path, status = ATTACKS[attack]

    def opened(*given, **named):
        raise AssertionError(f"{given} was opened for {path}")

    for module, name in ((tiles, "_read_tile"), (tiles, "read_date"), (rasterio, "open")):
        monkeypatch.setattr(module, name, opened)
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert str(view.run.folder) not in answer.text
    assert "Traceback" not in answer.text
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["Content-Security-Policy"] == PAGE_POLICY


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1.example.org", "127.0.0.1:8765@example.org", "localhost.", "", "0.0.0.0"]
)
def test_a_foreign_host_name_is_refused(client, host):
    answer = client.get("/view.json", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "legend" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "LOCALHOST", "[::1]:8765"])
def test_the_names_of_this_machine_are_known(client, host):
    assert client.get("/view.json", headers={"Host": host}).status_code == 200


def test_a_name_that_was_allowed_is_known_and_no_other(view):
    client = TestClient(make_app(view, hosts=("maps.example.org",)), base_url="http://maps.example.org")
    assert client.get("/view.json").status_code == 200
    assert client.get("/view.json", headers={"Host": "127.0.0.1"}).status_code == 421


@pytest.mark.parametrize(
    "path", ["/", "/page/app.js", "/view.json", "/patches.json", "/report", "/page/none", "/pixel"]
)
def test_who_asks_for_heads_gets_those_of_the_answer(client, path):
    head, answer = client.head(path), client.get(path)
    assert head.status_code == answer.status_code
    assert head.headers == answer.headers


def test_only_documents_in_a_sandbox_do_without_an_opener_policy(client):
    for path, sandboxed in {"/report": True, "/": False, "/view.json": False, "/nothing": False}.items():
        headers = client.get(path).headers
        assert ("sandbox" in headers["Content-Security-Policy"]) == sandboxed
        assert ("Cross-Origin-Opener-Policy" not in headers) == sandboxed


@pytest.mark.parametrize(
    ("host", "names", "told"),
    [
        ("127.0.0.1", (), ["http://127.0.0.1:81/  (Ctrl-C ends it)"]),
        ("::1", (), ["http://[::1]:81/  (Ctrl-C ends it)"]),
        ("0.0.0.0", (), ["http://127.0.0.1:81/  (Ctrl-C ends it)", "names given with --allow-host: none was given."]),
        ("::", ("a.org", "b.org"), ["http://[::1]:81/", "--allow-host: http://a.org:81/, http://b.org:81/."]),
    ],
)
def test_every_address_that_is_told_is_answered(view, host, names, told):
    lines = server._addresses(host, 81, names)
    assert all(part in line for part, line in zip(told, lines, strict=True))
    client = TestClient(make_app(view, hosts=(*server.LOCAL, *names)))
    for address in re.findall(r"http://[^\s,]+/", "\n".join(lines)):
        assert client.get(f"{address}view.json", headers={"Host": address[7:-1]}).status_code == 200


def test_a_host_that_is_not_here_and_a_port_that_is_taken_are_told_apart(view):
    with pytest.raises(InputError, match=r"^--host 192\.0\.2\.1: not an address of this machine .*127\.0\.0\.1\.$"):
        server.serve(view, host="192.0.2.1", port=0)  # an address of documents
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"choose another with --port\.$"):
            server.serve(view, port=taken.getsockname()[1])


@pytest.mark.parametrize("box", [(179.90, -16.8, 179.995, -16.7), (-179.995, -16.8, -179.9, -16.7)])
def test_an_area_beside_the_antimeridian_is_no_wider_than_it_is(box):
    from types import SimpleNamespace

    cells = tuple(utm_cells(shapely.box(*box), resolution=10, patch_size=500))
    assert any(np.ptp(outline_bounds(cell.geobox, "EPSG:4326")[::2]) > 180 for cell in cells)
    shown = tiles.Tiles(run=SimpleNamespace(cells=cells, plan=SimpleNamespace(pixel_metres=10.0)), files={})
    assert shown.area == pytest.approx(box, abs=1e-4)
    west, south, east, north = shown.bounds
    assert shapely.box(west, south, east, north).buffer(1e-4).contains(shapely.box(*box))
    assert east - west < 0.2
    assert shown.zooms[0] >= 8
    assert len(tiles_over(shown.bounds, shown.zooms[0], shown.natural_zoom)) < 300


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(client, method):
    assert client.request(method, "/view.json").status_code == 405


def test_a_crowd_is_told_to_come_again(view, monkeypatch, tile_of):
    monkeypatch.setattr(server, "WAITING", 0)
    client = TestClient(make_app(view), base_url="http://127.0.0.1")
    answer = client.get("/tiles/prediction/{}/{}/{}".format(*tile_of(14)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_a_fault_tells_nothing_of_this_machine(view, monkeypatch, tile_of):
    def broken(*given):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(tiles, "_of_file", broken)
    client = TestClient(make_app(view), base_url="http://127.0.0.1", raise_server_exceptions=False)
    answer = client.get("/tiles/prediction/{}/{}/{}".format(*tile_of(14)))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["Content-Security-Policy"] == PAGE_POLICY


def test_the_report_runs_no_script_and_reaches_nobody(client):
    answer = client.get("/report")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox" in policy


def test_the_built_page_is_that_of_its_sources(client):
    source = ROOT / "web"
    digest = hashlib.sha256()
    names = sorted(path.relative_to(source).as_posix() for path in (source / "src").rglob("*") if path.is_file())
    for name in [*names, "build.mjs", "package-lock.json"]:
        digest.update(name.encode() + b"\0" + (source / name).read_bytes() + b"\0")
    page = ROOT / "src" / "landweave" / "viewer" / "page"
    assert (page / "built-from.txt").read_text().strip() == digest.hexdigest(), (
        "rebuild: cd web && npm ci && npm run build"
    )
    assert client.get("/").text == (source / "src" / "index.html").read_text()
    for name in ("app.js", "app.css", "licences.txt"):
        assert client.get(f"/page/{name}").content == (page / name).read_bytes()


def test_the_grid_tells_roles_and_what_failed(view, client):
    told = client.get("/patches.json").json()
    assert {f["properties"]["name"] for f in told["features"]} == {cell.name for cell in view.run.cells}
    assert {"role", "state", "error"} <= set(told["features"][0]["properties"])


def test_a_project_without_a_map_says_what_to_do(country, tmp_path):
    from archives import without_output

    with pytest.raises(InputError, match=r"no map; make it with `landweave run`\.$"):
        open_view(without_output(country, tmp_path / "fresh"))


def test_without_the_extra_the_command_says_how_to_get_it(finished, monkeypatch):
    import importlib.util

    from landweave.cli.app import view as command

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'landweave\[viewer\]'"):
        command(finished)


def test_what_the_page_is_told_is_json_whatever_the_names(view):
    assert json.loads(json.dumps(view.description)) == view.description


@pytest.fixture(scope="module")
def raster_view(tmp_path_factory):
    """A project whose imagery is read from files of its own, with two bands and no quicklooks."""
    from worlds import two_class_world

    from landweave.runs.pipeline.driver import run
    from landweave.runs.project.settings import read_project

    project, _ = two_class_world(
        tmp_path_factory.mktemp("rasters"),
        size=60,
        model="n_estimators = 3, min_child_samples = 5",
        source='resampling = "nearest"',
    )
    assert run(read_project(project), workers=1).status == 0
    return open_view(project)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_images_in_files_of_the_user_are_shown_from_these(raster_view):
    run, client = raster_view.run, TestClient(make_app(raster_view), base_url="http://127.0.0.1")
    assert raster_view.tiles.image_zooms.keys() == {"true-colour", "ndvi"}
    shown = {layer["id"]: layer["title"] for layer in raster_view.description["layers"]}
    assert shown["true-colour"] == "image (B04)"
    day, cell = run.plan.dates[1], run.cells[5]
    lon, lat = Transformer.from_crs(str(cell.geobox.crs), "EPSG:4326", always_xy=True).transform(
        *(cell.geobox.affine * (10.5, 7.5))
    )
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(lon, lat)
    z = raster_view.tiles.zooms[1]
    side = WORLD / 2**z
    across, down = (east + WORLD / 2) / side, (WORLD / 2 - north) / side
    row, column = int(256 * (down % 1)), int(256 * (across % 1))
    bands = run.patch(cell.name).sel(time=np.datetime64(day))
    red, near = (float(bands[name].values[7, 10]) for name in ("B04", "B08"))
    ndvi = decoded(client.get(f"/tiles/ndvi/{day}/{z}/{int(across)}/{int(down)}"))
    assert ndvi[0, row, column] == pytest.approx(((near - red) / (near + red) + 1) * 127 + 1, abs=0.51)
    grey = decoded(client.get(f"/tiles/true-colour/{day}/{z}/{int(across)}/{int(down)}"))[:3, row, column]
    assert grey == pytest.approx(np.full(3, 255 * min(red / 3000, 1) ** (1 / 1.6)), abs=12)
    told = client.get(f"/pixel?lon={lon:.9f}&lat={lat:.9f}").json()
    assert told["patch"] | {"record": None} == {"name": cell.name, "row": 7, "column": 10, "record": None}
    assert [o["bands"]["B04"] for o in told["observations"]][1] == pytest.approx(red * 1e-4, abs=1e-9)
    assert told["reference"]["code"] == str(told["reference"]["value"])


def test_where_a_sample_was_labelled_the_estimate_stands_beside_the_count(view, monkeypatch):
    from landweave.viewer import description

    estimated = {"value": 4.5, "low": 4.0, "high": 5.0, "se": 0.2}
    monkeypatch.setattr(description, "estimate_project", lambda plan: {"classes": {"forest": {"area_ha": estimated}}})
    layers = make_layers(view.run)
    told = description.describe(view.run, layers, view.tiles, view.ground)
    by_name = {entry["name"]: entry for entry in told["legend"]}
    assert by_name["forest"]["estimate"] == estimated
    assert by_name["water"]["estimate"] is None
    assert told["estimate_title"] == "estimated area (sample)"

    def unlabelled(plan):
        raise InputError("the sample is not labelled yet.")

    monkeypatch.setattr(description, "estimate_project", unlabelled)
    assert all(
        entry["estimate"] is None for entry in description.describe(view.run, layers, view.tiles, view.ground)["legend"]
    )


def test_a_project_without_a_reference_shows_what_it_has(raster_view):
    from dataclasses import replace

    run = replace(raster_view.run, plan=replace(raster_view.run.plan, reference=None))
    view = server.view_of(run)
    shown = [layer["id"] for layer in view.description["layers"]]
    assert shown == ["prediction", "confidence", "observations", "true-colour", "ndvi"]
    assert view.description["doubtful"] == []
    west, south, east, north = view.tiles.area
    told = view.dossier((west + east) / 2, (south + north) / 2)
    assert told["reference"] is None
    assert told["prediction"]["name"] in {"meadow", "pond"}


def test_no_slit_shows_in_a_layer_where_two_zones_meet(view):
    """A slit is a pixel without a class, inside the area, whose neighbours to the east and to the west have one."""
    assert len({cell.geobox.crs for cell in view.run.cells}) == 2
    shown = layers_module.make_layers(view.run).files
    with rasterio.open(view.run.folder / "map.tif") as file:
        classes = file.read(1)
    for name in ("reference", "disagreement", "observations"):
        with rasterio.open(shown[name]) as file:
            values = file.read(1)
            assert values.shape == classes.shape
        slit = (values == 0) & (classes > 0)
        slit[:, 1:-1] &= (values[:, :-2] > 0) & (values[:, 2:] > 0)
        slit[:, [0, -1]] = False
        assert not slit.any(), f"{name}: {slit.sum()} pixels"


def test_nothing_is_painted_where_no_map_was_asked_for(view):
    cells = [cell for cell in view.run.cells if cell.inside() is not None]
    assert cells
    with rasterio.open(layers_module.make_layers(view.run).files["observations"]) as file:
        values, transform, crs = file.read(1), file.transform, str(file.crs)
    outside = 0
    for cell in cells:
        inside = cell.inside()
        rows, columns = np.nonzero(~inside & ~binary_dilation(inside, iterations=3))
        x, y = cell.geobox.affine * (columns + 0.5, rows + 0.5)
        x, y = Transformer.from_crs(str(cell.geobox.crs), crs, always_xy=True).transform(x, y)
        across, down = (np.floor(v).astype(int) for v in ~transform * (x, y))
        there = (across >= 0) & (down >= 0) & (across < values.shape[1]) & (down < values.shape[0])
        outside += int(there.sum())
        assert not values[down[there], across[there]].any(), cell.name
    assert outside > 0
