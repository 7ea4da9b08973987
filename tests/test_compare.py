"""The register against the map: every hectare is counted once, and places for an inspector come in order."""

import json
import math
import re
import shutil

import geopandas as gpd
import html5lib
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.maps.areas import PixelAreas
from landweave.maps.compare import EDGE, INSIDE, Doubt, area_matrix, comparison, order_places
from landweave.patch.store import read_raster
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.status import status_lines
from landweave.runs.project.settings import read_project
from landweave.runs.results.compare import _land, compare, comparison_lines, comparison_of
from landweave.runs.results.run import open_run

VALUES = (4, 1, 9)
CLASSES = hnp.arrays("uint8", (5, 6), elements=st.sampled_from((0, *VALUES)))
KEPT = hnp.arrays("bool", (5, 6))
ZONES = hnp.arrays("int32", (5, 6), elements=st.integers(0, 2))
AREAS = hnp.arrays("float64", (5, 1), elements=st.floats(50, 150))


@given(CLASSES, KEPT, CLASSES, ZONES, AREAS)
def test_every_pixel_of_the_register_is_counted_once_where_it_belongs(reference, kept, mapped, zones, areas):
    core = np.where(kept, reference, 0)
    expected = np.zeros((3, 3, 4, 2))
    for (row, column), value in np.ndenumerate(reference):
        if value:
            to = VALUES.index(mapped[row, column]) if mapped[row, column] else 3
            kind = INSIDE if kept[row, column] else EDGE
            expected[zones[row, column], VALUES.index(value), to, kind] += areas[row, 0] / 1e4
    found = area_matrix(reference, core, mapped, areas, values=VALUES, zones=zones, count=2)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    figures = comparison(found, ["a", "b", "c"], ["north", "south"])
    whole = figures["all"]
    assert whole["differs_ha"] == pytest.approx(whole["inside_ha"] + whole["edge_ha"], abs=2e-4)
    for key in ("compared_ha", "differs_ha", "inside_ha", "edge_ha"):
        assert sum(row[key] for row in figures["by_class"].values()) == pytest.approx(whole[key], abs=4e-4)
    named = (reference > 0) & (mapped > 0)
    land = np.broadcast_to(areas, reference.shape) / 1e4
    assert whole["compared_ha"] == pytest.approx(land[named].sum(), abs=1e-4)
    assert whole["differs_ha"] == pytest.approx(land[named & (reference != mapped)].sum(), abs=2e-4)
    for number, name in ((1, "north"), (2, "south")):
        assert figures["by_district"][name]["compared_ha"] == pytest.approx(
            land[named & (zones == number)].sum(), abs=1e-4
        )


def test_districts_of_one_name_are_added_up():
    matrix = np.zeros((3, 1, 2, 2))
    matrix[1, 0, 0, INSIDE], matrix[2, 0, 0, EDGE] = 3.0, 4.0
    assert comparison(matrix, ["a"], ["island", "island"])["by_district"]["island"]["compared_ha"] == 7.0


DOUBTS = st.builds(Doubt, score=st.floats(0, 1), confidence=st.floats(0, 1), inside_ha=st.floats(0, 50))


@given(st.dictionaries(st.integers(0, 99), DOUBTS, max_size=8))
def test_edges_never_stand_among_the_places_and_heavier_places_come_first(doubts):
    places, edges = order_places(doubts)
    assert sorted(places + edges) == sorted(doubts)
    assert all(doubts[key].inside_ha < 0.1 for key in edges)
    assert all(doubts[key].inside_ha >= 0.1 for key in places)
    weights = [doubts[key].weight for key in places]
    assert weights == sorted(weights, reverse=True)


