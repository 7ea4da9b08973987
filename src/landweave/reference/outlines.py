"""What lies at the edges of labels: erosion, thin parts, connected pieces."""

import numpy as np

from landweave.errors import InputError
from landweave.legend import NONE


def erode(labels: np.ndarray, pixels: int) -> np.ndarray:
    """Labels whose disk of radius ``pixels`` holds no other label (0 is one too), else 0; uint8, (y, x).

    Beyond the array's border nothing is held against a pixel, so ask with a halo of ``pixels``.

    >>> erode(np.array([[1, 1, 1, 2, 2, 2]], "uint8"), 1).tolist()
    [[1, 1, 0, 0, 2, 2]]
    """
    if pixels < 0:
        raise InputError(f"erosion is {pixels} pixels; it cannot be negative.")
    from scipy.ndimage import maximum_filter, minimum_filter

    reach = np.arange(-pixels, pixels + 1)
    disk = reach[:, None] ** 2 + reach[None, :] ** 2 <= pixels**2
    # The disk is convex, so the border repeated outward brings no label that the disk does not hold anyway.
    lowest = minimum_filter(labels, footprint=disk, mode="nearest")
    highest = maximum_filter(labels, footprint=disk, mode="nearest")
    return np.where(lowest == highest, labels, NONE).astype("uint8")


def thin_parts(labels: np.ndarray) -> np.ndarray:
    """Pixels of each class that no 3 x 3 square of the class covers: what its opening by that square removes.

    Parameters
    ----------
    labels
        Class values, uint8 (y, x), 0 none. Beyond the border nothing is known, so ask with a halo of two pixels.

    Returns
    -------
    numpy.ndarray
        bool (y, x): labelled, and narrower than three pixels there.

    >>> lane = np.zeros((7, 9), "uint8")
    >>> lane[1:6, 1:5], lane[2:4, 5:] = 3, 3
    >>> thin_parts(lane)[3].astype(int).tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1]
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    # A square of one class is one whose least and greatest label are equal; all classes are opened at once.
    lowest = minimum_filter(labels, size=3, mode="nearest")
    whole = lowest == maximum_filter(labels, size=3, mode="nearest")
    return np.asarray((labels > 0) & ~maximum_filter(whole & (labels > 0), size=3, mode="nearest"))


def connected_pieces(labels: np.ndarray) -> np.ndarray:
    """Number of the piece of one class that each pixel belongs to, by common sides; int64 (y, x), 0 without class.

    >>> connected_pieces(np.array([[1, 1, 2], [2, 1, 2]], "uint8")).tolist()
    [[1, 1, 2], [3, 1, 2]]
    """
    from scipy.ndimage import label

    pieces, count = np.zeros(labels.shape, "int64"), 0
    for value in np.unique(labels[labels > 0]):
        numbers, found = label(labels == value)
        pieces[numbers > 0] = numbers[numbers > 0] + count
        count += found
    return pieces
