"""CPU seconds per megapixel of each rule of `[features] series`, and beside numpy where numpy has the same.

Simulated observations: 40 dates, half of them valid, six bands and three indices; all in one process.

    python benchmarks/series_rules.py [--pixels 50000]
"""

import argparse
import datetime
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np

from landweave.features.interpolation import features, layer_values
from landweave.features.recipe import Recipe
from landweave.features.series.rules import RULES, series_of, with_windows

DATES = 40
START, END = datetime.date(2020, 1, 1), datetime.date(2020, 12, 30)


def recipe_of(*rules: object) -> Recipe:
    """Six bands and three indices by some rules."""
    return Recipe(
        bands=("B02", "B03", "B04", "B08", "B11", "B12"), indices=("ndvi", "ndwi", "norm"),
        days=tuple(range(0, 365, 16)), series=with_windows(series_of(rules), START, END),
    )  # fmt: skip


def cpu(work: Callable[[], object], rounds: int = 3) -> float:
    """The fewest CPU seconds of some rounds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def by_numpy(bands: np.ndarray, valid: np.ndarray, days: np.ndarray, recipe: Recipe) -> None:
    """Median of months, and the default metrics of the year, of layers that are there already."""
    values = np.where(valid, layer_values(bands, recipe), np.nan)
    series = recipe.series[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for first, after in series.windows:
            own = values[:, (days >= first) & (days < after)]
            if series.rule == "composite":
                np.nanmedian(own, axis=1)
                continue
            np.isfinite(own).sum(axis=1)
            np.nanmean(own, axis=1)
            np.nanstd(own, axis=1)
            np.nanpercentile(own, [10, 25, 50, 75, 90], axis=1)
            np.nanmax(own, axis=1) - np.nanmin(own, axis=1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=int, default=50_000)
    pixels = parser.parse_args().pixels
    rng = np.random.default_rng(0)
    days = np.sort(rng.choice(365, DATES, replace=False))
    bands = rng.integers(1, 9000, (6, DATES, pixels)).astype("int16")
    valid = rng.random((DATES, pixels)) < 0.5
    few = slice(0, max(1, pixels // 25))
    print("| rule | features | CPU s per Mpx | numpy, CPU s per Mpx | ratio |\n|---|---|---|---|---|")
    for rule in RULES:
        recipe = recipe_of(rule)
        features(bands[:, :, few], valid[:, few], days, recipe)
        ours = cpu(lambda recipe=recipe: features(bands, valid, days, recipe)) / pixels * 1e6
        theirs = ""
        if rule in {"composite", "metrics"}:
            part = bands[:, :, few], valid[:, few], days, recipe
            numpy_takes = cpu(lambda part=part: by_numpy(*part), 2) / valid[:, few].shape[1] * 1e6
            theirs = f"{numpy_takes:.0f} | {numpy_takes / ours:.0f}"
        print(f"| `{rule}` | {len(recipe.feature_names)} | {ours:.1f} | {theirs or ' |'} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak of the process, with observations of {pixels:,} pixels held: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
