"""A patch to measure on: a year of one piece of ground, made of smooth fields, a growing season, clouds and noise.

    python benchmarks/patch.py FOLDER --size 500 --seed 42

The folder then holds ``bands.npy`` uint16 (date, y, x, band) in 1e-4 reflectance, ``valid.npy`` uint8 (date, y, x),
``lulc.npy`` uint8 (y, x) with classes from 1 and 0 for none, and ``meta.json`` with bands, times and place.
"""

import argparse
import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
CLOUD_BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""The bands that s2cloudless asks for."""

CLASSES = 9
YEAR = 2019
_INFRARED = {"B05", "B08", "B8A", "B09"}


@dataclass(frozen=True, kw_only=True)
class Covers:
    """How classes look, by class value (row 0 is not used) and band: the same for every patch."""

    level: np.ndarray
    """Reflectance out of season, 1e-4."""
    swing: np.ndarray
    """What the season adds at its height; leaves darken the visible."""
    height: np.ndarray
    """Day of the season's height."""
    length: np.ndarray
    """Days from there until little is left."""


def covers(bands: Sequence[str]) -> Covers:
    """The classes' looks in some bands."""
    dice = np.random.default_rng([1972, len(bands)])
    shape = (CLASSES + 1, len(bands))
    infrared = np.array([band in _INFRARED for band in bands])
    level = dice.uniform(300, 1800, shape) + infrared * dice.uniform(500, 1800, shape)
    swing = np.where(infrared, dice.uniform(300, 2400, shape), dice.uniform(-450, 250, shape))
    return Covers(
        level=level.astype("float32"),
        swing=swing.astype("float32"),
        height=dice.uniform(130, 230, CLASSES + 1).astype("float32"),
        length=dice.uniform(30, 75, CLASSES + 1).astype("float32"),
    )


def rolling(dice: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Smooth ground, float32 (size, size): mean 0, deviation 1, hills ``scale`` pixels wide."""
    coarse = max(1, int(scale) // 4)
    side = -(-size // coarse) + 2
    hills = gaussian_filter(dice.standard_normal((side, side), dtype="float32"), scale / coarse)
    fine = zoom(hills, coarse, order=1)[:size, :size]
    return (fine - fine.mean()) / fine.std()


def write(folder: Path, *, size: int, dates: int = 68, seed: int = 42, bands: Sequence[str] = BANDS) -> Path:
    """Make the patch and write its files.

    Parameters
    ----------
    folder
        Made if absent.
    size
        Pixels along a side.
    dates
        Acquisitions in the year, each on a day of its own between ten and eleven.
    seed
        Of the places of classes, clouds and noise; not of the classes' looks.
    bands
        Names of Sentinel-2's bands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dice, looks = np.random.default_rng(seed), covers(bands)
    # The commoner classes come first.
    ranks = [rolling(dice, size, 18) + share for share in np.linspace(0.9, -0.5, CLASSES)]
    labels = (1 + np.argmax(ranks, axis=0)).astype("uint8")
    brightness = 1 + np.float32(0.12) * rolling(dice, size, 9)
    delay = 14 * rolling(dice, size, 12)
    # An eighth of the land looks like another class, or a model could not be wrong.
    looks_like = np.where(rolling(dice, size, 6) > 1.2, np.roll(labels, (size // 7, size // 4), axis=(0, 1)), labels)

    days = np.sort(dice.choice(np.arange(2, 363), dates, replace=False))
    minutes = dice.integers(0, 50, dates)
    first = datetime.datetime.fromisoformat(f"{YEAR}-01-01T10:00")
    times = [first + datetime.timedelta(days=int(d), minutes=int(m)) for d, m in zip(days, minutes, strict=True)]
    # Six dates of ten are nearly clear.
    cover = np.where(dice.random(dates) < 0.6, dice.uniform(0, 0.18, dates), dice.uniform(0.2, 0.95, dates))

    shape = (dates, size, size)
    image = np.lib.format.open_memmap(folder / "bands.npy", "w+", np.uint16, (*shape, len(bands)))
    valid = np.lib.format.open_memmap(folder / "valid.npy", "w+", np.uint8, shape)
    level, swing = looks.level[looks_like], looks.swing[looks_like]
    height, length = looks.height[looks_like] + delay, looks.length[looks_like]
    for number, day in enumerate(days):
        green = np.exp(-np.square((day - height) / length))[..., None]
        light = (brightness * np.float32(1 + 0.03 * dice.standard_normal()))[..., None]
        scene = light * (level + swing * green)
        scene += dice.standard_normal(scene.shape, dtype="float32") * (40 + np.float32(0.04) * scene)
        sky = rolling(dice, size, 22)
        cloudy = sky > np.quantile(sky, 1 - cover[number])
        thick = np.abs(sky[cloudy])[:, None]
        scene[cloudy] = 2500 + 1200 * thick + 300 * dice.standard_normal((len(thick), len(bands)), dtype="float32")
        image[number] = np.clip(scene, 1, 12_000)
        valid[number] = ~cloudy
    labels[:3] = 0
    np.save(folder / "lulc.npy", labels)
    side = 10 * size
    meta = {
        "bands": list(bands),
        "timestamps": [time.isoformat() for time in times],
        "seed": seed,
        "bbox": [500_000, 5_100_000, 500_000 + side, 5_100_000 + side],
        "epsg": 32633,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    return folder


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--dates", type=int, default=68)
    parser.add_argument("--seed", type=int, default=42)
    given = parser.parse_args()
    write(given.folder, size=given.size, dates=given.dates, seed=given.seed)


if __name__ == "__main__":
    main()
