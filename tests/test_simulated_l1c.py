"""The simulated scenes at the top of the atmosphere: one acquisition in two levels, and clouds that a real model finds."""

import hashlib
import importlib.util
import json
import tomllib
import warnings

import numpy as np
import pytest
import rasterio

from landweave.features.clouds import SNOW, mask_reasons, snow_mask
from landweave.features.s2cloudless import (
    BANDS,
    cloud_mask,
    cloud_probability,
    coarse_geobox,
    halo_metres,
    model_file,
    to_fine,
)
from landweave.patch.model import NODATA
from landweave.sources.scene_files import overview
from landweave.sources.simulated import toa
from landweave.sources.simulated.archive.archive import is_archive, write_archive
from landweave.sources.simulated.archive.products import L1C, L2A
from landweave.sources.simulated.country import make_country
from landweave.sources.simulated.cover import NUMBER
from landweave.sources.simulated.scenes import acquisition_dates, scene
from landweave.sources.simulated.view import TILE, view
from landweave.sources.simulated.weather import weather
from landweave.sources.stac.catalogues import BANDS as ALL_BANDS
from landweave.sources.stac.scenes import read_scene
from landweave.sources.stac.search import Query, find_items
from landweave.sources.stac.source import open_stac

# On one of its dates snow lies under a broken sky; the baseline changes in the middle of the year.
WORLD = {"size_km": 1.5, "dates": 6, "seed": 234}
SIX = ["B02", "B03", "B04", "B08", "B11", "B12"]
SIZES = {"B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10, "B8A": 20, "B09": 60,
         "B10": 60, "B11": 20, "B12": 20}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("l1c") / "country"
    write_archive(folder, **WORLD, l1c=True)
    return folder


@pytest.fixture(scope="module")
def land():
    return make_country(size_km=WORLD["size_km"], seed=WORLD["seed"])


@pytest.fixture(scope="module")
def model():
    """The model's file; the test skips, and says so, where the optional package is absent."""
    if importlib.util.find_spec("s2cloudless") is None:
        reason = 'the package s2cloudless is not here: pip install "landweave[clouds]"'
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return model_file()


def scenes_of(folder, collection):
    query = Query(collection=collection, bbox=None, start=None, end=None)
    return [
        read_scene(item, href=item["links"][0]["href"])
        for item in find_items(str(folder / "archive" / "catalog.json"), query)
    ]


@pytest.fixture(scope="module")
def source(folder):
    return open_stac(scenes_of(folder, "sentinel-2-l1c"), needed=ALL_BANDS)


