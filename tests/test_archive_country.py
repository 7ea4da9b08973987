"""A simulated country read from its archive: as files, over an API, from what was fetched, and with faults."""

import gzip
import io
import json
import random
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from archives import DATES, SEED, SIZE, Faults, edit, served, without_output

from landweave.engine.fingerprint import fingerprint_of
from landweave.errors import InputError
from landweave.features.clouds import SNOW, mask_reasons
from landweave.patch.align import nearest_pixels
from landweave.patch.staging import assemble, quicklook, read_notes, read_stage, stage, staged
from landweave.patch.store import read_patch
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.runs.report import page as reporting
from landweave.sources import remote
from landweave.sources.simulated.country import make_country
from landweave.sources.simulated.scenes import acquisition_dates
from landweave.sources.simulated.source import SimulatedSource
from landweave.sources.simulated.view import _HALO, TILE, _snow, _surface
from landweave.sources.simulated.weather import weather
from landweave.sources.stac import asking
from landweave.sources.stac.source import StacSource

SAME_BYTES = ("map.tif", "confidence.tif", "accuracy.json", "samples.parquet")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    monkeypatch.setattr(asking, "PAUSE", 0.01)


def made(folder):
    return {name: fingerprint_of(folder / "out" / name) for name in SAME_BYTES}


class Api:
    """The archive as a STAC API, two items a page."""

    def __init__(self, archive):
        self.url, self.sign = "", None
        self.items = [json.loads(path.read_text()) for path in sorted(archive.glob("*/*/*.json"))]

    def __call__(self, method, path, body):
        place = path.split("?")[0]
        if place == "/":
            links = [{"rel": "search", "href": f"{self.url}/search", "method": "POST", "type": "application/geo+json"}]
            conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
            return {"type": "Catalog", "id": "a", "stac_version": "1.0.0", "description": "a", "conformsTo": conforms,
                    "links": links}  # fmt: skip
        if place != "/search":
            return None
        question = json.loads(body or b"{}")
        first = int(question.get("token", 0))
        found = []
        for item in self.items[first : first + 20]:
            own = f"{self.url}/sentinel-2-l2a/{item['id']}/{item['id']}.json"
            assets = item["assets"]
            if self.sign:
                assets = {key: {**asset, "href": asset["href"] + self.sign()} for key, asset in assets.items()}
            found.append({**item, "assets": assets, "links": [{"rel": "self", "href": own}]})
        after = {
            "rel": "next",
            "method": "POST",
            "href": f"{self.url}/search",
            "body": {**question, "token": first + 20},
        }
        links = [after] if first + 20 < len(self.items) else []
        return {"type": "FeatureCollection", "features": found, "links": links}


def over_http(country, place, faults=None, sign=None):
    """A copy of the project that reads the same archive from an API; a context manager of the server."""
    without_output(country, place)
    api = Api(country / "archive")
    api.sign = sign
    server = served(country / "archive", faults, api)
    api.url = server.__enter__()
    edit(place, 'url = "archive/catalog.json"', f'url = "{api.url}/"')
    return server


# The archive


def test_tiles_lie_in_two_zones_overlap_and_are_valid_cloud_optimised_files(country):
    from rio_cogeo.cogeo import cog_validate

    items = [json.loads(path.read_text()) for path in (country / "archive").glob("*/*/*.json")]
    assert {item["properties"]["proj:epsg"] for item in items} == {32633, 32634}
    assert {item["properties"]["s2:processing_baseline"] for item in items} == {"03.01", "05.00"}
    assert {item["properties"]["earthsearch:boa_offset_applied"] for item in items} == {True, False}
    folder = next((country / "archive").glob("sentinel-2-l2a/*_L2A"))
    for path in folder.glob("*.tif"):
        valid, errors, _ = cog_validate(str(path))
        assert valid, errors


def test_the_catalogue_is_read_by_pystac(country):
    import pystac

    catalogue = pystac.Catalog.from_file(str(country / "archive" / "catalog.json"))
    items = list(catalogue.get_items(recursive=True))
    assert len(items) == len(list((country / "archive").glob("*/*/*.json")))
    assert {"blue", "scl", "cloud"} <= set(items[0].assets)


