"""Clouds by the s2cloudless model: probabilities of L1C pixels on a coarse grid, smoothed, cut off and widened.

Only the model's file is taken from the optional package (https://github.com/sentinel-hub/sentinel2-cloud-detector,
licensed CC BY-SA 4.0; Skakun et al. 2022, Remote Sensing of Environment 274: 112990); :mod:`landweave.tree_models.deep`
evaluates it.
"""

import importlib.util
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.features.clouds import dilate
from landweave.patch.align import metres_per_unit, nearest_pixels
from landweave.patch.model import NODATA
from landweave.tree_models.deep import deep_forest, probabilities
from landweave.tree_models.text import NotCovered, read_forest

BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""What the model looks at, in its order: reflectance at the top of the atmosphere."""

THRESHOLD = 0.4
"""Smoothed probability above which a cell is cloud, as the model's makers publish and eo-learn uses."""

AVERAGE_METRES, DILATION_METRES = 220.0, 110.0
"""Radii of the averaging and of the widening disk. The published practice is 22 and 11 pixels of 10 m, and 4 and 2 of
60 m, which is nearly the same ground."""

COARSEST, FINEST = 160.0, 60.0
"""Cells of the grid on which clouds are looked for, metres: no finer than the coarsest band, and no coarser than
Sentinel Hub's cloud masks."""

_MODEL = Path("models", "pixel_s2_cloud_detector_lightGBM_v0.1.txt")
_ROWS = 1 << 17  # a block of 10 MB in float64
_UNIT = 1e4
_LOG = logging.getLogger(__name__)


def model_file() -> Path:
    """The model's file within the optional package, which is not imported (it would bring OpenCV).

    Raises
    ------
    InputError
        Where the package, or the file in it, is missing.
    """
    found = importlib.util.find_spec("s2cloudless")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / _MODEL
        if path.is_file():
            return path
    raise InputError(
        'clouds = "s2cloudless" needs the model file of the package s2cloudless, which is not installed: '
        'pip install "landweave[clouds]"'
    )


def cloud_probability(bands: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """What LightGBM predicts by the s2cloudless model, without LightGBM.

    Parameters
    ----------
    bands
        :data:`BANDS` in order, (10, ...): int16 in 1e-4 reflectance, -32768 missing, or floating-point reflectance,
        NaN missing.
    threads
        How many blocks of pixels are evaluated at a time; the answer does not depend on it.

    Returns
    -------
    numpy.ndarray
        Probability 0..1, float32 (...); NaN where any band is missing.

    Raises
    ------
    InputError
        Where the model's package is missing.
    ValueError
        For another number of bands.
    """
    if bands.ndim < 1 or bands.shape[0] != len(BANDS):
        raise ValueError(f"The model needs {len(BANDS)} bands ({', '.join(BANDS)}), not an array {bands.shape}.")
    pixels = bands.reshape(len(BANDS), -1)
    whole = np.issubdtype(pixels.dtype, np.integer)
    known = np.flatnonzero(((pixels != NODATA) if whole else np.isfinite(pixels)).all(axis=0))
    out = np.full(pixels.shape[1], np.nan, "float32")
    predict = _predictor(model_file())

    def fill(start: int) -> None:
        chosen = known[start : start + _ROWS]
        values = np.take(pixels, chosen, axis=1)
        out[chosen] = predict(values / _UNIT if whole and values.dtype != np.int16 else values)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(0, len(known), _ROWS)))
    return out.reshape(bands.shape[1:])


def coarse_geobox(geobox: GeoBox, metres: float, halo_metres: float = 0.0) -> GeoBox:
    """The grid on which clouds of a patch are looked for.

    Parameters
    ----------
    geobox
        The patch, in a CRS of metres.
    metres
        Side of a cell, 60..160.
    halo_metres
        Ground around the patch that its mask depends on: :func:`halo_metres`.

    Returns
    -------
    GeoBox
        North up, in the patch's CRS; cell edges lie at whole multiples of ``metres``, so that the cells of
        neighbouring patches are the same cells. Covers the patch and the halo.

    Raises
    ------
    InputError
        For another size of cell, or a CRS that does not measure in metres.
    """
    if not FINEST <= metres <= COARSEST:
        raise InputError(f"cloud_grid is {metres:g}; give {FINEST:g} to {COARSEST:g} metres.")
    unit = 0.0 if geobox.crs is None or not geobox.crs.projected else metres_per_unit(geobox.crs, math.nan, math.nan)[0]
    if not math.isclose(unit, 1.0, rel_tol=1e-9):
        raise InputError(f'clouds = "s2cloudless" needs a CRS in metres; {geobox.crs} is not.')
    box = geobox.boundingbox
    left, bottom = (math.floor((edge - halo_metres) / metres) for edge in (box.left, box.bottom))
    right, top = (math.ceil((edge + halo_metres) / metres) for edge in (box.right, box.top))
    corner = Affine.translation(left * metres, top * metres) * Affine.scale(metres, -metres)
    return GeoBox((top - bottom, right - left), corner, geobox.crs)


