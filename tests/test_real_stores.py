"""Images behind keys and signatures, and an independent reader: the pixels are the same, and refusals are clear."""

import json
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import servers
from archives import Faults, edit, item, land, served, small_country

from landweave.cli.app import main
from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.patch.store import read_patch
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.sources import remote
from landweave.sources.files import opened
from landweave.sources.stac.scenes import read_scene
from landweave.sources.stac.source import open_stac

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SIZED = {"blue": "B02_10m", "green": "B03_10m", "red": "B04_10m", "nir": "B08_10m", "swir16": "B11_20m",
         "swir22": "B12_20m", "scl": "SCL_20m"}  # fmt: skip


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    return small_country(tmp_path_factory.mktemp("stores") / "country", size_km=0.8, dates=3, seed=3, patch=80)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Short pauses, and no image that is still open from before."""
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    monkeypatch.setattr(opened, "_held", threading.local())


# An object store


@pytest.fixture(scope="module")
def early(country, tmp_path_factory):
    """The images of the first date, before baseline 04.00: a folder, and their items in the manner of Copernicus."""
    plan, _ = make_plan(read_project(country))
    folder = tmp_path_factory.mktemp("early")
    items = []
    for scene in plan.source.passes[plan.dates[0]]:
        assert {asset.offset for asset in scene.assets.values()} == {0.0}
        place = country / "archive" / scene.collection / scene.id
        shutil.copytree(place, folder / scene.id)
        found = json.loads((place / f"{scene.id}.json").read_text())
        for key in [key for key in found["properties"] if key.startswith("earthsearch:")]:
            del found["properties"][key]
        told = {new: found["assets"][old] for old, new in SIZED.items()}
        for asset in told.values():
            asset["href"] = f"s3://archive/{scene.id}/{asset['href'].removeprefix('./')}"
        items.append({**found, "assets": told, "links": []})
    return folder, items


@pytest.fixture(scope="module")
def store(early, tmp_path_factory):
    """Variables by which GDAL reads the store."""
    with servers.object_store(early[0], tmp_path_factory.mktemp("store")) as env:
        yield env


@pytest.fixture
def keyless(tmp_path, monkeypatch):
    """No keys in the environment or at home."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def project(country, early, keyless, tmp_path):
    """The country's project on images of the store, one patch of it."""
    place = tmp_path / "s3"
    shutil.copytree(country, place, ignore=shutil.ignore_patterns("out", "archive"))
    (place / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": early[1]}))
    edit(place, 'url = "archive/catalog.json"', 'url = "items.json"')
    edit(place, "[period]", 'subset = { center = [18.003, 46.01], size = "1x1" }\n[period]')
    return place


def give(monkeypatch, env, **others):
    for name, value in {**env, **others}.items():
        monkeypatch.setenv(name, value)


def test_images_of_an_object_store_are_fetched_with_keys_from_the_environment(country, project, store, monkeypatch):
    give(monkeypatch, store)
    assert "sound" in check_project(read_project(project))[0]
    result = run(read_project(project), workers=1, options=Options(until="fetch"))
    assert result.status == 0, result.failures
    (stack,) = (project / "out" / "patches").glob("*.zarr")
    fetched = read_patch(stack)
    plan, _ = make_plan(read_project(country))
    held = plan.source.load(fetched.odc.geobox, plan.dates[:1], list(fetched.data_vars))
    assert (held["B04"].values != NODATA).any()
    assert all((fetched[name].values == held[name].values).all() for name in held.data_vars)


def test_keys_that_are_missing_are_named_by_check_and_by_run(project, store, monkeypatch, capsys):
    given = {name: value for name, value in store.items() if name not in KEYS}
    give(monkeypatch, given)
    with pytest.raises(InputError, match=r"cdse .*set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"):
        run(read_project(project), workers=1)
    monkeypatch.setenv(KEYS[0], store[KEYS[0]])
    monkeypatch.setattr("sys.argv", ["landweave", "check", str(project / "landweave.toml")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "set AWS_SECRET_ACCESS_KEY in the environment" in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("wrong", "why"), [({KEYS[1]: "guessed"}, "signature"), ({KEYS[0]: "AKIAIOSFODNN7EXAMPLE"}, "Access Key")]
)
def test_keys_that_are_wrong_are_one_line_that_says_so(project, store, monkeypatch, wrong, why):
    give(monkeypatch, store, **wrong)
    for use in (check_project, run):
        with pytest.raises(InputError, match=rf"s3://archive/\S+\.tif: .*{why}.*Check the keys.*{KEYS[0]}") as caught:
            use(read_project(project))
        assert "\n" not in str(caught.value)
        assert "guessed" not in str(caught.value)


def test_keys_may_lie_in_a_file(project, store, monkeypatch, tmp_path):
    give(monkeypatch, {name: value for name, value in store.items() if name not in KEYS})
    (tmp_path / "keys").write_text(
        f"[default]\naws_access_key_id = {store[KEYS[0]]}\naws_secret_access_key = {store[KEYS[1]]}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    assert "sound" in check_project(read_project(project))[0]


def test_a_public_bucket_is_read_without_keys_and_a_private_one_asks_for_them(tmp_path, keyless, monkeypatch):
    numbers = land()[0]
    content = item(tmp_path, "one", day="2021-06-01", numbers=numbers)
    content["assets"]["red"]["href"] = "s3://sentinel-2-l2a/one/B04.tif"
    source = open_stac([read_scene(content)], needed=["B04"])
    box = source.scenes[0].assets["B04"].geobox
    monkeypatch.setenv("AWS_HTTPS", "NO")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTING", "FALSE")
    with served(tmp_path) as url:
        monkeypatch.setenv("AWS_S3_ENDPOINT", url.removeprefix("http://"))
        assert (source.load(box, source.dates(), ["B04"])["B04"].values[0] == numbers["B04"]).all()
    monkeypatch.setattr(opened, "_held", threading.local())
    no = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
    with served(tmp_path, Faults(lambda number, path: (403, {"Content-Type": "application/xml"}, no))) as url:
        monkeypatch.setenv("AWS_S3_ENDPOINT", url.removeprefix("http://"))
        with pytest.raises(InputError, match=r"s3://sentinel-2-l2a/one/B04\.tif: .*Access Denied.*Check the keys"):
            source.reach()


# A web server


def test_a_few_requests_bring_an_image_of_many_tiles(tmp_path):
    numbers = {"B04": np.random.default_rng(0).integers(1, 9999, (1024, 1024)).astype("uint16")}
    content = item(tmp_path / "files", "one", day="2021-06-01", numbers=numbers)
    with servers.nginx(tmp_path / "files", tmp_path / "web") as (url, asked):
        source = open_stac([read_scene(content, href=f"{url}/sentinel-2-l2a/one/one.json")], needed=["B04"])
        patch = source.load(source.scenes[0].assets["B04"].geobox, source.dates(), ["B04"])
    assert (patch["B04"].values[0] == numbers["B04"]).all()
    methods = [line.split()[0] for line in asked.read_text().splitlines()]
    # The size, the header, and 64 tiles of which neighbours come together.
    assert methods.count("HEAD") <= 2
    assert 1 <= methods.count("GET") <= 3
    assert len(methods) == methods.count("HEAD") + methods.count("GET")


# Signatures that expire


def test_a_signature_that_has_expired_is_asked_for_anew(tmp_path, monkeypatch):
    settings = pytest.importorskip("planetary_computer.settings", reason="pip install 'landweave[pc]'")
    sas = pytest.importorskip("planetary_computer.sas")
    numbers = {"B04": land(size=512)[0]["B04"] + np.random.default_rng(1).integers(0, 500, (512, 512), "uint16")}
    content = item(tmp_path, "one", day="2021-06-01", numbers=numbers)
    given, valid, refused = [], [], []

    def tokens(method, path, body):
        if not path.startswith("/token/"):
            return None
        given.append(str(len(given)))
        valid[:] = given[-1:]
        end = datetime.now(UTC) + timedelta(hours=1)
        return {"token": f"se={end:%Y-%m-%d}&sig={given[-1]}", "msft:expiry": end.isoformat()}

    def rule(number, path):
        wrong = "blob.core" in path and path.rpartition("sig=")[2] not in valid
        refused.extend([path] if wrong else [])
        return 403 if wrong else None

    with served(tmp_path, Faults(rule), tokens) as url:
        monkeypatch.setenv("PC_SDK_SAS_URL", f"{url}/token")
        monkeypatch.setenv("GDAL_HTTP_PROXY", url)
        settings.Settings.get.cache_clear()
        sas.TOKEN_CACHE.clear()
        content["assets"]["red"]["href"] = "http://lw.blob.core.windows.net/sentinel-2-l2a/one/B04.tif"
        source = open_stac([read_scene(content)], needed=["B04"])
        box = source.scenes[0].assets["B04"].geobox
        first = source.load(box[:64], source.dates(), ["B04"])["B04"].values[0]
        assert (given, refused) == (["0"], [])
        # The token is taken back before its time, and the file is still open under it.
        valid.clear()
        last = source.load(box[448:], source.dates(), ["B04"])["B04"].values[0]
        (tmp_path / "sentinel-2-l2a" / "one" / "B04.tif").write_text("no image")
        monkeypatch.setattr(opened, "_held", threading.local())
        with pytest.raises(OSError, match=r"B04\.tif") as caught:
            source.load(box[:64], source.dates(), ["B04"])
        assert "sig=" not in str(caught.value)
    settings.Settings.get.cache_clear()
    sas.TOKEN_CACHE.clear()
    assert given[:2] == ["0", "1"]
    assert refused
    assert (first == numbers["B04"][:64]).all()
    assert (last == numbers["B04"][448:]).all()


# An independent reader


@pytest.mark.parametrize("shift", [0.0, 3.0], ids=["on its own grid", "on another grid"])
def test_the_pixels_of_a_scene_are_those_that_odc_stac_reads(country, shift):
    odc_stac = pytest.importorskip("odc.stac", reason="pip install odc-stac")
    import pystac

    plan, cells = make_plan(read_project(country))
    scene = next(s for s in plan.source.scenes if s.tile.startswith("33") and s.assets["B04"].offset == -0.1)
    asset = scene.assets["B04"]
    source = open_stac([scene], needed=["B04", "SCL"], resampling="nearest")
    place = country / "archive" / scene.collection / scene.id / f"{scene.id}.json"
    for cell in (c for c in cells if c.geobox.crs == "EPSG:32633"):
        box = cell.geobox.translate_pix(shift / 10, shift / 10)
        ours = source.load(box, source.dates(), ["B04", "SCL"])
        theirs = odc_stac.load(
            [pystac.Item.from_file(str(place))], bands=["red", "scl"], geobox=box, resampling="nearest"
        )
        numbers = theirs["red"].values[0].astype("float64")
        expected = np.where(numbers == 0, NODATA, np.rint((numbers * asset.scale + asset.offset) * 1e4))
        assert (ours["B04"].values[0] == expected).all()
        assert (ours["SCL"].values[0] == theirs["scl"].values[0]).all()
    assert (expected != NODATA).any()
