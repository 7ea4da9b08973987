"""QGIS itself opens every output with the legend's colours, names of columns and lists to choose from."""

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest
from worlds import two_class_world, write_tif

from landweave.legend import Legend
from landweave.maps.qgis_styles import RAMP
from landweave.runs.estimate.draw import SizeRequest, draw_sample
from landweave.runs.estimate.map import find_map
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.compare import compare

OPENED = Path(__file__).with_name("qgis_opened.py")
PYTHON = os.environ.get("LANDWEAVE_QGIS_PYTHON", "/usr/bin/python3")
"""A Python that has ``qgis.core``; that of the system where QGIS is a package of it."""


def with_qgis(*arguments, **options):
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA"}}
    environment |= {"QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run([PYTHON, *arguments], env=environment, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    project, cover = two_class_world(tmp_path_factory.mktemp("world"), share=0)
    cover[(np.indices(cover.shape) // 10).sum(axis=0) % 2 == 0] = 7
    for path in sorted(project.parent.glob("S2_*.tif")):
        noise = np.random.default_rng(len(path.name)).normal(0, 50, cover.shape)
        clean = np.where(cover == 7, *((1200, 600) if "B04" in path.name else (1000, 3000)))
        write_tif(path, (clean + noise).astype("uint16"), nodata=0)
    # Three fields of the register are wrong: they are listed as doubtful.
    cover[10:20, 10:20], cover[40:50, 40:50], cover[60:70, 30:40] = 2, 2, 7
    write_tif(project.parent / "reference.tif", cover, nodata=0)
    result = run(read_project(project), workers=1)
    assert result.status == 0, result.failures
    compare(project)
    draw_sample(find_map(project), project.parent / "sample.gpkg", request=SizeRequest(n=20, minimum=5))
    return project.parent


@pytest.fixture(scope="module")
def shown(world):
    """URI, relative to the world's folder, to how QGIS shows it."""
    if with_qgis("-c", "import qgis.core", timeout=60).returncode:
        pytest.skip(f"{PYTHON} has no qgis.core, so nothing is opened in QGIS; set LANDWEAVE_QGIS_PYTHON")
    out = world / "out"
    rasters = [path for path in sorted(out.rglob("*.tif")) if path.with_suffix(".qml").exists()]
    layers = [out / "grid.gpkg", out / "label_errors.gpkg"]
    uris = [str(path) for path in (*rasters, *layers)]
    uris += [f"{out / 'compare.gpkg'}|layername=places"]
    uris += [f"{world / 'sample.gpkg'}|layername={name}" for name in ("sample", "pixels")]
    answer = with_qgis(OPENED, *uris, timeout=300)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout.splitlines()[-1])
    return {uri.removeprefix(f"{world}/").removeprefix("out/"): how for uri, how in found.items()}


def test_every_raster_of_classes_opens_in_the_colours_of_the_legend(world, shown):
    legend = Legend.read(world / "legend.toml")
    classes = {str(c.value): [c.name, c.color] for c in legend.classes}
    of_classes = [name for name in shown if name.startswith(("map.tif", "predictions/", "labels/"))]
    # A map, and of each of 16 patches a prediction, one out of fold, and labels.
    assert len(of_classes) == 1 + 3 * 16
    for name in of_classes:
        assert (shown[name]["type"], shown[name]["band"], shown[name]["classes"]) == ("paletted", 1, classes), name


def test_confidence_and_counts_open_with_a_ramp(shown):
    assert shown["confidence.tif"]["type"] == "singlebandpseudocolor"
    assert shown["confidence.tif"]["ramp"][::4] == [[1, RAMP[0]], [100, RAMP[4]]]
    counts = [how for name, how in shown.items() if name.startswith("observations/")]
    assert len(counts) == 16
    assert {(how["type"], how["band"]) for how in counts} == {("singlebandpseudocolor", 1)}


def test_patches_are_coloured_by_their_role(shown):
    assert shown["grid.gpkg"]["by"] == "role"
    assert list(shown["grid.gpkg"]["categories"]) == ["train", "test", "mixed", "none"]
    assert shown["grid.gpkg"]["fields"] | {"fid": ""} == {"fid": "", "name": "Patch", "role": "Role", "state": "State"}


@pytest.mark.parametrize("name", ["label_errors.gpkg", "compare.gpkg|layername=places"])
def test_doubtful_places_are_coloured_by_what_they_look_like(world, shown, name):
    legend = Legend.read(world / "legend.toml")
    assert shown[name]["by"] == "suggested_class"
    assert shown[name]["categories"] == {c.name: c.color for c in legend.classes}
    assert all(alias for field, alias in shown[name]["fields"].items() if field != "fid")
    offered = {"finding": ["", *legend.names.values()]} if name.startswith("compare") else {}
    assert shown[name]["choices"] == offered


def test_a_sample_offers_the_classes_of_the_map(world, shown):
    legend = Legend.read(world / "legend.toml")
    points = shown["sample.gpkg|layername=sample"]
    assert points["choices"] == {"reference": ["", *legend.names.values()]}
    assert points["fields"]["reference"] == "Class seen"
    assert points["color"] == "#ffd500"
    assert shown["sample.gpkg|layername=pixels"]["type"] == "singleSymbol"


def test_styles_within_a_file_are_dated_as_the_file_is(world):
    with sqlite3.connect(world / "out" / "compare.gpkg") as file:
        rows = file.execute("SELECT f_table_name, useAsDefault, update_time FROM layer_styles").fetchall()
    assert rows == [(name, 1, "2000-01-01T00:00:00.000Z") for name in ("places", "edges")]
