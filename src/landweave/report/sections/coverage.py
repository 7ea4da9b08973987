"""Charts of the observations: how often each place was seen, NDVI through the year, and maps."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from landweave.report.drawing.axes import LEFT, RIGHT, TOP, WIDTH, below, frame, level, nice
from landweave.report.drawing.images import data_uri, key_svg, paint, shrink
from landweave.report.words import percent

VALID_COLOR, ALL_COLOR = "#2a8f4d", "#8a8f96"
"""Colours of the NDVI of valid pixels, and of all."""

COUNT_RAMP = ("#fbf3cf", "#a9d5a5", "#3f97a5", "#1c3f73")
CLOUD_RAMP = ("#1f5fa6", "#8db8de", "#fbfbf8")
"""Colours from low to high: often seen is dark, cloud is white."""

UNKNOWN_COLOR = "#7d7d7d"
"""Colour of pixels without a value."""

_MAP_SIDE = 480
_UNKNOWN_PERCENT = 255
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def observed_section(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures and sentences of the report's section "What the satellite saw".

    Parameters
    ----------
    facts
        All of it may be absent or None. ``histogram``: pixels that were seen 0, 1, ... times, the last index being the
        number of dates. ``ndvi``: ``dates`` (ISO), and, one per date, None or NaN where nothing was seen, ``all``
        (mean of all pixels with data), ``valid`` (mean without clouds), ``low``, ``high`` (10 and 90 % quantiles
        without clouds). ``counts_map``: valid observations, (y, x), NaN or None outside. ``cloud_map``: mean cloud
        probability, (y, x): 0..1, NaN or None unknown; or uint8 in percent, 255 unknown.

    Returns
    -------
    dict
        ``histogram``, ``ndvi``: SVG, or None; ``histogram_words``: str; ``keys``: pairs of a small SVG and its
        meaning; ``maps``: dicts of ``title``, ``uri``, ``ramp`` (colours as CSS), ``low``, ``high``, ``unknown`` (the
        colour, "" where there is none) and ``caption``.
    """
    counts = np.asarray(facts.get("histogram") or [], "int64")
    year = facts.get("ndvi") or {}
    return {
        "histogram": histogram_svg(counts) if counts.sum() else None,
        "histogram_words": _seen_in_words(counts) if counts.sum() else "",
        "ndvi": ndvi_svg(year) if any(v is not None for v in _numbers(year.get("all", ()))) else None,
        "keys": [
            (key_svg(0, VALID_COLOR), "without clouds; band: the middle 80 %"),
            (key_svg(1, ALL_COLOR), "with clouds: all pixels with data"),
        ],
        "maps": [drawn for drawn in (_counts_map(facts), _cloud_map(facts)) if drawn],
    }


def histogram_svg(counts: np.ndarray) -> Markup:
    """Share of the pixels by number of valid observations, a bar each, from 0 to the most that any pixel has.

    Parameters
    ----------
    counts
        Pixels that were seen 0, 1, ... times, at least one above 0.
    """
    shares = 100 * counts[: int(np.flatnonzero(counts)[-1]) + 1] / counts.sum()
    height, width = 200, WIDTH - LEFT - RIGHT
    step = nice(float(shares.max()) / 3)
    top = step * math.ceil(float(shares.max()) / step - 1e-9)
    slot = width / len(shares)
    parts = [frame(height, "Histogram of the number of valid observations of each pixel")]
    levels = np.arange(0, top + step / 2, step)
    parts.extend(level(TOP + height * (1 - value / top), f"{value:g} %") for value in levels)
    # A gap between bars only where they are wide enough to keep most of their width.
    bar = slot - min(2, slot / 4)
    parts.append('<g class="bars">')
    for n, share in enumerate(shares):
        tall = height * share / top
        parts.append(
            f'<rect x="{LEFT + n * slot:.2f}" y="{TOP + height - tall:.2f}" width="{bar:.2f}" height="{tall:.2f}">'
            f"<title>{n} times: {escape(percent(share / 100))}</title></rect>"
        )
    parts.append("</g>")
    every = max(1, round(nice(len(shares) / 12)))
    places = range(0, len(shares), every)
    parts.extend(below(LEFT + n * slot + bar / 2, TOP + height + 18, str(n)) for n in places)
    parts.append(below(LEFT + width / 2, TOP + height + 40, "valid observations of a pixel"))
    # All text is numbers or our own.
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def ndvi_svg(year: Mapping[str, Sequence[Any]]) -> Markup:
    """Mean NDVI of each date with and without clouds, and a band of the 10 to 90 % quantiles without.

    Parameters
    ----------
    year
        As ``ndvi`` of :func:`observed_section`.

    Notes
    -----
    A date on which nothing was seen has no point; the lines join the dates on either side of it.
    """
    days = [date.fromisoformat(str(day)[:10]) for day in year["dates"]]
    everything, valid, low, high = (_numbers(year.get(key, ())) for key in ("all", "valid", "low", "high"))
    height, width = 240, WIDTH - LEFT - RIGHT
    known = [v for v in (*everything, *valid, *low, *high) if v is not None]
    bottom, top = math.floor(min(known) * 5 - 1e-9) / 5, math.ceil(max(known) * 5 + 1e-9) / 5
    first, span = min(days), max(1, (max(days) - min(days)).days)

    def x(day: date) -> float:
        # A little air, so that points stand clear of the frame.
        return LEFT + 8 + (width - 16) * (day - first).days / span

    def y(value: float) -> float:
        return TOP + height * (top - value) / (top - bottom)

    def points(values: Sequence[float | None]) -> list[tuple[float, float]]:
        return sorted((x(day), y(v)) for day, v in zip(days, values, strict=False) if v is not None)

    parts = [frame(height, "Mean NDVI of each date, with and without clouds")]
    levels = np.round(np.arange(bottom, top + 0.1, 0.2), 1) + 0.0
    parts.extend(level(y(value), f"{value:.1f}") for value in levels)
    for day, label in _months(min(days), max(days)):
        parts.append(f'<path class="grid" d="M{x(day):.1f} {TOP + height}v5"/>')
        parts.append(below(x(day), TOP + height + 20, label))
    band = [*points(low), *reversed(points(high))]
    parts.append(f'<polygon class="band" points="{_joined(band)}" fill="{VALID_COLOR}"/>' if band else "")
    for values, color, dash, name in (
        (everything, ALL_COLOR, "7 3", "with clouds"),
        (valid, VALID_COLOR, "", "without clouds"),
    ):
        line = _joined(points(values))
        parts.append(f'<polyline points="{line}" stroke="{color}" stroke-dasharray="{dash}"/>' if line else "")
        for day, value in zip(days, values, strict=False):
            if value is not None:
                words = f"<title>{day.isoformat()}, {name}: {value:.2f}</title>"
                parts.append(f'<circle cx="{x(day):.1f}" cy="{y(value):.1f}" r="3.2" fill="{color}">{words}</circle>')
    middle = TOP + height / 2
    parts.append(f'<text transform="rotate(-90 12 {middle:g})" x="12" y="{middle:g}" text-anchor="middle">NDVI</text>')
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def _seen_in_words(counts: np.ndarray) -> str:
    total, dates = int(counts.sum()), len(counts) - 1
    seen = np.flatnonzero(counts)
    # The number that at least half of the pixels reach.
    at_least = counts[::-1].cumsum()[::-1]
    half = int(np.flatnonzero(2 * at_least >= total)[-1])
    spread = f"between {seen[0]} and {seen[-1]} times" if len(seen) > 1 else _times(int(seen[0]))
    words = (
        f"There are {dates} acquisition dates. A pixel was seen clearly {spread}, half of the pixels at least "
        f"{_times(half)}."
    )
    return f"{words} Never seen: {percent(counts[0] / total)}." if counts[0] else words