def steps(source, cells, *, of=lambda geobox: np.ones(geobox.shape, bool)):
    """Per date, the mean difference between what is read and the simulated truth, in 1e-4, over all 10 m bands."""
    truth = SimulatedSource(size_km=SIZE, n_dates=DATES, seed=SEED)
    own = [cell.geobox for cell in cells if cell.geobox.crs.epsg == 32633]
    result = {}
    for day in source.dates():
        found = []
        for geobox in own:
            read, true = (s.load(geobox, [day], ["B02", "B03", "B04", "B08"]) for s in (source, truth))
            for name in read.data_vars:
                a, b = read[name].values, true[name].values
                # West of the zones' border only, where tiles of the country's own zone lie.
                both = (a != -32768) & (b != -32768) & of(geobox)
                found.append((a[both].astype(int) - b[both])[: both.size])
        values = np.concatenate(found)
        if values.size:
            result[day] = float(np.mean(values))
    return result


def water(geobox):
    land = make_country(size_km=SIZE, seed=SEED)
    rows, columns, inside = nearest_pixels(land.geobox, geobox)
    return inside & (land.truth[np.where(inside, rows, 0), np.where(inside, columns, 0)] == 5)


def test_a_year_across_the_baseline_change_has_no_step_and_without_the_rule_it_has(country):
    plan, cells = make_plan(read_project(country))
    found = steps(plan.source, cells)
    assert min(found).month < 7 <= max(found).month
    assert max(map(abs, found.values())) < 1
    # Dark water by itself, where a step would weigh most.
    wet = steps(plan.source, cells, of=water)
    assert min(wet).month < 7 <= max(wet).month
    assert max(map(abs, wet.values())) < 1
    as_told = {s.id: next(iter(s.assets.values())).offset for s in plan.source.scenes}
    assert set(as_told.values()) == {0.0, -0.1}
    switched_off = steps(plan.source.with_offsets(dict.fromkeys(as_told, 0.0)), cells)
    assert max(map(abs, switched_off.values())) == pytest.approx(1000, abs=1)


def test_every_scene_is_looked_at_once_and_none_is_stopped_falsely(finished):
    decisions = json.loads((finished / "out" / "radiometry.json").read_text())
    verdicts = [row["pixels"] for row in decisions.values()]
    assert "contradicts" not in verdicts
    assert verdicts.count("agrees") > len(verdicts) / 3
    assert any("_1_L2A" in name for name in decisions)
    stack = read_patch(next((finished / "out" / "patches").glob("*.zarr")))
    assert stack.sizes["time"] == DATES


def test_metadata_that_contradict_the_pixels_stop_the_run_unless_one_is_trusted(finished, tmp_path):
    folder = without_output(finished, tmp_path / "wrong")
    changed = []
    for path in (folder / "archive").glob("*/*/*.json"):
        item = json.loads(path.read_text())
        told = item["properties"]
        if told["s2:processing_baseline"] == "05.00" and not told["earthsearch:boa_offset_applied"]:
            told["earthsearch:boa_offset_applied"] = True
            path.write_text(json.dumps(item))
            changed.append(item["id"])
    assert changed
    with pytest.raises(InputError, match=r"contradict their offset \(S2.*trust-metadata"):
        run(read_project(folder), workers=1, options=Options(until="fetch"))
    edit(folder, 'clouds = "scl"', 'radiometry = "trust-pixels"\nclouds = "scl"')
    assert run(read_project(folder), workers=1, options=Options(until="fetch")).status == 0
    decisions = json.loads((folder / "out" / "radiometry.json").read_text())
    by_pixels = {name for name, row in decisions.items() if row["decided_by"] == "pixels"}
    assert by_pixels
    assert by_pixels <= set(changed)
    assert all(decisions[name]["offset"] == -0.1 for name in by_pixels)


def test_two_collections_do_not_become_one_image(country, tmp_path):
    folder = without_output(country, tmp_path / "mixed")
    archive = folder / "archive"
    shutil.copytree(archive / "sentinel-2-l2a", archive / "another")
    for path in (archive / "another").rglob("*.json"):
        path.write_text(path.read_text().replace('"sentinel-2-l2a"', '"another"'))
    catalogue = json.loads((archive / "catalog.json").read_text())
    child = next(link for link in catalogue["links"] if link["rel"] == "child")
    catalogue["links"].append({**child, "href": child["href"].replace("sentinel-2-l2a", "another")})
    (archive / "catalog.json").write_text(json.dumps(catalogue))
    assert all(s.collection == "sentinel-2-l2a" for s in make_plan(read_project(folder))[0].source.scenes)
    edit(folder, 'collection = "sentinel-2-l2a"\nmax', "max")
    with pytest.raises(InputError, match=r"several collections \(another, sentinel-2-l2a\); set source.collection"):
        make_plan(read_project(folder))


