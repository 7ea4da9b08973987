"""Two of our own paths against each other, so that neither machine nor load matters: what is quick stays quick.

Ratios of CPU seconds, each the best of three turns; the bounds are far below what is usual, which stands beside them.
"""

import time

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from landweave.features.interpolation import features, features_reference
from landweave.features.recipe import Recipe
from landweave.patch.stack import strip_reader
from landweave.patch.staging import assemble, stage
from landweave.patch.store import read_patch

RECIPE = Recipe(
    bands=("B02", "B03", "B04", "B08", "B11", "B12"), indices=("ndvi", "ndwi", "ndbi"), days=tuple(range(0, 364, 15))
)


def ratio(slow, quick, turns=3):
    """How many times the CPU seconds of ``quick`` does ``slow`` take?"""
    spent = {slow: [], quick: []}
    for _ in range(turns):
        for work, seconds in spent.items():
            began = time.process_time()
            work()
            seconds.append(time.process_time() - began)
    return min(spent[slow]) / min(spent[quick])


def test_the_compiled_features_are_at_least_eight_times_as_quick_as_the_plain_ones():
    dice = np.random.default_rng(3)
    days = np.sort(dice.choice(365, 40, replace=False))
    bands = dice.integers(100, 6000, (6, 40, 5000)).astype("int16")
    valid = dice.random((40, 5000)) < 0.9
    plain = features_reference(bands, valid, days, RECIPE)
    np.testing.assert_array_equal(features(bands, valid, days, RECIPE), plain)
    found = ratio(
        lambda: features_reference(bands, valid, days, RECIPE), lambda: features(bands, valid, days, RECIPE)
    )  # fmt: skip
    assert found > 8, f"{found:.1f}"  # usual: 20 and more


@pytest.fixture
def stack(tmp_path):
    """A stored patch of 20 dates, 256 rows and 512 columns."""
    dice = np.random.default_rng(4)
    geobox = GeoBox((256, 512), Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_100_000.0), "EPSG:32633")
    days = np.datetime64("2020-01-01") + np.arange(20)
    parts = [
        [stage(tmp_path / "parts", f"d{day}", {"B04": dice.integers(0, 4000, (256, 512)).astype("int16")})]
        for day in range(20)
    ]
    return assemble(tmp_path / "p.zarr", parts, times=days, variables={"B04": "int16"}, geobox=geobox, notes={})


def test_strips_are_read_in_less_time_than_by_zarr(stack):
    patch = read_patch(stack)

    def by_zarr():
        return [patch["B04"].isel(y=slice(top, top + 64)).load() for top in range(0, 256, 64)]

    def by_strips():
        read = strip_reader(stack, bands=["B04"])
        return [read(slice(top, top + 64)).bands for top in range(0, 256, 64)]

    np.testing.assert_array_equal(by_strips()[3][0], by_zarr()[3].values)
    found = ratio(by_zarr, by_strips)
    assert found > 1.5, f"{found:.1f}"  # usual: 3 and more
