"""The report says where a map comes from, and what points as a reference do not show."""

import hashlib
import json
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from rasterio.warp import transform as move
from worlds import CORNER, two_class_world

import landweave
from landweave.patch.store import read_raster
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.status import remake_report
from landweave.runs.project.settings import read_project
from landweave.runs.project.source_settings import SourceSettings
from landweave.runs.report.provenance import UNKNOWN, imagery_words

EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"


def text_of(path):
    html = re.sub(r"<style>.*?</style>", "", path.read_text(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A world of 80 x 80 pixels of 10 m near the central meridian of zone 33, whose imagery has terms."""
    project, _ = two_class_world(tmp_path_factory.mktemp("world"), source='licence = "CC-BY-4.0"')
    result = run(read_project(project), workers=1)
    assert result.status == 0, result.failures
    return result


def test_the_report_names_date_version_crs_area_terms_and_checksum(done):
    record = json.loads((done.folder / "run.json").read_text())
    day = record["stages"]["mosaic"]["finished"][:10]
    digest = hashlib.sha256((done.folder / "map.tif").read_bytes()).hexdigest()
    # 10 m on the map are 10 m / 0.9996 on the ellipsoid at the central meridian.
    area = (read_raster(done.folder / "map.tif")[0] > 0).sum() * 100 / 0.9996**2 / 1e4
    text = text_of(done.folder / "report.html")
    assert f"Made on {day}; made with landweave {landweave.__version__} ; CRS EPSG:32633".replace(" ;", ";") in text
    for fact in (
        "CRS EPSG:32633, WGS 84 / UTM zone 33N",
        f"Mapped area {area:.1f} ha",
        "Imagery raster files",
        "Licence of the imagery CC-BY-4.0",
        f"SHA-256 of map.tif {digest}",
    ):
        assert fact in text


def test_the_report_made_again_has_the_same_bytes(done):
    project = read_project(done.folder.parent / "landweave.toml")
    pages = [remake_report(project).read_bytes() for _ in range(2)]
    assert pages[0] == pages[1]


def test_terms_of_the_imagery_make_no_patch_stale(done):
    project = done.folder.parent / "landweave.toml"
    text = project.read_text()
    try:
        project.write_text(text.replace("CC-BY-4.0", "CC0-1.0"))
        again = run(read_project(project), workers=1)
    finally:
        project.write_text(text)
    assert again.made == {"report": 1}
    assert "CC0-1.0" in text_of(done.folder / "report.html")


def test_an_archive_that_is_known_by_name_states_the_copernicus_terms():
    known = imagery_words(SourceSettings(type="stac", url=EARTH_SEARCH), years="2017")
    assert known["Imagery"] == "Sentinel-2, earth-search-v1"
    assert known["Licence of the imagery"].startswith("contains modified Copernicus Sentinel data (2017)")
    other = imagery_words(SourceSettings(type="stac", url=EARTH_SEARCH, collection="landsat-c2-l2"), years="2017")
    assert other == {"Imagery": "a STAC archive", "Licence of the imagery": UNKNOWN}
    own = imagery_words(SourceSettings(type="stac", url=EARTH_SEARCH, licence="own", attribution="ours"))
    assert own == {"Imagery": "ours", "Licence of the imagery": "own"}


def test_points_as_a_reference_are_no_measure_of_area(tmp_path):
    project, cover = two_class_world(tmp_path)
    # Ponds are 30 % of the land; half of the points are put on them, and 26 points are too few.
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 80, (2, 400))
    chosen = np.concatenate([np.flatnonzero(cover[rows, columns] == value)[:13] for value in (2, 7)])
    rows, columns = rows[chosen], columns[chosen]
    lon, lat = move("EPSG:32633", "EPSG:4326", *(CORNER * (columns + 0.5, rows + 0.5)))
    kinds = np.where(cover[rows, columns] == 7, "pond", "meadow")
    pd.DataFrame({"longitude": lon, "latitude": lat, "kind": kinds}).to_csv(tmp_path / "points.csv", index=False)
    text = project.read_text().replace('path = "reference.tif"', 'path = "points.csv"\ncolumn = "kind"')
    project.write_text(text)
    result = run(read_project(project), workers=1)
    assert result.status == 0, result.failures
    figures = json.loads((result.folder / "accuracy.json").read_text())
    tested = sum(row["support"] for row in figures["classes"].values())
    assert tested < 30
    shown = text_of(result.folder / "report.html")
    assert f"From {tested} held-out pixels in" in shown
    assert f"There are only {tested} test pixels in all" in shown
    assert "The map is good at" not in shown
    assert "Unless they were drawn at random, the figures hold for places like these points" in shown
    assert "their shares show how they were chosen, not the area of a class" in shown
    assert "Difference, points" not in shown
