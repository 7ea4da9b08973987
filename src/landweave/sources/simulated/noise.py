"""Seeded randomness that depends on the place alone: any window of any size sees the same values."""

import functools
from typing import Any

import numpy as np
import scipy.sparse
import scipy.special

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hashed(*keys: Any) -> np.ndarray:
    """Mix whole numbers into 64 random-looking bits.

    Parameters
    ----------
    keys
        Integers or integer arrays that broadcast together; the order matters.

    Returns
    -------
    numpy.ndarray
        uint64, of the broadcast shape (at least one axis). The mixing is the finaliser of SplitMix64 (Steele, Lea
        and Flood 2014, "Fast splittable pseudorandom number generators").
    """
    state = np.zeros(1, "uint64")
    for key in keys:
        word = np.atleast_1d(np.asarray(key))
        state = (state + _GOLDEN) ^ (word if word.dtype == np.uint64 else word.astype("int64").view("uint64"))
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def uniform(*keys: Any) -> np.ndarray:
    """Numbers in (0, 1), float64, decided by the keys; see :func:`hashed`.

    >>> bool(uniform(42, 1)[0] == uniform(42, 1)[0]), uniform(42, [[1], [2]], [1, 2, 3]).shape
    (True, (2, 3))
    """
    return ((hashed(*keys) >> np.uint64(11)).astype("float64") + 0.5) * 2.0**-53


def normal(*keys: Any) -> np.ndarray:
    """Standard normal numbers, float64, decided by the keys; see :func:`hashed`."""
    return np.asarray(scipy.special.ndtri(uniform(*keys)))


def smooth(
    rows: np.ndarray,
    cols: np.ndarray,
    wavelength: float,
    *,
    seed: tuple[int, ...],
    octaves: int = 1,
    persistence: float = 0.5,
) -> np.ndarray:
    """Smooth random field with mean 0 and variance about 1.

    Normal numbers on a lattice, interpolated by cubic B-splines; each further octave halves the wavelength and
    multiplies the amplitude by ``persistence``.

    Parameters
    ----------
    rows, cols
        Coordinates of the pixels along either axis, 1-D, in pixels; any range, negative ones too.
    wavelength
        Spacing of the coarsest lattice, in pixels.
    seed
        Numbers that tell this field from others.
    octaves, persistence
        How many lattices, and the amplitude of each next one relative to the last.

    Returns
    -------
    numpy.ndarray
        float32, (rows, cols).
    """
    total = np.zeros((len(rows), len(cols)), "float32")
    power = 0.0
    for octave in range(octaves):
        spacing = max(wavelength / 2**octave, 1.0)
        along_y, first_y, count_y = _spline(np.asarray(rows, "float64").tobytes(), spacing)
        along_x, first_x, count_x = _spline(np.asarray(cols, "float64").tobytes(), spacing)
        y = np.arange(first_y, first_y + count_y)[:, None]
        x = np.arange(first_x, first_x + count_x)[None, :]
        lattice = normal(*seed, octave, y, x).astype("float32")
        amplitude = persistence**octave
        total += np.float32(amplitude) * (along_x @ (along_y @ lattice).T).T
        power += amplitude**2
    # 0.479 is the mean over a cell of the B-spline's sum of squared weights, once for either axis.
    return np.asarray(total / np.float32(0.479 * np.sqrt(power)))


@functools.lru_cache(maxsize=256)
def _spline(pixels: bytes, spacing: float) -> tuple[scipy.sparse.csr_array, int, int]:
    """Cubic B-spline weights (pixels, lattice points), the first lattice point, and how many there are.

    Coordinates come as the bytes of a float64 array: every date asks for those of the same few tiles.
    """
    positions = np.frombuffer(pixels, "float64") / spacing
    cell = np.floor(positions).astype("int64")
    t = positions - cell
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    ) / np.float64(6)
    first, last = int(cell.min()) - 1, int(cell.max()) + 2
    columns = (cell - 1 - first)[:, None] + np.arange(4)
    pointers = np.arange(0, 4 * len(positions) + 1, 4)
    matrix = scipy.sparse.csr_array(
        (weights.astype("float32").ravel(), columns.ravel(), pointers), shape=(len(positions), last - first + 1)
    )
    return matrix, first, last - first + 1


def cells(y: np.ndarray, x: np.ndarray, spacing: float, *, seed: tuple[int, ...]) -> np.ndarray:
    """Which random point is nearest: irregular cells, each with its own number.

    Parameters
    ----------
    y, x
        Coordinates of the pixels, both (rows, cols), in pixels.
    spacing
        Mean distance of the points: one lies somewhere in each square of a lattice.
    seed
        Numbers that tell these cells from others.

    Returns
    -------
    numpy.ndarray
        int64, (rows, cols): a number of 62 bits, the same wherever the cell is met.
    """
    home_y, home_x = np.floor(y / spacing).astype("int64"), np.floor(x / spacing).astype("int64")
    low_y, low_x = int(home_y.min()) - 1, int(home_x.min()) - 1
    lattice_y = np.arange(low_y, int(home_y.max()) + 2)[:, None]
    lattice_x = np.arange(low_x, int(home_x.max()) + 2)[None, :]
    point_y = ((lattice_y + uniform(*seed, 1, lattice_y, lattice_x)) * spacing).astype("float32")
    point_x = ((lattice_x + uniform(*seed, 2, lattice_y, lattice_x)) * spacing).astype("float32")
    number = (hashed(*seed, 3, lattice_y, lattice_x) >> np.uint64(2)).astype("int64")
    best = np.full(y.shape, np.inf, "float32")
    owner = np.zeros(y.shape, "int64")
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            i, j = home_y - low_y + step_y, home_x - low_x + step_x
            distance = (point_y[i, j] - y) ** 2 + (point_x[i, j] - x) ** 2
            closer = distance < best
            best[closer] = distance[closer]
            owner[closer] = number[i, j][closer]
    return owner