def test_no_key_in_an_address_goes_into_a_record_or_a_message(country, tmp_path):
    place = tmp_path / "keys"
    server = over_http(country, place)
    try:
        text = (place / "landweave.toml").read_text()
        url = re.search(r'url = "http://(.*?)/"', text)[1]
        edit(place, f'"http://{url}/"', f'"http://me:SECRET@{url}/?token=SECRET"')
        result = run(read_project(place), workers=1, options=Options(until="grid"))
        assert result.status == 0
        plan, _ = make_plan(read_project(place))
        assert "SECRET" not in str(reporting._settings(plan))
    finally:
        server.__exit__(None, None, None)
    assert (place / "out" / "scenes.json").is_file()
    for path in (place / "out").rglob("*.json"):
        assert "SECRET" not in path.read_text(), path.name
    (place / "out" / "scenes.json").unlink()
    with pytest.raises(InputError, match="not reachable") as caught:
        make_plan(read_project(place))
    assert "SECRET" not in str(caught.value)


def test_signed_addresses_are_not_written_but_asked_for_anew(country, tmp_path):
    place, asked = tmp_path / "signed", []
    server = over_http(country, place, sign=lambda: asked.append(1) or f"?X-Amz-Signature=SECRET{len(asked)}")
    try:
        assert run(read_project(place), workers=1, options=Options(until="grid")).status == 0
        first = len(asked)
        assert first
        assert not (place / "out" / "scenes.json").exists()
        make_plan(read_project(place))
        assert len(asked) > first
    finally:
        server.__exit__(None, None, None)


# One map from everywhere


def test_files_api_and_what_was_fetched_give_the_same_bytes(finished, tmp_path):
    place = tmp_path / "api"
    server = over_http(finished, place)
    try:
        assert run(read_project(place), workers=1).status == 0
    finally:
        server.__exit__(None, None, None)
    assert made(place) == made(finished)
    # The server is gone: what was fetched is enough.
    shutil.rmtree(place / "out" / "predictions")
    result = run(read_project(place), workers=1)
    assert result.status == 0
    assert "fetch" not in result.made
    assert result.made["predict"] > 1
    assert made(place) == made(finished)


@pytest.mark.slow
def test_five_per_cent_of_requests_failing_change_no_byte(finished, tmp_path):
    luck = random.Random(5)
    faults = Faults(lambda number, path: luck.choice([503, 429, "cut"]) if luck.random() < 0.05 else None)
    place = tmp_path / "shaky"
    server = over_http(finished, place, faults)
    try:
        assert run(read_project(place), workers=1).status == 0
    finally:
        server.__exit__(None, None, None)
    assert faults.failed > 20
    assert made(place) == made(finished)


@pytest.mark.slow
def test_files_read_without_a_copy_give_the_same_map(finished, tmp_path):
    folder = without_output(finished, tmp_path / "direct")
    edit(folder, 'clouds = "scl"', 'store = false\nclouds = "scl"')
    assert run(read_project(folder), workers=1).status == 0
    assert not (folder / "out" / "patches").exists()
    assert made(folder)["map.tif"] == made(finished)["map.tif"]


# Fetching


@pytest.mark.slow
def test_a_date_that_cannot_be_read_degrades_its_patches_and_the_next_run_takes_up_only_it(finished, tmp_path):
    plan, _ = make_plan(read_project(finished))
    victim = plan.source.passes[plan.dates[2]][0]
    file = finished / "archive" / "sentinel-2-l2a" / victim.id / "B04.tif"
    asked = []

    def rule(number, path):
        if path.endswith(".tif"):
            asked.append(path)
        return 503 if broken and path.endswith(f"{victim.id}/B04.tif") else None

    broken = True
    assert file.is_file()
    place = tmp_path / "hurt"
    server = over_http(finished, place, Faults(rule))
    try:
        first = run(read_project(place), workers=1)
        assert first.status == 1
        assert first.failures
        assert all("degraded: 2017" in error and "B04.tif" in error for _, error in first.failures)
        assert "missing before train" in first.stopped
        broken = False
        asked.clear()
        assert run(read_project(place), workers=1).status == 0
    finally:
        server.__exit__(None, None, None)
    of_date = {scene.id for scene in plan.source.passes[plan.dates[2]]}
    assert victim.id in {path.split("/")[-2] for path in asked} <= of_date
    assert not list((place / "out" / "patches").glob("*.part"))
    assert made(place) == made(finished)