def whole(make, land):
    """A tile's arrays over a whole country: ``make(i, j)`` gives them, (..., TILE, TILE)."""
    side = land.kind.shape[0]
    rows = [np.concatenate([make(i, j) for j in range(-(-side // TILE))], axis=-1) for i in range(-(-side // TILE))]
    return np.concatenate(rows, axis=-2)[..., :side, :side]


def opacity(land, day):
    """True opacity of clouds and cirrus, 0..1."""

    def of_tile(i, j):
        seen = view(land.size_km, land.seed, day, i, j)
        return np.maximum(seen.cloud, seen.thin)

    return whole(of_tile, land)


def snow_share(land, day):
    """True share of every pixel that is seen under snow."""
    return whole(lambda i, j: view(land.size_km, land.seed, day, i, j).snow[2:-2, 2:-2], land)


# The collection


def test_every_item_is_read_as_earth_searchs_are(folder):
    found = scenes_of(folder, "sentinel-2-l1c")
    assert {scene.catalogue for scene in found} == {"earth-search-v1"}
    assert {scene.baseline for scene in found} == {(3, 1), (5, 0)}
    for one in found:
        assert set(one.assets) == set(SIZES)
        offset = -0.1 if one.baseline >= (4, 0) else 0.0
        for band, asset in one.assets.items():
            assert (asset.scale, asset.offset, asset.nodata) == (1e-4, offset, 0.0)
            assert asset.geobox.resolution.x == SIZES[band]
    one = found[0]
    for band, asset in one.assets.items():
        with rasterio.open(asset.href) as file:
            assert file.shape == tuple(asset.geobox.shape), band
            assert file.transform == asset.geobox.transform
            assert file.crs.to_epsg() == asset.geobox.crs.epsg
            assert file.dtypes == ("uint16",)


def test_the_files_are_valid_cloud_optimised_files(folder):
    from rio_cogeo.cogeo import cog_validate

    one = next((folder / "archive" / "sentinel-2-l1c").glob("*_L1C"))
    assert len(list(one.glob("*.tif"))) == 13
    for path in one.glob("*.tif"):
        valid, errors, _ = cog_validate(str(path))
        assert valid, errors


def test_either_level_holds_the_same_acquisitions(folder):
    def facts(collection):
        return {
            (s.platform, s.tile, s.moment, s.orbit, s.strip, s.baseline, s.cloud_cover)
            for s in scenes_of(folder, collection)
        }

    assert facts("sentinel-2-l1c") == facts("sentinel-2-l2a")
    assert len(facts("sentinel-2-l1c")) == len(scenes_of(folder, "sentinel-2-l1c")) > WORLD["dates"]


def test_the_other_collection_has_the_same_bytes_with_and_without_it(tmp_path):
    small = {"size_km": 0.6, "dates": 1, "seed": 5}
    digests = []
    for name, l1c in (("with", True), ("without", False)):
        write_archive(tmp_path / name, **small, l1c=l1c)
        place = tmp_path / name / "archive" / "sentinel-2-l2a"
        files = sorted(path for path in place.rglob("*") if path.is_file())
        digests.append({str(p.relative_to(place)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    assert digests[0] == digests[1]
    assert len(digests[0]) > 20
    assert not (tmp_path / "without" / "archive" / "sentinel-2-l1c").exists()
    assert is_archive(tmp_path / "with", **small, l1c=True)
    assert is_archive(tmp_path / "without", **small)
    assert not is_archive(tmp_path / "with", **small)
    assert not is_archive(tmp_path / "without", **small, l1c=True)


def test_the_project_says_how_to_look_for_clouds_on_these_scenes(folder):
    text = (folder / "landweave.toml").read_text()
    assert tomllib.loads(text)["source"]["collection"] == "sentinel-2-l2a"
    for line in ('collection = "sentinel-2-l1c"', 'clouds = "s2cloudless"'):
        assert f"# {line}" in text
    heard = text.replace('clouds = "scl"', "").replace('\ncollection = "sentinel-2-l2a"', "")
    table = tomllib.loads(heard.replace('# collection = "', 'collection = "').replace("# clouds", "clouds"))["source"]
    assert (table["collection"], table["clouds"]) == ("sentinel-2-l1c", "s2cloudless")


# The numbers


def test_what_is_read_is_what_was_simulated_before_and_after_the_baseline_change(source, land):
    """A step in the year's reflectance would be 1000 units; the rule switched off shows it."""
    days = source.dates()
    assert min(days).month < 7 <= max(days).month
    as_told = {s.id: next(iter(s.assets.values())).offset for s in source.scenes}
    blind = source.with_offsets(dict.fromkeys(as_told, 0.0))
    worst = {"told": 0.0, "blind": 0.0}
    for day in days:
        true = toa.top_of_atmosphere(land, day)
        # The western part lies in the country's own zone, so nothing is resampled.
        west = land.geobox[:, :60]
        for name, reader in (("told", source), ("blind", blind)):
            read = reader.load(west, [day], ["B02", "B08"])
            for band in ("B02", "B08"):
                a, b = read[band].values[0].astype(int), true[band][:, :60].astype(int)
                both = (a != NODATA) & (b != NODATA)
                assert both.any()
                worst[name] = max(worst[name], abs(float((a[both] - b[both]).mean())))
    assert worst["told"] < 1e-9
    assert worst["blind"] == pytest.approx(1000)


def test_coarse_bands_are_means_of_the_fine_ones(source, land):
    day = source.dates()[0]
    true = toa.top_of_atmosphere(land, day)["B10"]
    assert (true != NODATA).all()
    grid = land.geobox[:60, :60].zoom_out(6)
    read = source.load(grid, [day], ["B10"]).B10.values[0]
    np.testing.assert_array_equal(read, np.rint(true[:60, :60].reshape(10, 6, 10, 6).mean(axis=(1, 3))))


def test_the_pixels_contradict_wrong_offsets_and_no_right_one(source):
    told = {one.id: one.assets["B02"].offset for one in source.scenes}
    found = {one.id: overview(one) for one in source.scenes}
    assert "contradicts" not in {check.verdict for check in found.values()}
    sure = {name for name, check in found.items() if check.verdict == "agrees"}
    assert len(sure) > len(told) / 2
    assert {told[name] for name in sure} == {0.0, -0.1}
    for one in source.scenes:
        check = overview(one, offset=-0.1 - told[one.id])
        # Where the whole sky is overcast, the pixels say nothing; elsewhere they name the right offset.
        assert check.verdict == "contradicts" or one.id not in sure
        assert check.better in {None, told[one.id]}


def test_nothing_is_seen_beyond_the_swath_in_either_level():
    day = next(d for d in acquisition_dates(24) if weather(42, d).swath < 1)
    country = make_country(size_km=2, seed=42)
    missing = scene(country, day)["SCL"] == 0
    assert 0 < missing.mean() < 1
    for band, values in toa.top_of_atmosphere(country, day).items():
        np.testing.assert_array_equal(values == NODATA, missing, err_msg=band)


def test_the_air_is_blue_swallows_the_cirrus_band_and_adds_nothing_to_the_shortwave():
    country, day = make_country(size_km=4, seed=42), next(d for d in acquisition_dates(100) if _is_clear_summer(d))
    above, below = toa.top_of_atmosphere(country, day), scene(country, day)
    lit = np.isin(below["SCL"], (4, 5, 6)) & (opacity(country, day) == 0)
    water = lit & (country.kind == NUMBER["lake"])

    def mean(bands, name, where):
        return bands[name][where].mean() / 1e4

    dark = [mean(above, band, water) for band in ("B01", "B02", "B03", "B04", "B12")]
    assert dark == sorted(dark, reverse=True)
    assert dark[0] > 0.07
    assert mean(above, "B02", lit) > mean(below, "B02", lit) + 0.02
    assert abs(mean(above, "B11", lit) - mean(below, "B11", lit)) < 0.02
    assert mean(above, "B10", lit) < 0.002
    assert 0.1 < mean(above, "B09", lit) / mean(above, "B8A", lit) < 0.7


def _is_clear_summer(day):
    sky = weather(42, day)
    return day.month in (6, 7) and sky.cover < 0.03 and sky.cirrus == 0


# Clouds, as the real model sees them


def found(country, day, metres=60):
    """Probability, true opacity and true snow on coarse cells, NaN where not seen."""
    bands = toa.top_of_atmosphere(country, day)
    factor = metres // 10
    side = country.kind.shape[0] // factor * factor

    def cells(values):
        return values[:side, :side].reshape(side // factor, factor, side // factor, factor).mean(axis=(1, 3))

    seen = cells(bands["B02"] == NODATA) == 0
    light = np.stack([np.where(seen, cells(bands[name].astype("float64")) / 1e4, np.nan) for name in BANDS])
    return cloud_probability(light), cells(opacity(country, day)), cells(snow_share(country, day))


@pytest.mark.parametrize("seed", [42, pytest.param(7, marks=pytest.mark.slow)])
def test_the_model_tells_clouds_from_clear_ground(model, seed):
    """Of cells under opacity above 0.3, 93 % are found; of cells that it calls cloud, 90 % are; snow is clear ground."""
    country = make_country(size_km=4, seed=seed)
    hits = misses = false = alarms = clear = 0
    for day in acquisition_dates(24, seed=seed)[::3]:
        if weather(seed, day).cirrus > 0:
            continue
        probability, cloud, _ = found(country, day)
        seen = np.isfinite(probability)
        called, true = probability[seen] > 0.4, cloud[seen] > 0.3
        hits += (called & true).sum()
        misses += (~called & true).sum()
        false += (called & ~true).sum()
        alarms += (called & (cloud[seen] < 0.05)).sum()
        clear += (cloud[seen] < 0.05).sum()
    assert hits + misses > 1000
    assert clear > 10_000
    assert hits / (hits + misses) >= 0.93
    assert hits / (hits + false) >= 0.90
    assert alarms / clear <= 0.01


def test_cirrus_is_seen_although_the_scene_classes_miss_some_of_it(model):
    country = make_country(size_km=4, seed=42)
    day = next(d for d in acquisition_dates(24) if weather(42, d).cirrus > 0.1 and weather(42, d).cover < 0.1)
    probability, cloud, _ = found(country, day)
    veiled = np.isfinite(probability) & (cloud > 0.12)
    assert veiled.sum() > 200
    assert (probability[veiled] > 0.4).mean() > 0.9


def test_clear_snow_is_not_bright_in_the_cirrus_band():
    country, brightest = make_country(size_km=4, seed=42), 0.0
    for day in [d for d in acquisition_dates(24) if weather(42, d).snow_line < 1200]:
        clear = (snow_share(country, day) > 0.6) & (opacity(country, day) == 0)
        bands = toa.top_of_atmosphere(country, day)
        clear &= bands["B10"] != NODATA
        if clear.any():
            brightest = max(brightest, np.quantile(bands["B10"][clear], 0.99) / 1e4)
    assert 0.0005 < brightest < 0.01


@pytest.mark.parametrize("from_level", ["sentinel-2-l1c", "sentinel-2-l2a"])
def test_clear_snow_is_kept_where_the_model_looks_for_clouds(model, folder, source, land, from_level):
    """Through the functions that a run calls, one after the other; the bands may come from either level."""
    other = source if from_level == "sentinel-2-l1c" else open_stac(scenes_of(folder, from_level), needed=SIX)
    days = [d for d in source.dates() if weather(land.seed, d).snow_line < 500]
    assert days
    geobox = land.geobox
    coarse = coarse_geobox(geobox, 60, halo_metres())
    kept = marked = total = veiled = lost = 0
    for day in days:
        light = source.resampled("average").load(coarse, [day], BANDS)
        probability = cloud_probability(np.stack([light[band].values for band in BANDS]))
        mask = to_fine(cloud_mask(probability, pixel_metres=60), coarse, geobox)
        patch = other.load(geobox, [day], SIX)
        patch["CLM"] = (("time", "y", "x"), mask.astype("uint8"))
        patch["B10"] = (("time", "y", "x"), to_fine(light["B10"].values, coarse, geobox))
        cloud, snow = opacity(land, day), snow_share(land, day) > 0.6
        clear = snow & (cloud < 0.02) & (patch["B02"].values[0] != NODATA)
        kept += (mask_reasons(patch, bands=SIX, clouds="s2cloudless")[0][clear] == 0).sum()
        marked += (mask_reasons(patch, bands=SIX, clouds="s2cloudless", snow="mask")[0][clear] == SNOW).sum()
        total += clear.sum()
        thick = cloud > 0.6
        veiled += thick.sum()
        lost += (mask_reasons(patch, bands=SIX, clouds="s2cloudless")[0][thick] == 0).sum()
        assert (snow_mask(patch)[0] & clear).any()
    assert total > 5000
    assert kept / total >= 0.9
    assert marked / total >= 0.9
    # Nor are clouds over snow taken for snow.
    assert veiled > 2000
    assert lost / veiled < 0.1


def test_the_levels_are_told_apart_by_their_names(folder):
    for level in (L1C, L2A):
        text = json.loads((folder / "archive" / level.collection / "collection.json").read_text())
        assert text["id"] == level.collection
        items = [link["href"] for link in text["links"] if link["rel"] == "item"]
        assert items
        assert all(href.endswith(f"_{level.name}.json") for href in items)
