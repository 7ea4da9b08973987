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
        Class values or other codes, whole numbers (y, x), 0 none. Beyond the border nothing is known, so ask with a
        halo of two pixels.

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


def connected_pieces(codes: np.ndarray) -> np.ndarray:
    """Number of the piece of one code that each pixel belongs to, by common sides; int64 (y, x), 0 where code is 0.

    Pieces are numbered in the order of their first pixels, row by row.

    >>> connected_pieces(np.array([[1, 1, 2], [2, 1, 2]], "uint8")).tolist()
    [[1, 1, 2], [3, 1, 2]]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = np.full(codes.shape, -1, "int64")
    place[codes != 0] = np.arange(np.count_nonzero(codes))
    pairs = [
        np.stack([place[a][codes[a] == codes[b]], place[b][codes[a] == codes[b]]])
        for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1]))
    ]
    one, other = np.concatenate(pairs, axis=1)
    one, other = one[one >= 0], other[one >= 0]
    size = int(place.max(initial=-1)) + 1
    pieces = np.zeros(codes.shape, "int64")
    if size:
        graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(size, size))
        numbers = connected_components(graph, directed=False)[1]
        _, first, index = np.unique(numbers, return_index=True, return_inverse=True)
        pieces[codes != 0] = np.argsort(np.argsort(first))[index] + 1
    return pieces