def test_a_damaged_file_of_a_local_archive_degrades_too(finished, tmp_path):
    folder = without_output(finished, tmp_path / "cut")
    plan, _ = make_plan(read_project(folder))
    for scene in plan.source.passes[plan.dates[1]]:
        victim = folder / "archive" / "sentinel-2-l2a" / scene.id / "B08.tif"
        victim.write_bytes(victim.read_bytes()[:3000])
    result = run(read_project(folder), workers=1, options=Options(until="fetch"))
    assert result.status == 1
    assert all("degraded" in error and "B08.tif" in error for _, error in result.failures)
    assert result.failures


@pytest.mark.slow
def test_cloudy_dates_are_read_no_further_than_their_masks_until_they_qualify(finished, tmp_path):
    asked = []

    def rule(number, path):
        if path.endswith(".tif"):
            asked.append(path)

    place = tmp_path / "clear"
    server = over_http(finished, place, Faults(rule))
    try:
        edit(place, "step_days = 60", "step_days = 60\nmin_valid_fraction = 0.8")
        assert run(read_project(place), workers=1, options=Options(until="fetch")).status == 0
        unread = sum(
            not key for path in (place / "out" / "patches").glob("*.zarr") for key in read_notes(path)["bands"]
        )
        assert unread > 5
        asked.clear()
        edit(place, "min_valid_fraction = 0.8", "min_valid_fraction = 0.0")
        assert run(read_project(place), workers=1, options=Options(until="fetch")).status == 0
        assert not [path for path in asked if path.endswith("SCL.tif")]
        assert all(all(read_notes(path)["bands"]) for path in (place / "out" / "patches").glob("*.zarr"))
    finally:
        server.__exit__(None, None, None)
    for path in sorted((finished / "out" / "patches").glob("*.zarr"))[:4]:
        other = read_patch(place / "out" / "patches" / path.name)
        assert all((other[n].values == v.values).all() for n, v in read_patch(path).data_vars.items())


