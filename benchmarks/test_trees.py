"""Trees of a land cover model, against LightGBM's own prediction on the same values.

As a program it prints the table: ``python benchmarks/test_trees.py [pixels]``.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from landweave.classifier.estimators import as_floats
from landweave.classifier.fit import fit
from landweave.tree_models.shallow import ShallowForest, probabilities, shallow_forest
from landweave.tree_models.text import read_forest

pytest.importorskip("pytest_benchmark", reason='needs pytest-benchmark: pip install "landweave[bench]"')

CLASSES, DAYS, LAYERS = 9, np.arange(0, 365, 15), 9
ROWS = 40_000
"""The model is trained on so many pixels, with LightGBM's defaults: 100 iterations of 9 trees of 31 leaves."""

PART = 50_000
"""Pixels that both sides take in turn."""


def season(pixels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """int16 (pixels, 225) and uint8 (pixels,): a year of nine layers of nine classes, days side by side.

    A class has a level, a peak, its day and its width in each layer; pixels differ in brightness, in the season's
    start and by noise, have no observation before their first and after their last, and one in eight looks as another
    class does.
    """
    same = np.random.default_rng(7)
    level = same.uniform(300, 1800, (CLASSES, LAYERS))
    peak = same.uniform(-400, 2400, (CLASSES, LAYERS))
    middle, width = same.uniform(130, 230, CLASSES), same.uniform(30, 75, CLASSES)
    rng = np.random.default_rng(seed)
    y = rng.choice(CLASSES, pixels, p=np.linspace(2, 0.4, CLASSES) / np.linspace(2, 0.4, CLASSES).sum())
    shown = np.where(rng.random(pixels) < 1 / 8, rng.integers(0, CLASSES, pixels), y)
    shift = rng.normal(0, 14, pixels)
    curve = np.exp(-(((DAYS - (middle[shown] + shift)[:, None]) / width[shown][:, None]) ** 2))
    values = level[shown][:, None] + peak[shown][:, None] * curve[:, :, None]
    values *= rng.normal(1, 0.12, (pixels, 1, 1))
    values += rng.normal(0, 1, values.shape) * (40 + 0.04 * np.abs(values))
    out = np.clip(np.rint(values), -32767, 32767).astype("int16")
    first, last = rng.integers(0, 3, pixels), DAYS.size - rng.integers(0, 3, pixels)
    number = np.arange(DAYS.size)
    out[(number < first[:, None]) | (number >= last[:, None])] = -32768
    return out.reshape(pixels, -1), (y + 1).astype("uint8")


@cache
def model_text() -> str:
    """LightGBM's text of a model trained on :func:`season`."""
    X, y = season(ROWS, seed=42)
    return fit(X, y, feature_names=[f"f{i}" for i in range(X.shape[1])]).text  # type: ignore[attr-defined, no-any-return]


@cache
def forest() -> ShallowForest:
    """The same model for the kernel."""
    return shallow_forest(read_forest(model_text()))


def booster() -> Any:
    """The same model for LightGBM."""
    from lightgbm import Booster

    return Booster(model_str=model_text())


def parts(pixels: int) -> Iterator[np.ndarray]:
    """So many pixels that the model has not seen, int16."""
    for number, start in enumerate(range(0, pixels, PART)):
        yield season(min(PART, pixels - start), seed=1000 + number)[0]


def seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    """What ``work`` answers, and the CPU seconds that it took."""
    start = time.process_time()
    answer = work()
    return answer, time.process_time() - start


def compare(pixels: int) -> dict[str, float]:
    """Both sides in turn on the same pixels, one thread each: CPU seconds, ratio, differences."""
    ours, theirs = forest(), booster()
    took = np.zeros(3)
    differing, largest = 0, 0.0
    # Neither side's first call counts.
    few = season(10, seed=0)[0]
    theirs.predict(as_floats(few), num_threads=1)
    for same in (few, as_floats(few)):
        probabilities(ours, same)
    for X in parts(pixels):
        reals = as_floats(X)
        (label, p), of_whole = seconds(lambda X=X: _labelled(probabilities(ours, X)))
        _, of_real = seconds(lambda reals=reals: _labelled(probabilities(ours, reals)))
        (expected, q), of_lightgbm = seconds(lambda reals=reals: _labelled(theirs.predict(reals, num_threads=1)))
        took += of_whole, of_real, of_lightgbm
        differing += int((label != expected).sum())
        largest = max(largest, float(np.abs(p - q).max()))
    return {
        "pixels": pixels, "trees": float(ours.leaf_value.shape[0]), "features": float(ours.n_features),
        "LightGBM, CPU s/Mpx": took[2] / pixels * 1e6, "int16, CPU s/Mpx": took[0] / pixels * 1e6,
        "float32, CPU s/Mpx": took[1] / pixels * 1e6, "ratio, int16": took[2] / took[0],
        "ratio, float32": took[2] / took[1], "labels differing": differing,
        "largest difference of a probability": largest,
    }  # fmt: skip


def _labelled(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return p.argmax(axis=1), p


@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_probabilities(benchmark: Any, kind: str) -> None:
    X = season(PART, seed=1000)[0]
    X = as_floats(X) if kind == "float32" else X
    probabilities(forest(), X[:1])
    benchmark.pedantic(probabilities, (forest(), X), rounds=5)


def test_probabilities_by_lightgbm(benchmark: Any) -> None:
    X, theirs = as_floats(season(PART // 10, seed=1000)[0]), booster()
    benchmark.pedantic(theirs.predict, (X,), {"num_threads": 1}, rounds=3)


def test_labels_are_lightgbms_at_twenty_times_its_speed() -> None:
    found = compare(4 * PART)
    assert found["labels differing"] == 0
    assert found["largest difference of a probability"] <= 1e-6
    assert found["ratio, int16"] >= 20


if __name__ == "__main__":
    for name, value in compare(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000).items():
        print(f"{name:<36} {value:12.6g}")
