"""Sections on classes: tables, matrices, curves and their sentences, from ``accuracy.json``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.report.drawing.charts import Curve, square_svg
from landweave.report.drawing.images import key_svg
from landweave.report.sections.certainty import calibration, thresholds
from landweave.report.verdicts import FAIR, FEW_TEST, GOOD, explained, lead, separability, summaries
from landweave.report.words import mixed_up, percent, span

SCORES = {
    "recall": "Producer's accuracy (recall)",
    "precision": "User's accuracy (precision)",
    "f1": "F1",
    "auc": "AUC",
}
"""Columns of the table of classes: the key in ``accuracy.json`` and the heading."""

FEW = 30
"""A class with fewer test pixels is marked."""

SPARE_COLOR = "#999999"
"""Colour of a class that is not in the legend."""


def class_sections(accuracy: Mapping[str, Any], colors: Mapping[str, str], subject: str = "map") -> dict[str, Any]:
    """Values for the sections on classes.

    Parameters
    ----------
    accuracy
        The content of ``accuracy.json``; missing parts are left out.
    colors
        Class name to ``#rrggbb``.
    subject
        ``map``, or ``model`` if there is no map.

    Returns
    -------
    dict
        Values for the page's template, by the section's name.
    """
    judged = summaries(accuracy)
    return {
        "summary": {
            "lead": lead(judged, subject),
            "rows": judged,
            "good": percent(GOOD, digits=0),
            "fair": percent(FAIR, digits=0),
            "least": FEW_TEST,
        },
        "table": class_table(accuracy),
        "matrices": matrices(accuracy["confusion"]),
        "pairs": mixed_up(accuracy["confusion"]),
        "explained": explained(accuracy),
        "frequencies": frequencies(accuracy),
        "separability": {"rows": [_separable_row(row) for row in separability(accuracy)]},
        "curves": curves(accuracy, colors),
        "calibration": calibration(accuracy.get("calibration"), subject),
        "thresholds": thresholds(accuracy.get("thresholds")),
    }


def class_table(accuracy: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the per-class table; equal reasons for a missing interval share one mark."""
    marks: dict[str, str] = {}

    def cell(key: str, score: Mapping[str, Any]) -> dict[str, str]:
        reason = score.get("reason", "")
        if score["value"] is None and reason == "never mapped":
            return {"value": reason, "interval": "", "mark": ""}
        mark = marks.setdefault(reason, _letter(len(marks))) if reason else ""
        write = three_digits if key == "auc" else percent
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


def matrices(confusion: Mapping[str, Any]) -> dict[str, Any]:
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


def frequencies(accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of each class in training and test, their shares, and the lengths of their bars, 0..1."""
    training = accuracy.get("training_rows") or {}
    test = {name: row["support"] for name, row in accuracy["classes"].items()}
    sums = {"training": sum(training.values()), "test": sum(test.values())}
    most = {"training": max(training.values(), default=0), "test": max(test.values(), default=0)}
    rows = []
    for name in test:
        row: dict[str, Any] = {"name": name, "share_of_land": accuracy.get("test_share", {}).get(name)}
        for side, numbers in (("training", training), ("test", test)):
            n = numbers.get(name)
            row[side] = n
            row[f"{side}_share"] = None if n is None or not sums[side] else n / sums[side]
            row[f"{side}_length"] = 0.0 if not n or not most[side] else n / most[side]
        rows.append(row)
    return rows


def curves(accuracy: Mapping[str, Any], colors: Mapping[str, str]) -> list[dict[str, Any]]:
    """The receiver operating characteristics and the precision-recall curves, with the areas for their keys."""
    kinds = {
        "roc": ("false_positive_rate", "true_positive_rate", "auc", "AUC", "false positive rate", "true positive rate"),
        "precision_recall": ("recall", "precision", "average_precision", "average precision", "recall", "precision"),
    }
    drawn = []
    for kind, (x, y, score, area, x_label, y_label) in kinds.items():
        lines = [
            Curve(name=name, x=np.array(c[x]), y=np.array(c[y]), area=_value(accuracy["classes"][name], score))
            for name, c in accuracy.get(kind, {}).items()
            if name in colors
        ]
        if not lines:
            continue
        what = f"{y_label} against {x_label}, one curve a class; {area} in brackets in the key"
        drawn.append(
            {
                "kind": kind, "area": area,
                "svg": square_svg(lines, colors, x=x_label, y=y_label, what=what, chance=kind == "roc"),
                "key": [(key_svg(i, colors[c.name]), c.name, three_digits(c.area)) for i, c in enumerate(lines)],
            }
        )  # fmt: skip
    return drawn


def _separable_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: row[key] for key in ("name", "share", "training", "verdict", "meaning", "sure")},
        **{key: three_digits(row[key]["value"]) for key in ("auc", "average_precision")},
        **{f"{key}_interval": span(row[key], three_digits) for key in ("auc", "average_precision")},
    }


def _value(row: Mapping[str, Any], score: str) -> float | None:
    found: float | None = (row.get(score) or {}).get("value")
    return found


def _or_none(matrix: np.ndarray) -> list[list[float | None]]:
    return [[float(v) if np.isfinite(v) else None for v in row] for row in matrix]


def three_digits(value: float | None) -> str:
    """A figure of 0..1 that is not a share.

    >>> three_digits(0.98765), three_digits(None)
    ('0.988', '—')
    """
    return "—" if value is None else f"{value:.3f}"


def _letter(i: int) -> str:
    return chr(ord("a") + i % 26) * (1 + i // 26)