def halo_metres(average_metres: float = AVERAGE_METRES, dilation_metres: float = DILATION_METRES) -> float:
    """How far around a patch its mask depends on probabilities: both radii, one after the other."""
    return average_metres + dilation_metres


def cloud_mask(
    probability: np.ndarray,
    *,
    pixel_metres: float,
    threshold: float = THRESHOLD,
    average_metres: float = AVERAGE_METRES,
    dilation_metres: float = DILATION_METRES,
) -> np.ndarray:
    """Where the mean probability within a disk is above the threshold, or such a place is near.

    Parameters
    ----------
    probability
        0..1, NaN where unknown, (time, y, x) or (y, x).
    pixel_metres
        Side of a cell.
    threshold
        Compared with the mean.
    average_metres, dilation_metres
        Radii of the disks of averaging and of widening; a cell belongs to a disk when its centre lies within the
        radius. Below a cell, the step does nothing.

    Returns
    -------
    numpy.ndarray
        bool, same shape. Unknown cells count for nothing in the mean and take that of the known cells around them;
        where there are none, the sky counts as clear.

    Notes
    -----
    A cell's answer depends on what lies within :func:`halo_metres` alone, to the last bit, so patches that are looked
    at alone fit together.
    """
    layers = probability.reshape(-1, *probability.shape[-2:])
    disk = _disk(average_metres / pixel_metres)
    cloudy = np.stack([_mean_in(disk, layer) > threshold for layer in layers]) if len(layers) else layers.astype(bool)
    return dilate(cloudy, _radius(dilation_metres / pixel_metres)).reshape(probability.shape)


def to_fine(values: np.ndarray, coarse: GeoBox, geobox: GeoBox) -> np.ndarray:
    """Each pixel takes the value of the coarse cell that holds its centre.

    Parameters
    ----------
    values
        (..., y, x) on ``coarse``, of any type.
    coarse, geobox
        The grid of the values and that of the answer; ``coarse`` must cover the other.

    Returns
    -------
    numpy.ndarray
        Same type, (..., y, x) on ``geobox``.

    Raises
    ------
    ValueError
        Where a pixel's centre lies outside the coarse grid, or the values do not fit it.
    """
    if values.shape[-2:] != tuple(coarse.shape):
        raise ValueError(f"Values {values.shape} do not fit a grid of {tuple(coarse.shape)} cells.")
    rows, columns, inside = nearest_pixels(coarse, geobox)
    if not inside.all():
        raise ValueError("The coarse grid does not cover the patch.")
    return np.asarray(values[..., rows, columns])


def _mean_in(disk: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Mean of the known values within the disk around each cell, float64 (y, x); NaN where none is known."""
    from scipy.ndimage import correlate

    known = np.isfinite(layer)
    sums = correlate(np.where(known, layer, 0.0), disk, output="float64", mode="constant")
    counts = correlate(known.astype("float64"), disk, mode="constant")
    return np.asarray(np.divide(sums, counts, out=np.full(layer.shape, np.nan), where=counts > 0))


def _disk(radius: float) -> np.ndarray:
    reach = math.floor(_radius(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(x * x + y * y <= _radius(radius) ** 2).astype("float64")


def _radius(cells: float) -> float:
    """A quotient of metres that is a whole number but for rounding must reach that number."""
    return cells + 1e-9


@lru_cache(maxsize=2)
def _predictor(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Probabilities (pixels,) of bands (10, pixels), int16 or floating point, none missing."""
    try:
        forest = deep_forest(read_forest(path.read_text(encoding="utf-8")), unit=_UNIT)
    except (NotCovered, InputError) as reason:
        _LOG.warning("LightGBM itself evaluates the model of s2cloudless: %s", reason)
        return _by_lightgbm(path)
    return lambda values: probabilities(forest, values.T)[:, 0]


def _by_lightgbm(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    from lightgbm import Booster

    booster = Booster(model_file=path)

    def predict(values: np.ndarray) -> np.ndarray:
        # LightGBM compares in double precision.
        reals = values / _UNIT if values.dtype == np.int16 else values.astype("float64")
        return np.asarray(booster.predict(np.ascontiguousarray(reals.T), num_threads=1))

    return predict