def test_a_staged_part_that_was_damaged_is_not_believed(tmp_path):
    values = {"B04": np.arange(2000, dtype="int16").reshape(40, 50), "SCL": np.full((40, 50), 4, "uint8")}
    path = stage(tmp_path, "2017-01-01_bands_x", values)
    assert staged(tmp_path, "2017-01-01_bands_x") == path
    assert (read_stage(path, slice(3, 9))["B04"] == values["B04"][3:9]).all()
    path.write_bytes(path.read_bytes()[:-20] + b"x" * 20)
    assert staged(tmp_path, "2017-01-01_bands_x") is None
    assert not path.exists()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A patch of 500 x 500 pixels and 12 dates, staged and assembled."""
    folder = tmp_path_factory.mktemp("stack")
    source = SimulatedSource(size_km=5, n_dates=12, seed=1)
    days = source.dates(None, None)
    patch = source.load(source.geobox, days, source.variables)
    parts = []
    for number, day in enumerate(days):
        arrays = {name: patch[name].values[number] for name in source.variables}
        parts.append([stage(folder / "parts", str(day), arrays)])
        red, green, blue = (arrays[name] for name in ("B04", "B03", "B02"))
        quicklook(folder / "looks" / f"{day}.tif", red, green, blue, source.geobox)
    kinds = {name: "uint8" if name == "SCL" else "int16" for name in source.variables}
    assemble(folder / "p.zarr", parts, times=days, variables=kinds, geobox=source.geobox, notes={"a": 1})
    return folder, patch


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_stack_is_what_was_staged_in_chunks_of_all_dates_and_shards_of_a_strip(stack):
    folder, patch = stack
    found = read_patch(folder / "p.zarr")
    for name in patch.data_vars:
        assert (found[name].values == patch[name].values).all()
    assert found["B04"].encoding["chunks"] == (12, 64, 64)
    assert found["B04"].encoding["shards"] == (12, 64, 512)
    assert found.odc.geobox == patch.odc.geobox


def test_a_stack_is_no_larger_than_the_same_arrays_gzipped_as_eo_learn_does(stack):
    folder, patch = stack
    bands = np.stack([patch[name].values for name in patch.data_vars if name != "SCL"], axis=-1)
    total = 0
    for array in (bands, patch["SCL"].values[..., None]):
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
            np.save(file, array)
        total += buffer.tell()
    assert size(folder / "p.zarr") <= total


def test_quicklooks_take_at_most_three_per_cent_of_the_stack_and_know_what_is_missing(stack):
    folder, patch = stack
    assert size(folder / "looks") <= 0.03 * size(folder / "p.zarr")
    paths = sorted((folder / "looks").glob("*.tif"))
    assert len(paths) == 12
    for number, path in enumerate(paths):
        with rasterio.open(path) as file:
            assert file.dtypes == ("uint8",) * 3
            assert file.overviews(1)
            share = (file.dataset_mask() > 0).mean()
        assert share == pytest.approx((patch["B04"].values[number] != -32768).mean(), abs=0.01)


# Snow


def truly_snow(land, day):
    """Share of every pixel that lies under snow, as the simulation has it before anything is seen of it."""
    side, sky = land.kind.shape[0], weather(land.seed, day)
    found = np.zeros((side, side))
    for i in range(-(-side // TILE)):
        for j in range(-(-side // TILE)):
            rows, cols = (np.arange(n * TILE - _HALO, (n + 1) * TILE + _HALO) for n in (i, j))
            surface = _surface(land.size_km, land.seed, i, j)
            share = _snow(surface, sky, rows, cols, number=day.timetuple().tm_yday, seed=land.seed)
            part = share[_HALO:-_HALO, _HALO:-_HALO][: side - i * TILE, : side - j * TILE]
            found[i * TILE : i * TILE + part.shape[0], j * TILE : j * TILE + part.shape[1]] = part
    return found


def test_clear_snow_is_kept_under_every_mask(tmp_path):
    land = make_country(size_km=4, seed=42)
    days = acquisition_dates(24, seed=42)
    source = SimulatedSource(size_km=4, n_dates=24, seed=42)
    clear = [d for d in days if weather(42, d).cover < 0.1 and weather(42, d).snow_line < land.elevation.max() - 60]
    assert clear
    tested = 0
    for day in clear:
        patch = source.load(source.geobox, [day], source.variables)
        snow = (truly_snow(land, day)[None] > 0.6) & np.isin(patch["SCL"].values, (4, 5, 6, 11))
        if snow.sum() < 500:
            continue
        tested += 1
        bands = ["B02", "B03", "B04", "B08", "B11", "B12"]
        # A provider that takes every bright pixel for a cloud.
        patch["cloud"] = (("time", "y", "x"), np.where(patch["B02"].values > 2500, 90, 0).astype("uint8"))
        blind = patch.drop_vars("SCL")
        for given, rule in ((patch, "scl"), (patch, "mask"), (blind, "mask"), (patch, "none")):
            options = {"mask": "cloud", "mask_above": 40} if rule == "mask" else {}
            reasons = mask_reasons(given, bands=bands, clouds=rule, dilation_px=2, **options)
            assert (reasons[snow] == 0).mean() >= 0.9
            marked = mask_reasons(given, bands=bands, clouds=rule, dilation_px=2, snow="mask", **options)
            assert (marked[snow] == SNOW).mean() >= 0.9
    assert tested


def test_what_is_bright_in_the_cirrus_band_is_a_cloud_however_it_looks():
    source = SimulatedSource(size_km=0.6, n_dates=2)
    patch = source.load(source.geobox[:2, :2], source.dates(None, None)[:1], ["B02", "B03", "B08", "B11"])
    for name, value in {"B02": 8000, "B03": 8000, "B08": 7000, "B11": 1000}.items():
        patch[name][:] = value
    patch["cloud"] = (("time", "y", "x"), np.ones((1, 2, 2), "uint8"))
    patch["B10"] = (("time", "y", "x"), np.array([[[10, 10], [400, 400]]], "int16"))
    reasons = mask_reasons(patch, bands=["B02"], clouds="mask", mask="cloud")
    assert reasons[0].tolist() == [[0, 0], [2, 2]]


def test_a_source_is_replaced_not_changed(country):
    plan, _ = make_plan(read_project(country))
    assert isinstance(plan.source, StacSource)
    assert replace(plan.source) == plan.source
    assert plan.source.with_offsets({"x": 1.0}).offsets == {"x": 1.0}
    assert plan.source.offsets == {}
