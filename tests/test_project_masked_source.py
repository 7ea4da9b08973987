"""What is observed of a patch: masks that know the ground around it, what is kept of it, and what is let go."""

import importlib.util
import shutil
import warnings

import numpy as np
import pytest
import rasterio
from archives import edit, small_country, without_output
from scipy.ndimage import distance_transform_edt

from landweave.engine.fingerprint import fingerprint_of
from landweave.errors import InputError
from landweave.patch.align import nearest_pixels
from landweave.patch.store import read_patch
from landweave.runs.fetch.strips import reasons_of
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.stages import STAGES
from landweave.runs.pipeline.state import Options
from landweave.runs.pipeline.status import status_lines
from landweave.runs.project.masked_source import CLOUD_MASK
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.runs.results.record import read_record
from landweave.sources.simulated.country import make_country
from landweave.sources.simulated.view import view
from landweave.sources.simulated.weather import weather
from landweave.sources.stac.source import StacSource

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
    whole = plan.source.load(geobox, plan.dates, plan.variables)
    # The answer, from a far larger piece of ground.
    scene = plan.source.load(geobox.pad(20), plan.dates, ["SCL"])["SCL"].values
    for number, classes in enumerate(scene):
        cloudy = np.isin(classes, (1, 3, 8, 9, 10))
        reached = distance_transform_edt(~cloudy) <= 4 if cloudy.any() else cloudy
        assert ((whole[CLOUD_MASK].values[number] > 0) == reached[20:-20, 20:-20]).all()
    assert (whole[CLOUD_MASK].values > 0).any(axis=(1, 2)).sum() > 1
    half = geobox.shape[0] // 2
    parts = [
        plan.source.load(geobox[rows, :], plan.dates, plan.variables) for rows in (slice(0, half), slice(half, None))
    ]
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


@pytest.mark.slow
def test_another_threshold_of_the_cloud_mask_remakes_all_that_follows_it_and_nothing_before(finished, tmp_path, loads):
    """By the ledger: what is stale and why, before; what was made, after. ``cloud`` is the archive's cloud probability."""
    folder = tmp_path / "threshold"
    shutil.copytree(finished, folder)
    edit(folder, 'clouds = "scl"', 'clouds = "mask"\nmask = "cloud"\nmask_above = 40\ndilation = 20')
    assert run(read_project(folder)).status == 0
    before, kept = made(folder), folder / "out" / "patches"
    bands = {path.name: read_patch(path)["B04"].load() for path in sorted(kept.glob("*.zarr"))}
    first = {path.name: read_patch(path)[CLOUD_MASK].values > 0 for path in sorted(kept.glob("*.zarr"))}
    edit(folder, "mask_above = 40", "mask_above = 8")
    loads.clear()
    told = list(status_lines(read_project(folder)))
    assert "grid       done" in told
    assert f"label      {len(bands)} of {len(bands)} patches done" in told
    assert f"fetch      0 of {len(bands)} patches done" in told
    assert sum("source changed" in line for line in told) == len(bands)
    result = run(read_project(folder))
    assert result.status == 0
    assert set(result.made) == {stage.name for stage in STAGES} - {"grid", "label"}
    # Predictions, and the list of label errors that is made of them.
    assert (result.made["fetch"], result.made["predict"]) == (len(bands), len(bands) + 1)
    assert set().union(*loads) == {"cloud", "SCL"}, "of the archive masks are read, and no band"
    for name, pixels in bands.items():
        patch = read_patch(kept / name)
        assert patch["B04"].equals(pixels)
        now = patch[CLOUD_MASK].values > 0
        assert (now | ~first[name]).all(), "a lower threshold lets no cloud go"
    assert sum((read_patch(kept / name)[CLOUD_MASK].values > 0).sum() for name in bands) > sum(
        mask.sum() for mask in first.values()
    )
    after = made(folder)
    assert all(after[name] != before[name] for name in MADE)
    assert not run(read_project(folder)).made


def test_a_date_that_is_clear_within_the_area_is_read_however_little_of_the_patch_lies_there(finished, tmp_path):
    folder = tmp_path / "border"
    shutil.copytree(finished, folder)
    edit(folder, "step_days = 60", "step_days = 60\nmin_valid_fraction = 0.5")
    before = read_record(folder / "out" / "run.json")["patches"]
    assert run(read_project(folder), workers=1, options=Options(until="fetch")).status == 0
    after = read_record(folder / "out" / "run.json")["patches"]
    _, cells = make_plan(read_project(folder))
    qualified = 0
    for cell in cells:
        inside = cell.inside()
        for share, read in zip(before[cell.name]["valid_fraction"], after[cell.name]["valid_fraction"], strict=True):
            assert read == (share if share >= 0.5 else 0.0)
            qualified += share >= 0.5 and inside is not None and inside.mean() < 0.5
    assert qualified > 3


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


