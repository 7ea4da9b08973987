"""The example notebook: kept with its pictures, and executed from its first cell to its last."""

import ast
import base64
import io
import json
import os
import re
import resource
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "any_area.ipynb"
PICTURES = [
    "grid", "reference", "counts", "year", "frequency", "confusion", "roc", "importance", "snow", "triptych", "map",
    "against", "airfields",
]  # fmt: skip
"""Cells that draw, in the order of the series."""


def executed(project, tmp_path, monkeypatch, *, workers, seconds):
    """Text and pictures of each cell, by its name."""
    lacking = [name for name in ("nbclient", "ipykernel", "matplotlib") if find_spec(name) is None]
    if lacking:
        reason = f"the notebook was not executed: no {', '.join(lacking)}; pip install 'landweave[notebook]'"
        warnings.warn(reason, stacklevel=2)
        pytest.skip(reason)
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("LANDWEAVE_PROJECT", str(project))
    monkeypatch.setenv("LANDWEAVE_WORKERS", str(workers))
    book = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, kernel_name="python3", timeout=seconds, startup_timeout=seconds, resources=place).execute()
    told = {}
    for cell in book.cells:
        outputs = cell.get("outputs", [])
        text = "".join(output.get("text", "") for output in outputs)
        told[cell.id] = (
            text,
            [base64.b64decode(o.data["image/png"]) for o in outputs if "image/png" in o.get("data", {})],
        )
    keep(told)
    return told


def keep(told):
    """As for screenshots: pictures to be looked at go where LANDWEAVE_SCREENSHOTS says."""
    folder = os.environ.get("LANDWEAVE_SCREENSHOTS")
    for number, name in enumerate(PICTURES if folder else [], start=1):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for picture in told[name][1]:
            (Path(folder) / f"notebook-{number:02d}-{name}.png").write_bytes(picture)


def check_pictures(told):
    from PIL import Image

    assert {name: len(pictures) for name, (_, pictures) in told.items() if pictures} == dict.fromkeys(PICTURES, 1)
    for name in PICTURES:
        with Image.open(io.BytesIO(told[name][1][0])) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert min(pixels.shape[:2]) > 200, name
        # Something is drawn, and not in the margins alone.
        inner = pixels[pixels.shape[0] // 4 : -pixels.shape[0] // 4, pixels.shape[1] // 4 : -pixels.shape[1] // 4]
        assert len(np.unique(inner.reshape(-1, 3), axis=0)) > 1, name


def test_the_notebook_is_kept_with_its_pictures_and_nothing_else_of_a_run():
    text = NOTEBOOK.read_text(encoding="utf-8")
    book = json.loads(text)
    assert (book["nbformat"], book["nbformat_minor"] >= 5) == (4, True)
    assert set(book["metadata"]) <= {"kernelspec", "language_info"}
    names = [cell["id"] for cell in book["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z-]+", name) for name in names)
    drawn = []
    for cell in book["cells"]:
        assert cell["metadata"] == {}, cell["id"]
        if cell["cell_type"] != "code":
            continue
        assert cell["execution_count"] is None, cell["id"]
        # Each is short enough to be read at once.
        assert len("".join(cell["source"]).splitlines()) <= 40, cell["id"]
        for output in cell["outputs"]:
            assert set(output.get("data", {})) <= {"text/plain", "image/png"}, cell["id"]
            assert output.get("name", "stdout") == "stdout", cell["id"]
            drawn += [cell["id"]] * ("image/png" in output.get("data", {}))
    assert drawn == PICTURES
    assert len(text) < 700_000
    # In pictures such letters mean nothing.
    assert not re.search(r"/(?:home|root|tmp|work|Users)/", re.sub(r'"image/png": "[^"]*"', "", text))


def test_the_notebook_uses_public_names_alone():
    import landweave

    cells = [c for c in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.split(".")[0] == "landweave"} == {"landweave"}
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "landweave"
    }
    assert used
    assert used <= set(landweave.__all__)
    private = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")]
    assert private == []


def test_links_in_the_notebook_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", NOTEBOOK.read_text(encoding="utf-8")):
        assert (NOTEBOOK.parent / target).exists(), target


def test_the_pixel_that_is_looked_at_lies_in_the_nearest_patch_of_which_the_register_tells_something():
    import geopandas as gpd
    import xarray as xr
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_zeros

    cells = [
        SimpleNamespace(name=str(k), geobox=GeoBox.from_bbox((k * 60, 0, k * 60 + 60, 60), "EPSG:32633", resolution=10))
        for k in range(5)
    ]
    patches = {cell.name: xr.Dataset({"reference": xr_zeros(cell.geobox, "uint8")}) for cell in cells}
    patches["0"].reference[:] = 3
    patches["1"] = patches["1"].drop_vars("reference")
    patches["3"].reference[1:4, 1:4] = 7
    known = {
        "np": np, "gpd": gpd, "run": SimpleNamespace(cells=cells, patch=patches.get),
        "legend": SimpleNamespace(values=[3, 7]),
    }  # fmt: skip
    place = next(cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["id"] == "place")
    exec("".join(place["source"]), known)
    assert (known["middle"].name, known["largest"], known["row"], known["column"]) == ("3", 7, 2, 2)


def test_a_country_of_two_patches_goes_all_the_way(tmp_path, monkeypatch):
    from archives import small_country

    # One patch on either side of the border of two zones; neither held out in training, no airfield, no 3 x 3 patches.
    project = small_country(tmp_path / "country", size_km=0.6, dates=8, seed=3, patch=102)
    # All candidates are listed, so that there is a place to look at, however doubtful its error is.
    file = project / "landweave.toml"
    file.write_text(file.read_text().replace("[reference]", "[reference]\nlabel_errors_precision = 0"))
    told = executed(project, tmp_path, monkeypatch, workers=1, seconds=300)
    assert "2 patches, 8 dates" in told["project"][0]
    check_pictures(told)
    for name in ("map.tif", "report.html", "compare.html", "accuracy.json"):
        assert (project / "out" / name).stat().st_size > 0
        assert name in told["next"][0]


@pytest.mark.slow
def test_the_whole_notebook_maps_the_simulated_country_in_what_two_cores_do_in_five_minutes(tmp_path, monkeypatch):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = executed(tmp_path / "any-area", tmp_path, monkeypatch, workers=2, seconds=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Of processors, so that it holds whatever else the machine does.
    assert 30 < spent < 2 * 300
    assert "45 patches, 24 dates" in told["project"][0]
    check_pictures(told)
    out = tmp_path / "any-area" / "out"
    for name in ("map.tif", "report.html", "compare.html"):
        assert (out / name).stat().st_size > 10_000
    figures = json.loads((out / "accuracy.json").read_text())
    value = figures["overall_accuracy"]["value"]
    assert 0.75 < value < 0.95
    assert f"{value:.1%}" in told["confusion"][0]
    # What the text says of the grass airfield: held out it is grassland, on the map it is not all.
    check_airfield(tmp_path / "any-area")


def check_airfield(project):
    import landweave

    run = landweave.open_run(project)
    place = next(place for place in run.plan.project.places if "rass" in place.name)
    near = landweave.read_layers(run, around=(place.lon, place.lat), metres=70)
    grass, artificial = (run.plan.legend.value_of(name) for name in ("grassland", "artificial surface"))
    assert (near.reference == artificial).all()
    held_out, mapped = ((near[name] == grass).mean().item() for name in ("held_out", "prediction"))
    assert held_out > 0.6
    assert held_out > mapped
