"""One page that says how far the map agrees with the reference, for people who make or use the map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.accuracy.figures import Curve, data_uri, key_svg, paint, roc_svg, shrink
from landweave.accuracy.observed import observed_section
from landweave.accuracy.words import headline, mixed_up, percent, span, split_sentence

if TYPE_CHECKING:
    import jinja2

SCORES = {
    "recall": "Producer's accuracy (recall)",
    "precision": "User's accuracy (precision)",
    "f1": "F1",
    "auc": "AUC",
}
"""Columns of the table of classes: the key in ``accuracy.json`` and the heading."""

FEW = 30
"""A class with fewer test pixels is marked."""

_MAP_SIDE, _PANEL_SIDE = 1200, 360


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One patch seen three ways."""

    name: str
    """The patch."""

    image: np.ndarray | None
    """True colour, uint8 (y, x, 3); None where the imagery was not kept."""

    reference: np.ndarray
    """Class values of the reference, uint8 (y, x)."""

    prediction: np.ndarray
    """Class values of the map, uint8 (y, x)."""

    caption: str = ""
    """Such as the date of the image."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage of the run took."""

    name: str
    """As on the command line."""

    seconds: float
    """By the clock."""

    cpu_seconds: float | None = None
    """Of all processes together."""

    peak_bytes: int | None = None
    """Most memory held by one process."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A further part of the page."""

    title: str
    """Heading."""

    paragraphs: Sequence[str] = ()
    """Sentences before the table."""

    header: Sequence[str] = ()
    """Names of the table's columns."""

    rows: Sequence[Sequence[str]] = ()
    """Cells, row by row, as text."""


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """Everything that the page shows; what is empty is left out."""

    title: str
    """Such as the project's name."""

    subtitle: str = ""
    """One sentence: area, year, source."""

    accuracy: Mapping[str, Any] | None
    """The content of ``accuracy.json``; None where there was no reference."""

    legend: Sequence[tuple[int, str, str]]
    """Value, name and ``#rrggbb`` of every class, in the legend's order."""

    warnings: Sequence[str] = ()
    """What the reader must know before trusting a figure."""

    map_image: np.ndarray | None = None
    """The map: class values, uint8 (y, x), or red, green and blue, uint8 (y, x, 3); shrunk as needed."""

    map_caption: str = ""
    """One sentence under the map."""

    training: Mapping[str, int] = field(default_factory=dict)
    """Training rows of each class, by name."""

    land: Mapping[str, float] = field(default_factory=dict)
    """Share of each class in the training land, by name, 0..1."""

    curves: Sequence[Curve] = ()
    """ROC of each class."""

    shares: Sequence[tuple[str, float | None, float | None]] = ()
    """Class, mapped share and reference share, 0..1."""

    panels: Sequence[Panel] = ()
    """Patches side by side."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Setting to value, as text."""

    stages: Sequence[Stage] = ()
    """The run record."""

    notes: Sequence[str] = ()
    """Further sentences under the headline, such as the demo's figures against the (simulated) truth."""

    sections: Sequence[Section] = ()
    """Further parts, before the settings."""

    observed: Mapping[str, Any] | None = None
    """What the satellite saw, as :func:`landweave.accuracy.observed.observed_section` takes it."""


