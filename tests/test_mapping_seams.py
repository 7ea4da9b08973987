"""Patch borders: where they show it is told, and where they do not nothing is."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from landweave.accuracy.spatial.seams import border_counts, seam_figures
from landweave.patch.grid import native_cells, projected_cells
from landweave.patch.store import write_raster
from landweave.report.report import ReportContent, render_report
from landweave.report.sections.seams import seam_section, seam_warnings
from landweave.runs.mapping.seams import write_seams
from landweave.sources.simulated.source import SimulatedSource

SIDE, PATCH = 240, 40


def land(seed=0, step=0.0):
    """Three classes in blobs some twenty pixels wide, with ragged edges and some unknown pixels; uint8.

    With a step, every other patch, like the black fields of a board, is seen a little brighter than it is.
    """
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 6)
    rows, columns = np.indices(smooth.shape) // PATCH
    value = smooth / smooth.std() + 0.2 * rng.normal(size=smooth.shape) + step * ((rows + columns) % 2)
    return np.where(rng.random(smooth.shape) < 0.02, 0, np.digitize(value, [-0.5, 0.5]) + 1).astype("uint8")


def figures_of(classes):
    """As :func:`seam_figures` gives them, straight from the array."""
    counts, owners = [], []
    for turned in (classes, classes.T):
        for top in range(0, SIDE, PATCH):
            for at in range(PATCH, SIDE, PATCH):
                line = turned[top : top + PATCH]
                counts.append(border_counts(line[:, at - 32 : at], line[:, at : at + 32]))
                owners.append(f"{top}-{at}" if turned is classes else f"{at - PATCH}-{top + PATCH}")
    return seam_figures(counts, owners, seed=1)


@given(arrays("uint8", (5, 8), elements=st.integers(0, 2)), st.integers(1, 7))
def test_pairs_are_counted_one_by_one(line, at):
    expected = [0, 0, 0, 0]
    for row in line:
        for i in range(7):
            if row[i] and row[i + 1]:
                beside = 0 if i == at - 1 else 2
                expected[beside + 1] += 1
                expected[beside] += int(row[i] != row[i + 1])
    assert border_counts(line[:, :at], line[:, at:]).tolist() == expected


def test_land_without_seams_is_seldom_said_to_have_any():
    shows = [seam_section(figures_of(land(seed)))["shows"] for seed in range(40)]
    # One in forty is expected; five or more of forty come by chance once in two hundred times.
    assert sum(shows) < 5


@pytest.mark.parametrize("step", [0.25, 0.5])
def test_planted_seams_are_found_and_their_size_is_told(step):
    for seed in range(100, 106):
        plain, found = figures_of(land(seed)), figures_of(land(seed, step))
        assert seam_section(found)["shows"]
        assert seam_warnings(found)
        planted = found["across"]["share"] - plain["across"]["share"]
        # The land itself looks a little more or less varied when it is brighter.
        assert found["excess"]["value"] - plain["excess"]["value"] == pytest.approx(planted, rel=0.4)


def test_where_each_patch_is_one_class_only_borders_differ():
    rows, columns = np.indices((SIDE, SIDE)) // PATCH
    found = figures_of(((rows + columns) % 2 + 1).astype("uint8"))
    assert (found["across"]["share"], found["inside"]["share"]) == (1.0, 0.0)
    assert found["excess"]["low"] == found["excess"]["high"] == 1.0


def test_few_patches_have_no_interval_and_none_that_touch_have_nothing():
    few = seam_figures([np.array([1, 10, 2, 40])] * 3, ["a", "b", "b"], seed=1)
    assert few["excess"] == {
        "value": 0.05, "low": None, "high": None, "n_clusters": 2, "reason": "fewer than 8 patches with neighbours",
    }  # fmt: skip
    assert "no interval" in seam_section(few)["words"]
    assert not seam_warnings(few)
    alone = seam_figures([], [], seed=1)
    assert alone["excess"]["reason"] == "no two patches touch"
    assert seam_section(alone) is None
    unseen = seam_figures([np.zeros(4, "int64")], ["a"], seed=1)
    assert unseen["excess"]["reason"] == "no border has classes on both sides"


def utm(side):
    box = shapely.box(499_200, 5_098_800, 499_200 + 10 * side, 5_098_800 + 10 * side)
    from odc.geo.geom import Geometry

    area = Geometry(box.buffer(-15), "EPSG:32633").to_crs("EPSG:4326").geom
    return projected_cells(area, crs="EPSG:32633", patch_size=PATCH)


def imagery(side):
    return native_cells(SimulatedSource(size_km=side / 100, n_dates=2).geobox, patch_size=PATCH)


@pytest.mark.parametrize("grid", [utm, imagery])
@pytest.mark.parametrize("planted", [False, True])
def test_what_lies_on_disk_is_counted_as_the_whole_map_is(tmp_path, grid, planted):
    classes = land(step=0.5 if planted else 0.0)
    cells = grid(SIDE)
    left = min(cell.geobox.boundingbox.left for cell in cells)
    top = max(cell.geobox.boundingbox.top for cell in cells)
    for cell in cells:
        box = cell.geobox.boundingbox
        row, column = round((top - box.top) / 10), round((box.left - left) / 10)
        part = classes[row : row + PATCH, column : column + PATCH]
        write_raster(
            tmp_path / "predictions" / f"{cell.name}.tif", np.stack([part, part]), cell.geobox, names=("a", "b")
        )
    plan = SimpleNamespace(folder=tmp_path, project=SimpleNamespace(sampling=SimpleNamespace(seed=1)))
    record = write_seams(plan, cells)
    assert record == {"files": ["seams.json"], "info": {"borders": 2 * 6 * 5}}
    found, straight = json.loads((tmp_path / "seams.json").read_text()), figures_of(classes)
    assert {key: found[key] for key in ("across", "inside")} == {key: straight[key] for key in ("across", "inside")}
    assert found["excess"]["value"] == straight["excess"]["value"]
    page = render_report(ReportContent(title="a", accuracy=None, legend=[(1, "a", "#000000")], seams=found))
    assert ("patch borders are visible." in page) == planted
    assert ("are not visible" in page) == (not planted)
    assert ("Patch borders are visible on the map" in page) == planted
