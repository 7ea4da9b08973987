"""How fast cloud probabilities are, against s2cloudless and against a plain walk down the same trees; CPU seconds."""

import importlib.util
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from landweave.features.s2cloudless import BANDS, THRESHOLD, cloud_probability, model_file
from landweave.tree_models import deep_kernels
from landweave.tree_models.deep import deep_forest, raw_scores
from landweave.tree_models.text import read_forest

pytest.importorskip("pytest_benchmark", reason="timings need pytest-benchmark")
if importlib.util.find_spec("s2cloudless") is None:
    pytest.skip('the package s2cloudless is not here: pip install "landweave[clouds]"', allow_module_level=True)

SIDE = 300
IMAGES = ("smooth", "noisy", "real")


@pytest.fixture(scope="module", params=IMAGES)
def image(request):
    """int16 (10, y, x) in 1e-4 reflectance."""
    return real() if request.param == "real" else mixed(noise={"smooth": 0.0, "noisy": 0.02}[request.param])


def mixed(*, noise, side=SIDE):
    """Six spectra of land and six of cloud, mixed by smooth fields; noise is a standard deviation of reflectance."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(5)
    land, cloud = rng.uniform(0.03, 0.35, (6, len(BANDS))), rng.uniform(0.3, 0.8, (6, len(BANDS)))
    cirrus = BANDS.index("B10")
    land[:, cirrus], cloud[:, cirrus] = rng.uniform(0.0005, 0.004, 6), rng.uniform(0.005, 0.05, 6)
    fields = np.array([gaussian_filter(rng.normal(size=(side, side)), 12) for _ in range(12)])
    weights = np.exp(3 * fields / fields.std(axis=(1, 2), keepdims=True))
    pixels = np.einsum("kb,kyx->byx", np.concatenate([land, cloud]), weights / weights.sum(axis=0))
    return np.rint(1e4 * (pixels + noise * rng.normal(size=pixels.shape))).astype("int16")


def real():
    folder = Path(os.environ.get("LANDWEAVE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    file = folder / "eolearn_slovenia_patch" / "bands_l1c_5dates.npz"
    if not file.is_file():
        pytest.skip(f"no real data at {folder}: set LANDWEAVE_DATA to the folder that holds it")
    with np.load(file) as held:
        places = [list(held["names"]).index(name) for name in BANDS]
        bands = np.moveaxis(held["bands"][..., places], -1, 0)
    return np.rint(1e4 * bands).astype("int16").reshape(len(BANDS), -1, bands.shape[-1])


def detector():
    """What s2cloudless does with an image (10, y, x), one thread; without its own dependencies, the call in it."""
    try:
        from s2cloudless import S2PixelCloudDetector
    except ImportError:
        from lightgbm import Booster

        booster = Booster(model_file=model_file())
        return lambda pixels: booster.predict(pixels.reshape(-1, len(BANDS)), num_threads=1).reshape(pixels.shape[:2])
    found = S2PixelCloudDetector()
    return lambda pixels: found.get_cloud_probability_maps(pixels[None], num_threads=1)[0]


def cpu_seconds(work):
    begun = time.process_time()
    work()
    return time.process_time() - begun


def ratio(slow, fast, *, turns):
    """Median of CPU seconds taken in turn."""
    pairs = [(cpu_seconds(slow), cpu_seconds(fast)) for _ in range(turns)]
    return statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_cloud_probability_takes_less_than_a_third_of_the_time_of_s2cloudless(benchmark, image, kind):
    theirs = detector()
    pixels = np.ascontiguousarray(np.moveaxis(image / 1e4, 0, -1), None if kind == "int16" else kind)
    bands = image if kind == "int16" else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    expected, found = theirs(pixels), cloud_probability(bands)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found > THRESHOLD, np.asarray(expected, "float32") > THRESHOLD)
    benchmark.pedantic(cloud_probability, (bands,), rounds=5)
    benchmark.extra_info["ratio"] = round(ratio(lambda: theirs(pixels), lambda: cloud_probability(bands), turns=3), 1)
    benchmark.extra_info["pixels"] = expected.size
    assert benchmark.extra_info["ratio"] >= 3


def one_by_one(ranks, node_start, records, leaf_start, leaf_value, scores):
    """The plain walk: ranks (columns, pixels), one pixel and one tree at a time."""
    for pixel in range(ranks.shape[1]):
        for tree in range(node_start.size - 1):
            first, nodes = np.int64(node_start[tree]), np.int64(node_start[tree + 1] - node_start[tree])
            node = 0
            while node < nodes:
                record = np.int64(records[first + node])
                node = record >> (32 if ranks[(record >> 8) & 0xFFFFFF, pixel] <= (record & 0xFF) else 48) & 0xFFFF
            scores[pixel] += leaf_value[np.int64(leaf_start[tree]) + node - nodes]


def test_blocks_are_five_times_as_fast_as_one_pixel_after_another():
    import numba

    forest = deep_forest(read_forest(model_file().read_text()), unit=1e4)
    pixels = mixed(noise=0.02, side=120).reshape(10, -1)
    ranks = np.array([codes[row.view("uint16")] for codes, row in zip(forest.codes, pixels, strict=True)])
    trees = (forest.node_start, forest.records, forest.leaf_start, forest.leaf_value)
    walk = numba.njit(one_by_one)

    def plain():
        scores = np.zeros(pixels.shape[1])
        walk(ranks, *trees, scores)
        return scores

    np.testing.assert_array_equal(plain(), raw_scores(forest, pixels.T)[:, 0])
    assert ratio(plain, lambda: raw_scores(forest, pixels.T), turns=3) >= 5


def test_sorting_pays_where_neighbours_differ(monkeypatch):
    forest = deep_forest(read_forest(model_file().read_text()), unit=1e4)
    pixels = mixed(noise=0.02).reshape(10, -1)
    run = deep_kernels.run

    def as_they_come(kernel, *arguments) -> None:
        if kernel is deep_kernels.sort_alike:
            arguments[-1][1] = np.arange(arguments[-1].shape[1])
        else:
            run(kernel, *arguments)

    def unsorted():
        with monkeypatch.context() as patch:
            patch.setattr(deep_kernels, "run", as_they_come)
            return raw_scores(forest, pixels.T)

    np.testing.assert_array_equal(unsorted(), raw_scores(forest, pixels.T))
    assert ratio(unsorted, lambda: raw_scores(forest, pixels.T), turns=3) >= 1.2