def _times(n: int) -> str:
    return {0: "0 times", 1: "once", 2: "twice"}.get(n, f"{n} times")


def _counts_map(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    values = _plane(facts.get("counts_map"))
    words = "How often each place was seen clearly, without cloud and with data."
    return _map("Valid observations", values, COUNT_RAMP, lambda v: f"{v:.0f}", words)


def _cloud_map(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    values = _plane(facts.get("cloud_map"))
    if values is not None and np.asarray(facts["cloud_map"]).dtype == np.uint8:
        values = np.where(values == _UNKNOWN_PERCENT, np.nan, values / 100)
    words = "Mean probability of cloud over each place, on the dates with data."
    return _map("Mean cloud probability", values, CLOUD_RAMP, lambda v: percent(v, digits=0), words)


def _plane(values: Any) -> np.ndarray | None:
    """(y, x), float64, None as NaN; None for nothing."""
    if values is None or np.size(values) == 0:
        return None
    plane = np.array(values, "float64")
    if plane.ndim != 2:
        raise ValueError(f"A map has the axes (y, x), not the shape {plane.shape}.")
    return plane


def _map(title: str, values: np.ndarray | None, ramp: Sequence[str], write: Any, caption: str) -> dict[str, Any] | None:
    if values is None or not np.isfinite(values).any():
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    small = shrink(values, _MAP_SIDE)
    known = np.isfinite(small)
    codes = np.zeros(small.shape, "uint8")
    codes[known] = 1 + np.rint(254 * (small[known] - low) / (high - low or 1))
    colors = {0: UNKNOWN_COLOR} | {1 + i: color for i, color in enumerate(_shades(ramp, 255))}
    return {
        "title": title,
        "uri": data_uri(paint(codes, colors)),
        "ramp": ", ".join(ramp),
        "low": write(low),
        "high": write(high),
        "unknown": "" if np.isfinite(values).all() else UNKNOWN_COLOR,
        "caption": caption,
    }


def _shades(ramp: Sequence[str], n: int) -> list[str]:
    """``n`` colours evenly along the ramp, mixed in sRGB."""
    stops = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in ramp])
    at = np.linspace(0, len(ramp) - 1, n)
    mixed = np.stack([np.interp(at, range(len(ramp)), stops[:, c]) for c in range(3)], axis=1)
    return ["#{:02x}{:02x}{:02x}".format(*color) for color in np.rint(mixed).astype(int).tolist()]


def _numbers(values: Iterable[Any]) -> list[float | None]:
    """As floating-point numbers, None where missing or not finite."""
    return [None if v is None or not math.isfinite(v) else float(v) for v in values]


def _months(first: date, last: date) -> list[tuple[date, str]]:
    """First days of months within the time, about 13 at most; the first of them, and any January, with the year."""
    starts = []
    day = first.replace(day=1)
    while day <= last:
        if day >= first:
            starts.append(day)
        day = (day + timedelta(days=32)).replace(day=1)
    every = next((n for n in (1, 2, 3, 6) if len(starts) <= 13 * n), 12)
    # Counted from January, so that all years are labelled alike.
    chosen = [day for day in starts if (day.month - 1) % every == 0]
    years = [day.year if day.month == 1 or day == chosen[0] else "" for day in chosen]
    return [(day, f"{_MONTHS[day.month - 1]} {year}".strip()) for day, year in zip(chosen, years, strict=True)]


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
