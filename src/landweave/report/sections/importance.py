"""Importance of layers and dates, the reliance test, and values of the classes on a good and a poor date."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from landweave.report.drawing.images import DASHES, checked, data_uri, key_svg, shrink
from landweave.report.words import percent

SNOWY = 0.5
"""A target date is marked if acquisitions with snow contribute at least this share to it."""

_CELL, _ROW, _NAME, _HEAD = 27, 24, 92, 62
_IMAGE_SIDE = 200
_WIDTH, _HEIGHT, _LEFT, _TOP = 340, 150, 34, 10


def reasons_section(
    importance: Mapping[str, Any] | None, images: Mapping[str, np.ndarray], colors: Mapping[str, str]
) -> dict[str, Any] | None:
    """Values for the section on importance.

    Parameters
    ----------
    importance
        The content of ``importance.json``, or None.
    images
        Acquisition date to a picture of it, uint8 (y, x, 3).
    colors
        Class name to ``#rrggbb``.

    Returns
    -------
    dict or None
        Only ``reason`` if the run has none; else values for the page's template.
    """
    if importance is None:
        return None
    if "reason" in importance:
        return {"reason": importance["reason"]}
    grid = np.array(importance["map"], "float64")
    snowy = _snowy_dates(importance)
    shown = [cell["heaviest"] for cell in importance["hot_cells"] if cell["heaviest"] in images]
    pictures = list(dict.fromkeys(shown))
    return {
        "map": importance_svg(grid, importance["layers"], importance["dates"], snowy),
        "drawn": _drawn(importance["drawn"]),
        "snow": any(snowy),
        "cells": [_cell(cell, pictures) for cell in importance["hot_cells"]],
        "images": [
            (f"image-{n}", day, data_uri(shrink(images[day], _IMAGE_SIDE), photo=True))
            for n, day in enumerate(pictures, start=1)
        ],
        "static": [
            (name, percent(value)) for name, value in zip(importance["static"], importance["map_static"], strict=True)
        ],
        "elsewhere": [(name, percent(value)) for name, value in importance.get("elsewhere", {}).items()],
        "permutation": _permutation(importance["permutation"]),
        "reliance": _reliance(importance["reliance"]),
        "rule": importance["reliance"].get("rule", ""),
        "histograms": _histograms(importance["histograms"], colors),
    }


def reliance_warnings(importance: Mapping[str, Any] | None) -> list[str]:
    """A sentence for each test that found the result relying on the removed acquisitions."""
    tests = (importance or {}).get("reliance") or {}
    return [
        f"The result relies on {what}: {tests[name]['why']}."
        for name, what in (("leading", "a single acquisition"), ("snow", "acquisitions with snow"))
        if (tests.get(name) or {}).get("relies")
    ]


def importance_svg(grid: np.ndarray, layers: Sequence[str], dates: Sequence[str], snowy: Sequence[bool]) -> Markup:
    """Layers and target dates; darker cells are more important, and important cells show their percentage.

    Parameters
    ----------
    grid
        Importance, (layers, dates); below 0 counts as nothing.
    layers, dates
        Names of rows and columns; dates as ISO.
    snowy
        Columns that are marked with an S.
    """
    most = max(float(grid.max(initial=0)), 1e-12)
    width, height = _NAME + _CELL * len(dates) + 4, _HEAD + _ROW * len(layers) + 4
    what = "Importance of each layer on each target date"
    parts = [
        f'<svg class="heat" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" aria-label="{what}">'
    ]
    for k, day in enumerate(dates):
        x, y = _NAME + _CELL * (k + 0.5), _HEAD - 8
        upright = f'transform="rotate(-90 {x + 4:.1f} {y})" x="{x + 4:.1f}" y="{y}"'
        parts.append(f"<text {upright}>{escape(day[5:])}</text>")
        if snowy[k]:
            parts.append(f'<text class="snow" x="{x:.1f}" y="10" text-anchor="middle">S</text>')
    for n, layer in enumerate(layers):
        y = _HEAD + _ROW * n
        parts.append(f'<text x="{_NAME - 8}" y="{y + 16}" text-anchor="end">{escape(layer)}</text>')
        for k, day in enumerate(dates):
            value = max(float(grid[n, k]), 0.0)
            # As in the confusion matrices: never so dark that the number on it cannot be read.
            share = 0.7 * value / most
            words = f"{escape(layer)}, {escape(day)}: {percent(value)}"
            parts.append(
                f'<rect x="{_NAME + _CELL * k + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_ROW - 2}" '
                f'style="--share:{share:.3f}"><title>{words}</title></rect>'
            )
            if 100 * value >= 0.95:
                parts.append(
                    f'<text class="much" x="{_NAME + _CELL * (k + 0.5):.1f}" y="{y + 16}" '
                    f'text-anchor="middle">{100 * value:.0f}</text>'
                )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - names were escaped


def histogram_svg(
    counts: Mapping[str, Sequence[int]], edges: Sequence[float], colors: Mapping[str, str], day: str
) -> Markup:
    """Values of each class on a date: the share of the class in each bin, one line per class."""
    what = f"Values of each class on {escape(day)}"
    box = f"0 0 {_LEFT + _WIDTH + 10} {_TOP + _HEIGHT + 22}"
    shares = {name: np.array(row, "float64") / max(sum(row), 1) for name, row in counts.items()}
    top = max((float(part.max(initial=0)) for part in shares.values()), default=0.0) or 1.0
    parts = [f'<svg class="small" viewBox="{box}" role="img" aria-label="{what}">']
    for level in (0.0, 0.5, 1.0):
        at = _TOP + _HEIGHT * (1 - level)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {at:g}h{_WIDTH}"/>'
            f'<text x="{_LEFT - 5}" y="{at + 4:g}" text-anchor="end">{100 * top * level:.0f}</text>'
        )
    for share in (0.0, 0.5, 1.0):
        value = edges[0] + share * (edges[-1] - edges[0])
        parts.append(
            f'<text x="{_LEFT + _WIDTH * share:g}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{value:.2f}</text>'
        )
    bins = len(edges) - 1
    for i, (name, part) in enumerate(shares.items()):
        line = " ".join(
            f"{_LEFT + _WIDTH * (b + 0.5) / bins:.1f},{_TOP + _HEIGHT * (1 - value / top):.1f}"
            for b, value in enumerate(part)
        )
        color, dash = checked(colors.get(name, "#999999")), DASHES[i % len(DASHES)]
        parts.append(
            f'<g><title>{escape(name)}</title><polyline class="under" points="{line}" stroke-dasharray="{dash}"/>'
            f'<polyline points="{line}" stroke="{color}" stroke-dasharray="{dash}"/></g>'
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - names were escaped, colours checked


def _drawn(kind: str) -> str:
    return {
        "gain": "Share of each feature in the gain of all splits of the map's trees",
        "importances": "Importance of each feature according to the classifier",
        "permutation": "Loss in agreement when a feature's values are shuffled between held-out pixels",
    }.get(kind, kind)


def _snowy_dates(importance: Mapping[str, Any]) -> list[bool]:
    """Target dates to which acquisitions with snow contribute most."""
    fed = np.array(importance["feeding"], "float64").reshape(len(importance["dates"]), -1)
    white = np.array([bool(a["is_snow"]) for a in importance["acquisitions"]], "float64")
    return [bool(share >= SNOWY) for share in fed @ white] if fed.shape[1] == len(white) else [False] * len(fed)


def _cell(cell: Mapping[str, Any], pictures: Sequence[str]) -> dict[str, Any]:
    fed = [
        f"{a['date']} ({percent(a['share'], digits=0)}{', snow' if (a['snow'] or 0) > 0.1 else ''})"
        for a in cell["acquisitions"][:3]
    ]
    heaviest = cell["heaviest"]
    return {
        "layer": cell["layer"], "date": cell["date"], "importance": percent(cell["importance"]),
        "fed": ", ".join(fed) or "—",
        "anchor": f"image-{pictures.index(heaviest) + 1}" if heaviest in pictures else "", "heaviest": heaviest or "",
    }  # fmt: skip


def _permutation(found: Mapping[str, Any]) -> dict[str, Any]:
    """Losses by date and by layer, largest first, with the lengths of their bars."""

    def bars(groups: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        most = max((max(part["value"], 0.0) for part in groups.values()), default=0.0) or 1.0
        rows = sorted(groups.items(), key=lambda pair: -pair[1]["value"])
        return [
            {
                "name": name, "value": f"{100 * part['value']:.1f}", "length": max(part["value"], 0.0) / most,
                "spread": "" if part["spread"] is None else f"± {100 * part['spread']:.1f}",
            }
            for name, part in rows
        ]  # fmt: skip

    return {
        "rows": found["rows"],
        "sides": [("Target date", bars(found["by_date"])), ("Layer", bars(found["by_layer"]))],
    }


def _reliance(tests: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    for name, what in (("leading", "The leading acquisition"), ("snow", "All acquisitions with snow")):
        test = tests.get(name)
        if not test:
            continue
        removed = ", ".join(test["removed"][:6]) + (
            f" and {len(test['removed']) - 6} more" if len(test["removed"]) > 6 else ""
        )
        verdict = {True: "relies", False: "does not rely", None: "unknown"}[test.get("relies")]
        rows.append(
            {
                "what": what,
                "removed": removed or "—",
                "verdict": verdict,
                "why": test.get("why") or test.get("reason", ""),
            }
        )
    return rows


def _histograms(found: Mapping[str, Any] | None, colors: Mapping[str, str]) -> dict[str, Any] | None:
    if not found:
        return None
    names = list(dict.fromkeys(name for part in found["dates"].values() for name in part))
    return {
        "layer": found["layer"],
        "charts": [
            (what, found[what], histogram_svg(found["dates"][found[what]], found["edges"], colors, found[what]))
            for what in ("good", "poor")
        ],
        "key": [(key_svg(i, colors.get(name, "#999999")), name) for i, name in enumerate(names)],
    }