@pytest.fixture(scope="module")
def compared(finished, tmp_path_factory):
    """A country, and what its comparison found."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("compared") / "country")
    found = compare(folder)
    return folder, found


def test_the_matrix_holds_the_registers_land_in_all_patches(compared):
    folder, found = compared
    run = open_run(folder)
    land = dict.fromkeys(run.plan.legend.values, 0.0)
    for cell in run.cells:
        reference = read_raster(folder / "out" / "labels" / f"{cell.name}.tif")[0]
        areas = PixelAreas(str(cell.geobox.crs), cell.geobox.transform, cell.geobox.shape)
        sizes = np.broadcast_to(
            areas.window(slice(0, reference.shape[0]), slice(0, reference.shape[1])), reference.shape
        )
        for value in land:
            land[value] += float(sizes[reference == value].sum()) / 1e4
    rows = np.array(found.figures["matrix_ha"]).sum(axis=1)
    np.testing.assert_allclose(rows, list(land.values()), atol=1e-3)
    assert found.figures["compared_with"] == "predictions by models that never saw the patch"
    districts = found.figures["by_district"].values()
    assert sum(d["compared_ha"] for d in districts) == pytest.approx(found.figures["all"]["compared_ha"], rel=0.02)
    assert json.loads((folder / "out" / "compare.json").read_text()) == found.figures


def test_an_inspector_gets_all_doubtful_pieces_with_columns_to_fill_in(compared):
    folder, found = compared
    doubtful = gpd.read_file(folder / "out" / "label_errors.gpkg")
    places, edges = (gpd.read_file(folder / "out" / "compare.gpkg", layer=layer) for layer in ("places", "edges"))
    assert len(places) > 0
    assert sorted([*places["rank_of_doubt"], *edges["rank_of_doubt"]]) == doubtful["rank"].tolist()
    assert places["rank"].tolist() == list(range(1, len(places) + 1))
    weight = places["score"] * places["looks_suggested"] * places["inside_ha"]
    assert (np.diff(weight) <= 2e-3 * weight[:-1] + 1e-3).all()  # hectares are rounded in the file
    for column in ("finding", "inspector", "inspected_on"):
        assert (places[column].fillna("") == "").all()
    assert [row["rank"] for row in found.figures["places"]] == places["rank"].tolist()[:20]
    assert found.figures["places"][0]["area_ha"] == places["area_ha"][0]
    assert (places["inside_ha"] <= places["area_ha"] + 1e-3).all()
    outlines = doubtful.set_index("rank").geometry.loc[places["rank_of_doubt"]]
    assert shapely.equals(places.geometry.values, outlines.values).all()


def test_the_page_is_sound_shows_the_first_places_and_asks_nobody(compared):
    folder, found = compared
    text = (folder / "out" / "compare.html").read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:|\./#)", text)
    assert text.count('class="place"') == min(len(found.figures["places"]), 20)
    assert text.count("<img ") == 3 * text.count('class="place"')
    place = found.figures["places"][0]
    assert f"lon={place['lon']}&amp;lat={place['lat']}" in text
    assert any(str(place["area_ha"]) in line or place["reference_class"] in line for line in comparison_lines(found))


def test_names_with_markup_are_text_and_the_same_run_gives_the_same_bytes(compared, tmp_path):
    folder = shutil.copytree(compared[0], tmp_path / "country")
    before = {path.name: path.read_bytes() for path in (folder / "out").glob("compare.*")}
    compare(folder)
    assert {path.name: path.read_bytes() for path in (folder / "out").glob("compare.*")} == before
    project = folder / "landweave.toml"
    project.write_text(project.read_text().replace('name = "simulated"', "name = '<script>alert(1)</script>'", 1))
    compare(folder)
    text = (folder / "out" / "compare.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_what_is_missing_is_said_in_one_line(compared, tmp_path):
    folder = shutil.copytree(compared[0], tmp_path / "country")
    (folder / "out" / "label_errors.gpkg").unlink()
    with pytest.raises(InputError, match=r"label_errors\.gpkg: .*make it with `landweave run`\.$"):
        compare(folder)
    shutil.rmtree(folder / "out" / "predictions")
    with pytest.raises(InputError, match=r"there are no predictions; make them with `landweave run`\.$"):
        compare(folder)


def test_the_view_offers_the_comparison_and_its_places(compared):
    pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
    from fastapi.testclient import TestClient

    from landweave.viewer.server import make_app, open_view

    folder, found = compared
    client = TestClient(make_app(open_view(folder)), base_url="http://127.0.0.1")
    told = client.get("/view.json").json()
    assert told["comparison"]
    assert [place["rank"] for place in told["doubtful"]] == [row["rank"] for row in found.figures["places"]]
    assert client.get("/compare").text == (folder / "out" / "compare.html").read_text()
    assert "sandbox" in client.get("/compare").headers["Content-Security-Policy"]


def test_a_comparison_of_an_earlier_run_is_nobodys_guide(compared, tmp_path):
    folder = shutil.copytree(compared[0], tmp_path / "country")
    project = folder / "landweave.toml"
    assert comparison_of(open_run(folder)) == compared[1].figures
    assert not any(line.startswith("compare") for line in status_lines(read_project(folder)))
    text = project.read_text()
    project.write_text(text.replace("n_estimators = 5", "n_estimators = 2"))
    assert project.read_text() != text
    before = (folder / "out" / "compare.gpkg").read_bytes()
    assert run(read_project(folder), workers=1).status == 0
    assert comparison_of(open_run(folder)) is None
    assert [line for line in status_lines(read_project(folder)) if line.startswith("compare")] == [
        "compare    older than the run; `landweave compare` makes it again"
    ]
    # What an inspector may have filled in is not touched.
    assert (folder / "out" / "compare.gpkg").read_bytes() == before
    fresh = compare(folder)
    assert comparison_of(open_run(folder)) == fresh.figures


def test_a_picture_goes_on_across_the_borders_of_patches_and_zones(compared):
    done = open_run(compared[0])
    assert len({cell.geobox.crs.epsg for cell in done.cells}) == 2
    middle = done.cells[len(done.cells) // 2]
    for corner in ((0, 0), middle.geobox.shape):
        affine = middle.geobox.affine * Affine.translation(corner[1] - 20, corner[0] - 20)
        window = GeoBox((40, 40), affine, middle.geobox.crs)
        shown = _land(done, window, done.plan.dates[0])
        assert set(shown) == {"image", "register", "held-out prediction"}
        assert shown["image"].shape == (40, 40, 3)
        pixels = 0
        for cell in done.cells:
            if cell.geobox.crs != window.crs:
                continue
            labels = read_raster(done.folder / "labels" / f"{cell.name}.tif")[0]
            column, row = (math.floor(v) for v in ~cell.geobox.affine * (window.affine * (0.5, 0.5)))
            rows, columns = np.mgrid[row : row + 40, column : column + 40]
            here = (rows >= 0) & (columns >= 0) & (rows < labels.shape[0]) & (columns < labels.shape[1])
            known = here.copy()
            known[here] = labels[rows[here], columns[here]] > 0
            np.testing.assert_array_equal(shown["register"][known], labels[rows[known], columns[known]])
            pixels += known.sum()
        assert pixels > 0


def test_what_is_written_leaves_gdal_as_it_was(compared, tmp_path):
    import pyogrio

    folder = shutil.copytree(compared[0], tmp_path / "country")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    compare(folder)
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
