"""What is observed of a patch: masks that know the ground around it, what is kept of it, and what is let go."""

import shutil

import numpy as np
import pytest
import rasterio
from archives import edit, without_output
from scipy.ndimage import distance_transform_edt

from landweave.patch.store import read_patch
from landweave.runs.driver import run
from landweave.runs.ledger import fingerprint_of
from landweave.runs.observing import observe, reasons_of
from landweave.runs.opening import CLOUD_MASK, make_plan
from landweave.runs.project import read_project
from landweave.runs.state import Options
from landweave.sources.stac import StacSource

MADE = ("map.tif", "accuracy.json", "samples.parquet", "model")


def made(folder):
    return {name: fingerprint_of(folder / "out" / name) for name in MADE}


@pytest.fixture
def loads(monkeypatch):
    """Variables of every reading of the archive."""
    asked = []
    load = StacSource.load

    def note(self, geobox, dates, variables, **options):
        asked.append(tuple(variables))
        return load(self, geobox, dates, variables, **options)

    monkeypatch.setattr(StacSource, "load", note)
    return asked


def test_a_widened_mask_knows_the_ground_beyond_the_patch(finished, tmp_path):
    folder = without_output(finished, tmp_path / "wide")
    edit(folder, 'clouds = "scl"', 'clouds = "scl"\ndilation = 40')
    plan, cells = make_plan(read_project(folder))
    geobox = cells[len(cells) // 2].geobox
    whole = observe(plan, geobox, plan.dates, plan.variables)
    # The answer, from a far larger piece of ground.
    scene = plan.source.load(geobox.pad(20), plan.dates, ["SCL"])["SCL"].values
    for number, classes in enumerate(scene):
        cloudy = np.isin(classes, (1, 3, 8, 9, 10))
        reached = distance_transform_edt(~cloudy) <= 4 if cloudy.any() else cloudy
        assert ((whole[CLOUD_MASK].values[number] > 0) == reached[20:-20, 20:-20]).all()
    assert (whole[CLOUD_MASK].values > 0).any(axis=(1, 2)).sum() > 1
    half = geobox.shape[0] // 2
    parts = [observe(plan, geobox[rows, :], plan.dates, plan.variables) for rows in (slice(0, half), slice(half, None))]
    for name in plan.variables:
        assert (np.concatenate([part[name].values for part in parts], axis=1) == whole[name].values).all()


def test_another_dilation_reads_masks_again_and_no_band(finished, tmp_path, loads):
    folder = tmp_path / "again"
    shutil.copytree(finished, folder)
    edit(folder, 'clouds = "scl"', 'clouds = "scl"\ndilation = 20')
    result = run(read_project(folder), options=Options(until="fetch"))
    assert result.status == 0
    assert result.made["fetch"] > 1
    assert set(loads) == {("SCL",)}
    loads.clear()
    edit(folder, "dilation = 20", "dilation = 20\nscl_masked = [0, 1, 3, 8, 9]")
    assert run(read_project(folder), options=Options(until="fetch")).made["fetch"] > 1
    assert set(loads) == {("SCL",)}


def test_imagery_that_is_not_kept_goes_and_comes_again_when_it_is_needed(finished, tmp_path):
    folder = without_output(finished, tmp_path / "lean")
    edit(folder, 'clouds = "scl"', 'clouds = "scl"\nkeep = false')
    assert run(read_project(folder)).status == 0
    assert made(folder) == made(finished)
    patches = folder / "out" / "patches"
    assert not list(patches.glob("*.zarr"))
    assert list(patches.glob("*_quicklooks/*.tif"))
    assert not run(read_project(folder)).made
    edit(folder, "n_estimators = 5", "n_estimators = 6")
    again = run(read_project(folder))
    assert again.status == 0
    assert "fetch" not in again.made
    assert again.made["predict"] > 1
    assert not list(patches.glob("*.zarr"))
    fresh = tmp_path / "kept"
    shutil.copytree(finished, fresh)
    edit(fresh, "n_estimators = 5", "n_estimators = 6")
    assert run(read_project(fresh)).status == 0
    assert made(folder) == made(fresh)
    # Kept from now on or no longer: no pixel changes, so nothing but the imagery comes or goes.
    edit(fresh, 'clouds = "scl"', 'clouds = "scl"\nkeep = false')
    assert not {"sample", "train", "predict"} & set(run(read_project(fresh)).made)
    assert not list((fresh / "out" / "patches").glob("*.zarr"))


def test_what_was_seen_of_a_patch_is_kept_pixel_by_pixel(finished):
    plan, cells = make_plan(read_project(finished))
    for cell in cells[:3]:
        patch = read_patch(finished / "out" / "patches" / f"{cell.name}.zarr").load()
        reasons = reasons_of(plan, patch)
        with rasterio.open(finished / "out" / "observations" / f"{cell.name}.tif") as file:
            counts, sky = file.read()
        assert (counts == (reasons == 0).sum(axis=0)).all()
        seen = (reasons != 1).sum(axis=0)
        share = 10_000 * (reasons == 2).sum(axis=0) / np.maximum(seen, 1)
        assert (np.abs(sky - share)[seen > 0] <= 0.51).all()
        assert (sky[seen == 0] == 65_535).all()


def test_the_report_shows_what_the_satellite_saw(finished):
    html = (finished / "out" / "report.html").read_text()
    for words in ("What the satellite saw", "Valid observations", "Mean cloud probability", "Mean NDVI of each date"):
        assert words in html