def render_report(content: ReportContent) -> str:
    """The report as one self-contained HTML file without outside links; the same bytes each time.

    Parameters
    ----------
    content
        What to show. All its text is escaped.

    Returns
    -------
    str
        HTML5, UTF-8; under 3 MB, since pictures are shrunk.
    """
    colors = {name: color for _, name, color in content.legend}
    by_value = {value: color for value, _, color in content.legend}
    accuracy = content.accuracy
    drawn = [curve for curve in content.curves if curve.name in colors]
    return _template().render(
        content=content,
        colors=colors,
        headline=None if accuracy is None else headline(accuracy),
        split=None if accuracy is None else split_sentence(accuracy.get("split", {})),
        table=None if accuracy is None else _class_table(accuracy),
        matrices=None if accuracy is None else _matrices(accuracy["confusion"]),
        pairs=[] if accuracy is None else mixed_up(accuracy["confusion"]),
        scores=SCORES,
        roc=roc_svg(drawn, colors) if drawn else "",
        curves=[(key_svg(i, colors[c.name]), c.name, c.auc) for i, c in enumerate(drawn)],
        training=_bars(content.training),
        map_uri=None if content.map_image is None else _picture(content.map_image, by_value, _MAP_SIDE),
        panels=[_panel(panel, by_value) for panel in content.panels],
        observed=None if content.observed is None else observed_section(content.observed),
    )


@cache
def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["percent"] = percent
    source = files("landweave.accuracy").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def _class_table(accuracy: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the per-class table; equal reasons for a missing interval share one mark."""
    marks: dict[str, str] = {}

    def cell(key: str, score: Mapping[str, Any]) -> dict[str, str]:
        reason = score.get("reason", "")
        if score["value"] is None and reason == "never mapped":
            return {"value": reason, "interval": "", "mark": ""}
        mark = marks.setdefault(reason, _letter(len(marks))) if reason else ""
        write = _three_digits if key == "auc" else percent
        return {"value": write(score["value"]), "interval": span(score, write), "mark": mark}

    rows = [
        {
            "name": name,
            "cells": [cell(key, scores[key]) for key in SCORES],
            "support": scores["support"],
            "few": 0 < scores["support"] < FEW,
        }
        for name, scores in accuracy["classes"].items()
    ]
    return {"rows": rows, "notes": {mark: reason for reason, mark in marks.items()}}


def _matrices(confusion: Mapping[str, Any]) -> dict[str, Any]:
    """Both normalised confusion matrices, and the counts.

    Rows of ``producers`` sum to 1 (what became of each reference class), columns of ``users`` (what each mapped
    class is made of); None where a row or column is empty.
    """
    counts = np.array(confusion["counts"], "int64")
    land = np.array(confusion.get("weighted", confusion["counts"]), "float64")
    lost = np.array(confusion.get("unclassified_weighted", confusion.get("unclassified", [])), "float64")
    whole = np.column_stack([land, lost]) if len(lost) else land
    with np.errstate(invalid="ignore", divide="ignore"):
        producers, users = whole / whole.sum(axis=1, keepdims=True), land / land.sum(axis=0)
    return {
        "labels": list(confusion["labels"]),
        "producers": _or_none(producers),
        "users": _or_none(users),
        "counts": counts.tolist(),
        "unclassified": list(confusion.get("unclassified", [])),
        "weighted": "weighted" in confusion,
    }


def _or_none(matrix: np.ndarray) -> list[list[float | None]]:
    return [[float(v) if np.isfinite(v) else None for v in row] for row in matrix]


def _bars(numbers: Mapping[str, int]) -> list[tuple[str, int, float, float]]:
    """Name, number, share of all, and length against the longest."""
    total, most = sum(numbers.values()), max(numbers.values(), default=0)
    return [(name, n, n / max(total, 1), n / max(most, 1)) for name, n in numbers.items()]


def _panel(panel: Panel, colors: Mapping[int, str]) -> dict[str, Any]:
    views = [("Image", panel.image), ("Reference", panel.reference), ("Prediction", panel.prediction)]
    return {
        "name": panel.name,
        "caption": panel.caption,
        "views": [(what, None if a is None else _picture(a, colors, _PANEL_SIDE)) for what, a in views],
    }


def _picture(pixels: np.ndarray, colors: Mapping[int, str], side: int) -> str:
    small = shrink(pixels, side)
    return data_uri(paint(small, colors) if small.ndim == 2 else small)


def _three_digits(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"


def _letter(i: int) -> str:
    return chr(ord("a") + i % 26) * (1 + i // 26)