@pytest.fixture(scope="module")
def detecting(tmp_path_factory):
    """A project on L1C scenes that looks for clouds itself, fetched; skips, and says so, where the model is absent."""
    if importlib.util.find_spec("s2cloudless") is None:
        reason = 'the package s2cloudless is not here: pip install "landweave[clouds]"'
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    folder = small_country(tmp_path_factory.mktemp("l1c") / "country", size_km=1.2, dates=5, seed=14, l1c=True)
    edit(folder, 'collection = "sentinel-2-l2a"', 'collection = "sentinel-2-l1c"')
    edit(folder, 'clouds = "scl"', 'clouds = "s2cloudless"\ndilation = 20')
    assert run(read_project(folder), options=Options(until="fetch")).status == 0
    return folder


@pytest.mark.slow
def test_clouds_that_are_looked_for_are_where_the_simulated_clouds_are(detecting):
    plan, cells = make_plan(read_project(detecting))
    land = make_country(size_km=1.2, seed=14)
    found, true = [], []
    for cell in (cell for cell in cells if cell.geobox.crs.epsg == 32633):
        patch = read_patch(detecting / "out" / "patches" / f"{cell.name}.zarr").load()
        rows, columns, inside = nearest_pixels(land.geobox, cell.geobox)
        for number, day in enumerate(plan.dates):
            here = inside & (patch["B04"].values[number] != -32768)
            opacity = view(1.2, 14, day, 0, 0).cloud[rows[here], columns[here]]
            # Between a clear sky and a thick cloud either answer will do; so it will near a cloud, by design.
            found.append(patch["cloud_mask"].values[number][here])
            true.append(opacity)
    found, true = np.concatenate(found) > 0, np.concatenate(true)
    assert (true > 0.5).sum() > 1000
    assert found[true > 0.5].mean() > 0.95
    clear_dates = [day for day in plan.dates if weather(14, day).cover < 0.04 and not weather(14, day).cirrus]
    assert clear_dates
    for day in clear_dates:
        number = plan.dates.index(day)
        shares = [
            (read_patch(detecting / "out" / "patches" / f"{cell.name}.zarr")["cloud_mask"].values[number] > 0).mean()
            for cell in cells
        ]
        assert np.mean(shares) < 0.2


@pytest.mark.slow
def test_the_mask_of_a_patch_is_that_of_its_strips_and_of_its_neighbours(detecting):
    plan, cells = make_plan(read_project(detecting))
    cell = next(cell for cell in cells if (read_patch(_zarr(detecting, cell))["cloud_mask"].values > 0).any())
    kept = read_patch(_zarr(detecting, cell)).load()
    day = plan.dates[int(np.argmax((kept["cloud_mask"].values > 0).mean(axis=(1, 2))))]
    wide = plan.source.load(cell.geobox.pad(7), [day], plan.made_variables)
    strip = plan.source.load(cell.geobox[10:20, :], [day], plan.made_variables)
    number = plan.dates.index(day)
    for name in plan.made_variables:
        assert (wide[name].values[0, 7:-7, 7:-7] == kept[name].values[number]).all()
        assert (strip[name].values[0] == kept[name].values[number, 10:20]).all()


@pytest.mark.slow
def test_what_is_kept_of_the_ten_bands_is_the_mask_alone(detecting):
    _, cells = make_plan(read_project(detecting))
    names = set(map(str, read_patch(_zarr(detecting, cells[0])).data_vars))
    assert names == {"B02", "B03", "B04", "B08", "B11", "B12", "cloud_mask", "cloud_probability"}


def test_scenes_without_the_cirrus_band_are_refused_by_check(finished, tmp_path):
    folder = without_output(finished, tmp_path / "l2a")
    edit(folder, 'clouds = "scl"', 'clouds = "s2cloudless"')
    with pytest.raises(InputError, match=r"no scene has B01, .*B10") as error:
        check_project(read_project(folder))
    assert "\n" not in str(error.value)


def _zarr(folder, cell):
    return folder / "out" / "patches" / f"{cell.name}.zarr"
