"""Numbers as SVG that follows the page's colours; text and axes take the page's text colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from landweave.report.drawing.images import DASHES, checked
from landweave.report.words import percent

SIDE, LEFT, TOP = 360, 46, 12
"""Of a square plot: its side, and the room left of and above it."""

_SMALL_WIDTH, _SMALL_HEIGHT = 210, 110


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line through a square of 0..1."""

    name: str
    """The class."""

    x: np.ndarray
    """To the right, 0..1, (n,)."""

    y: np.ndarray
    """Upward, 0..1, (n,)."""

    area: float | None = None
    """Area under the curve; None where it is not known."""


def square_svg(
    curves: Sequence[Curve], colors: Mapping[str, str], *, x: str, y: str, what: str, chance: bool = False
) -> Markup:
    """Curves in one square.

    Each has a faint line of the text's colour underneath, so that pale colours show on white and dark ones on black,
    and a pattern of its own.

    Parameters
    ----------
    curves
        Lines; one that is not finite is left out.
    colors
        Name to ``#rrggbb``.
    x, y
        What the axes say.
    what
        What the picture shows, for those who hear it.
    chance
        Whether to draw the rising diagonal.
    """
    parts = [_square(x, y, what), _diagonal() if chance else ""]
    for i, curve in enumerate(curves):
        points = np.stack([np.asarray(curve.x, "float64"), np.asarray(curve.y, "float64")], axis=1)
        if not len(points) or not np.isfinite(points).all():
            continue
        line = " ".join(f"{LEFT + SIDE * a:.1f},{TOP + SIDE * (1 - b):.1f}" for a, b in _thinned(points))
        color, dash = checked(colors[curve.name]), DASHES[i % len(DASHES)]
        parts.append(
            f"<g><title>{escape(curve.name)}</title>"
            f'<polyline class="under" points="{line}" stroke-dasharray="{dash}"/>'
            f'<polyline points="{line}" stroke="{color}" stroke-dasharray="{dash}"/></g>'
        )
    # Every text from outside was escaped above, and every colour checked.
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def reliability_svg(calibration: Mapping[str, Any]) -> Markup:
    """Agreement against confidence, a dot a bin with its interval, as large as its share of the land.

    Parameters
    ----------
    calibration
        As :func:`landweave.accuracy.reliability.reliability` gives it.
    """
    what = "Reliability: agreement with the reference against the probability that is stated"
    parts = [_square("probability that is stated", "agreement with the reference", what), _diagonal()]
    bins = [b for b in calibration["bins"] if b["agreement"]["value"] is not None]
    most = max((b["share"] for b in bins), default=1.0)
    dots = [(LEFT + SIDE * b["confidence"], TOP + SIDE * (1 - b["agreement"]["value"]), b) for b in bins]
    parts.append('<polyline class="accent" points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in dots) + '"/>')
    for at, up, b in dots:
        low, high = b["agreement"]["low"], b["agreement"]["high"]
        if low is not None:
            ends = [TOP + SIDE * (1 - value) for value in (high, low)]
            parts.append(
                f'<path class="whisker" d="M{at:.1f} {ends[0]:.1f}V{ends[1]:.1f}M{at - 4:.1f} {ends[0]:.1f}h8'
                f'M{at - 4:.1f} {ends[1]:.1f}h8"/>'
            )
        words = (
            f"stated {percent(b['confidence'])}, agrees {percent(b['agreement']['value'])}, "
            f"{percent(b['share'])} of the land"
        )
        radius = 3 + 9 * np.sqrt(b["share"] / most)
        parts.append(
            f'<circle class="dot" cx="{at:.1f}" cy="{up:.1f}" r="{radius:.1f}"><title>{words}</title></circle>'
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def threshold_svg(name: str, effect: Mapping[str, Any], *, now: float, chosen: float | None) -> Markup:
    """Recall (full) and precision (dashed) of one class as its threshold moves, on a logarithmic axis.

    Parameters
    ----------
    name
        The class.
    effect
        ``threshold``, and for ``out_of_fold`` and, as a check, ``test``: ``recall`` and ``precision``, lists with None.
    now, chosen
        Thresholds that are marked: the one in force, and the one that was chosen.
    """
    tried = np.array(effect["threshold"], "float64")
    left, top, width, height = 34, 8, _SMALL_WIDTH, _SMALL_HEIGHT
    low, span = np.log(tried[0]), np.log(tried[-1] / tried[0])

    def across(t: float) -> float:
        return float(left + width * np.clip((np.log(t) - low) / span, 0, 1))

    what = f"{name}: recall and precision against the threshold"
    box = f"0 0 {left + width + 10} {top + height + 22}"
    parts = [f'<svg class="small" viewBox="{box}" role="img" aria-label="{escape(what)}">']
    for level in (0.0, 0.5, 1.0):
        at = top + height * (1 - level)
        parts.append(
            f'<path class="grid" d="M{left} {at:g}h{width}"/>'
            f'<text x="{left - 6}" y="{at + 4:g}" text-anchor="end">{100 * level:.0f}</text>'
        )
    parts.extend(
        f'<path class="grid" d="M{across(t):.1f} {top}v{height}"/>'
        f'<text x="{across(t):.1f}" y="{top + height + 16}" text-anchor="middle">{t:g}</text>'
        for t in (0.05, 0.2, 1.0, 3.0)
    )
    parts.append(f'<path class="now" d="M{across(now):.1f} {top}v{height}"/>')
    if chosen is not None and chosen != now:
        parts.append(f'<path class="chosen" d="M{across(chosen):.1f} {top}v{height}"/>')
    for side, style in (("test", "check"), ("out_of_fold", "main")):
        for key, dash in (("recall", ""), ("precision", "5 3")):
            values = effect.get(side, {}).get(key, [])
            line = " ".join(
                f"{across(t):.1f},{top + height * (1 - v):.1f}"
                for t, v in zip(tried, values, strict=False)
                if v is not None
            )
            if line:
                parts.append(f'<polyline class="{style}" points="{line}" stroke-dasharray="{dash}"/>')
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def line_key(style: str, dash: str = "") -> Markup:
    """A short piece of a line of that style, for the key beside a chart."""
    line = f'<path class="{escape(style)}" d="M1 6h30" stroke-dasharray="{escape(dash)}"/>'
    return Markup(f'<svg class="key" viewBox="0 0 32 12" aria-hidden="true">{line}</svg>')  # noqa: S704


def _square(x: str, y: str, what: str) -> str:
    box = f"0 0 {SIDE + LEFT + 14} {SIDE + TOP + 46}"
    parts = [f'<svg class="square" viewBox="{box}" role="img" aria-label="{escape(what)}">']
    for i in range(6):
        at, label = SIDE * i / 5, f"{i / 5:g}"
        parts.append(
            f'<path class="grid" d="M{LEFT} {TOP + SIDE - at:g}h{SIDE}M{LEFT + at:g} {TOP}v{SIDE}"/>'
            f'<text x="{LEFT - 8}" y="{TOP + SIDE - at + 4:g}" text-anchor="end">{label}</text>'
            f'<text x="{LEFT + at:g}" y="{TOP + SIDE + 18}" text-anchor="middle">{label}</text>'
        )
    middle = TOP + SIDE / 2
    parts.append(
        f'<text x="{LEFT + SIDE / 2:g}" y="{TOP + SIDE + 38}" text-anchor="middle">{escape(x)}</text>'
        f'<text transform="rotate(-90 12 {middle:g})" x="12" y="{middle:g}" text-anchor="middle">{escape(y)}</text>'
    )
    return "".join(parts)


def _diagonal() -> str:
    return f'<path class="chance" d="M{LEFT} {TOP + SIDE}L{LEFT + SIDE} {TOP}"/>'


def _thinned(points: np.ndarray, most: int = 240) -> np.ndarray:
    """Points of a curve, evenly along its length, (n, 2)."""
    if len(points) <= most:
        return points
    along = np.append(0.0, np.cumsum(np.abs(np.diff(points, axis=0)).sum(axis=1)))
    chosen = np.searchsorted(along, np.linspace(0, along[-1], most), side="left")
    return np.asarray(points[np.unique(np.append(chosen, [0, len(points) - 1]))])
