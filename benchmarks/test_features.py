"""Indices and interpolation, timed: `python -m pytest benchmarks/test_features.py`.

A patch of 60 000 pixels, forty dates and 225 features; the plain form, on fewer pixels, stands beside the compiled one.
"""

import numpy as np
import pytest

from landweave.features.interpolation import features, features_reference
from landweave.features.recipe import Recipe

pytest.importorskip("pytest_benchmark", reason='needs pytest-benchmark: pip install "landweave[bench]"')

PIXELS, DATES = 60_000, 40
NOTEBOOK = Recipe(
    bands=("B02", "B03", "B04", "B08", "B11", "B12"), indices=("ndvi", "ndwi", "ndbi"), days=tuple(range(0, 364, 15))
)
CUSTOM = Recipe(
    bands=NOTEBOOK.bands, indices=("ndvi", "evi"), days=NOTEBOOK.days, scales={"evi": (1e-4, 0.0)}
)  # fmt: skip


def season(pixels, *, cloudy=0.1):
    """Bands int16 (6, t, p), valid bool (t, p) in runs as clouds are, days."""
    dice = np.random.default_rng(7)
    days = np.sort(dice.choice(np.arange(365), DATES, replace=False))
    bands = dice.integers(200, 6000, (6, DATES, pixels)).astype("int16")
    edges = dice.integers(0, pixels, (DATES, 2))
    place = np.arange(pixels)
    valid = ~((place >= edges[:, :1]) & (place < edges[:, :1] + cloudy * pixels))
    return bands, valid, days


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_features_of_a_notebook(benchmark, dtype):
    given = season(PIXELS)
    out = benchmark(features, *given, NOTEBOOK, dtype=dtype)
    assert out.shape == (PIXELS, 225)


def test_features_with_arithmetic_of_the_users(benchmark):
    given = season(PIXELS)
    out = benchmark(features, *given, CUSTOM)
    assert out.shape == (PIXELS, 200)


def test_features_of_a_patch_that_is_mostly_cloud(benchmark):
    given = season(PIXELS, cloudy=0.8)
    out = benchmark(features, *given, NOTEBOOK)
    assert (out == -32768).any()


def test_features_in_plain_numpy_on_a_tenth_of_the_pixels(benchmark):
    given = season(PIXELS // 10)
    out = benchmark(features_reference, *given, NOTEBOOK)
    np.testing.assert_array_equal(out, features(*given, NOTEBOOK))
