"""Arrays become pictures that a page can hold: PNG bytes, and curves as SVG that follows the page's colours."""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

DASHES = ("", "7 3", "2 3", "9 3 2 3")
"""Patterns of the curves in turn, so that colour is not the only way to tell them apart."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The receiver operating characteristic of one class against the rest."""

    name: str
    """The class."""

    fpr: np.ndarray
    """False positive rate of every threshold, rising, (n,)."""

    tpr: np.ndarray
    """True positive rate of every threshold, rising, (n,)."""

    auc: float | None = None
    """Area under the curve; None where it is not known."""


def png(pixels: np.ndarray) -> bytes:
    """A PNG of (y, x, 3) red, green and blue, uint8; the same bytes each time.

    Up to 256 colours become a palette (PNG specification, third edition, sections 5 and 11).

    Raises
    ------
    ValueError
        When the array has another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"A picture needs uint8 pixels (y, x, 3), not {pixels.dtype} {pixels.shape}.")
    height, width = pixels.shape[:2]
    codes = pixels.astype("uint32") @ np.array([1 << 16, 1 << 8, 1], "uint32")
    colors, indices = np.unique(codes, return_inverse=True)
    chunks = []
    if len(colors) <= 256:
        palette = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1).astype("uint8")
        chunks.append((b"PLTE", palette.tobytes()))
        color_type, rows, kind = 3, indices.reshape(height, width).astype("uint8"), 0
    else:
        # Filter 1 stores differences to the left neighbour, which photographs compress better by.
        left = np.zeros_like(pixels)
        left[:, 1:] = pixels[:, :-1]
        color_type, rows, kind = 2, (pixels - left).reshape(height, width * 3), 1
    lines = np.concatenate([np.full((height, 1), kind, "uint8"), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def data_uri(pixels: np.ndarray) -> str:
    """A PNG of (y, x, 3) uint8 as the address of an image within a page."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def paint(classes: np.ndarray, colors: Mapping[int, str], *, none: str = "#ffffff") -> np.ndarray:
    """Class values (y, x) as red, green and blue (y, x, 3), uint8.

    >>> paint(np.array([[0, 2]], "uint8"), {2: "#0072b2"}).tolist()
    [[[255, 255, 255], [0, 114, 178]]]
    """
    table = np.tile(_rgb(none), (256, 1))
    for value, color in colors.items():
        table[value] = _rgb(color)
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


def roc_svg(curves: Sequence[Curve], colors: Mapping[str, str]) -> Markup:
    """The curves in one square: false positive rate to the right, true positive rate upward.

    Text and axes take the page's text colour; each curve has a faint line of it underneath, so that pale colours
    show on white and dark ones on black.
    """
    side, left, top = 360, 46, 12
    what = "ROC curves: true positive rate against false positive rate, one curve a class"
    box = f"0 0 {side + left + 14} {side + top + 46}"
    parts = [f'<svg class="roc" viewBox="{box}" role="img" aria-label="{what}">']
    for i in range(6):
        at, label = side * i / 5, f"{i / 5:g}"
        parts.append(
            f'<path class="grid" d="M{left} {top + side - at:g}h{side}M{left + at:g} {top}v{side}"/>'
            f'<text x="{left - 8}" y="{top + side - at + 4:g}" text-anchor="end">{label}</text>'
            f'<text x="{left + at:g}" y="{top + side + 18}" text-anchor="middle">{label}</text>'
        )
    middle = top + side / 2
    parts.append(
        f'<path class="chance" d="M{left} {top + side}L{left + side} {top}"/>'
        f'<text x="{left + side / 2:g}" y="{top + side + 38}" text-anchor="middle">false positive rate</text>'
        f'<text transform="rotate(-90 12 {middle:g})" x="12" y="{middle:g}" text-anchor="middle">'
        "true positive rate</text>"
    )
    for i, curve in enumerate(curves):
        points = _thinned(curve)
        if not len(points):
            continue
        line = " ".join(f"{left + side * x:.1f},{top + side * (1 - y):.1f}" for x, y in points)
        color, dash = _checked(colors[curve.name]), DASHES[i % len(DASHES)]
        parts.append(
            f'<g><title>{escape(curve.name)}</title><polyline class="under" points="{line}"/>'
            f'<polyline points="{line}" stroke="{color}" stroke-dasharray="{dash}"/></g>'
        )
    # Every text from outside was escaped above, and every colour checked.
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def key_svg(i: int, color: str) -> Markup:
    """A short piece of the ``i``-th curve, for the legend beside it."""
    line = f'd="M1 6h30" stroke="{_checked(color)}" stroke-dasharray="{DASHES[i % len(DASHES)]}"'
    return Markup(  # noqa: S704
        f'<svg class="key" viewBox="0 0 32 12" aria-hidden="true"><path class="under" d="M1 6h30"/><path {line}/></svg>'
    )


def _thinned(curve: Curve, most: int = 240) -> np.ndarray:
    """Points of the curve, evenly along its length, (n, 2); none where it is undefined."""
    points = np.stack([np.asarray(curve.fpr, "float64"), np.asarray(curve.tpr, "float64")], axis=1)
    if not len(points) or not np.isfinite(points).all():
        return np.empty((0, 2))
    if len(points) <= most:
        return points
    along = np.append(0.0, np.cumsum(np.abs(np.diff(points, axis=0)).sum(axis=1)))
    chosen = np.searchsorted(along, np.linspace(0, along[-1], most), side="left")
    return np.asarray(points[np.unique(np.append(chosen, [0, len(points) - 1]))])


def _rgb(color: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(_checked(color)[1:]), "uint8")


def _checked(color: str) -> str:
    if len(color) != 7 or color[0] != "#" or not set(color[1:].lower()) <= set("0123456789abcdef"):
        raise ValueError(f"A colour is written #rrggbb, not {color!r}.")
    return color
