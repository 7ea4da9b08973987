"""Arrays become pictures that a page can hold, as PNG or JPEG within its text."""

import base64
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from rasterio.errors import NotGeoreferencedWarning

DASHES = ("", "7 3", "2 3", "9 3 2 3")
"""Patterns of the curves in turn, so that colour is not the only way to tell them apart."""

SAME, DIFFERENT, UNKNOWN = 1, 2, 0
"""What :func:`difference` holds."""

DIFFERENCE_COLORS = {SAME: "#e3e9e4", DIFFERENT: "#b3261e", UNKNOWN: "#8a8f96"}
"""Light where the map and the reference agree, dark where they differ, in between where nothing can be compared."""


def png(pixels: np.ndarray) -> bytes:
    """A PNG of (y, x, 3) red, green and blue, uint8, written by GDAL; the same bytes each time.

    Up to 256 colours become a palette, which compresses better.

    Raises
    ------
    ValueError
        When the array has another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"A picture needs uint8 pixels (y, x, 3), not {pixels.dtype} {pixels.shape}.")
    codes = pixels.astype("uint32") @ np.array([1 << 16, 1 << 8, 1], "uint32")
    colors, indices = np.unique(codes, return_inverse=True)
    if len(colors) > 256:
        return _written("PNG", np.moveaxis(pixels, 2, 0))
    palette = {i: (int(code >> 16), int(code >> 8 & 255), int(code & 255), 255) for i, code in enumerate(colors)}
    return _written("PNG", indices.reshape(1, *pixels.shape[:2]).astype("uint8"), palette)


def jpeg(pixels: np.ndarray, *, quality: int = 80) -> bytes:
    """A JPEG of (y, x, 3) red, green and blue, uint8: a fifth of a photograph's PNG; the same bytes each time."""
    return _written("JPEG", np.moveaxis(pixels, 2, 0), quality=quality)


def _written(
    driver: str, bands: np.ndarray, palette: Mapping[int, tuple[int, int, int, int]] | None = None, **options: Any
) -> bytes:
    """The file that a GDAL driver makes of bands (band, y, x), uint8."""
    from rasterio.io import MemoryFile

    count, height, width = bands.shape
    profile = {"driver": driver, "width": width, "height": height, "count": count, "dtype": "uint8", **options}
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(**profile) as file:
            file.write(bands)
            if palette is not None:
                file.write_colormap(1, palette)
        return bytes(memory.read())


def data_uri(pixels: np.ndarray, *, photo: bool = False) -> str:
    """A picture (y, x, 3), uint8, as the address of an image within a page: PNG, or JPEG for a photograph."""
    kind, content = ("jpeg", jpeg(pixels)) if photo else ("png", png(pixels))
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")


def difference(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Where two class maps agree (1), differ (2), or cannot be compared (0): uint8 (y, x).

    Parameters
    ----------
    reference, prediction
        Class values, uint8 (y, x); 0 is no reference, and on the map "unclassified", which differs from every class.

    >>> difference(np.array([[0, 1, 1, 1]], "uint8"), np.array([[1, 1, 2, 0]], "uint8")).tolist()
    [[0, 1, 2, 2]]
    """
    return np.where(reference == 0, UNKNOWN, np.where(reference == prediction, SAME, DIFFERENT)).astype("uint8")


def paint(classes: np.ndarray, colors: Mapping[int, str], *, none: str = "#ffffff") -> np.ndarray:
    """Class values (y, x) as red, green and blue (y, x, 3), uint8.

    >>> paint(np.array([[0, 2]], "uint8"), {2: "#0072b2"}).tolist()
    [[[255, 255, 255], [0, 114, 178]]]
    """
    table = np.tile(rgb(none), (256, 1))
    for value, color in colors.items():
        table[value] = rgb(color)
    return np.asarray(table[classes])


def shrink(pixels: np.ndarray, side: int) -> np.ndarray:
    """At most ``side`` pixels either way, by a whole factor: means of (y, x, 3), middle pixels of (y, x)."""
    height, width = pixels.shape[:2]
    factor = -(-max(height, width) // side)
    if factor <= 1:
        return pixels
    if pixels.ndim == 2:
        rows, columns = (np.minimum(np.arange(0, n, factor) + factor // 2, n - 1) for n in (height, width))
        return np.asarray(pixels[np.ix_(rows, columns)])
    rows, columns = np.arange(0, height, factor), np.arange(0, width, factor)
    sums = np.add.reduceat(np.add.reduceat(pixels.astype("uint32"), rows, axis=0), columns, axis=1)
    sizes = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    return np.asarray((sums + sizes[..., None] // 2) // sizes[..., None]).astype("uint8")


def key_svg(i: int, color: str) -> Markup:
    """A short piece of the ``i``-th curve, for the legend beside it."""
    dash = f'd="M1 6h30" stroke-dasharray="{DASHES[i % len(DASHES)]}"'
    lines = f'<path class="under" {dash}/><path {dash} stroke="{checked(color)}"/>'
    return Markup(f'<svg class="key" viewBox="0 0 32 12" aria-hidden="true">{lines}</svg>')  # noqa: S704


def rgb(color: str) -> np.ndarray:
    """Red, green and blue, uint8 (3,)."""
    return np.frombuffer(bytes.fromhex(checked(color)[1:]), "uint8")


def checked(color: str) -> str:
    """The colour as it is; ValueError where it is not written #rrggbb."""
    if len(color) != 7 or color[0] != "#" or not set(color[1:].lower()) <= set("0123456789abcdef"):
        raise ValueError(f"A colour is written #rrggbb, not {color!r}.")
    return color
