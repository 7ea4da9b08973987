"""How far the map's probabilities can be trusted, and what moving a threshold does: charts, tables and words."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.report.drawing.charts import line_key, reliability_svg, threshold_svg
from landweave.report.words import percent, span


def calibration(found: Mapping[str, Any] | None, subject: str = "map") -> dict[str, Any] | None:
    """The reliability diagram with its figures and words; None where nothing was compared."""
    if not found or not found["pixels"]:
        return None
    excess = found["overconfidence"]
    value, low, high = (excess[key] for key in ("value", "low", "high"))
    surer = "surer than it may be" if value > 0 else "less sure than it might be"
    words = f"On average the {subject} is {surer}, by {abs(100 * value):.1f} points"
    if low is not None:
        words += f" (95 % interval of stated less true: {100 * low:+.1f} to {100 * high:+.1f} points)"
        words += "; that is no more than chance would give" if low <= 0 <= high else ""
    rows = [
        {
            "range": f"{100 * b['from']:.0f} to {100 * b['to']:.0f}",
            "share": percent(b["share"]),
            "confidence": percent(b["confidence"]),
            "agreement": percent(b["agreement"]["value"]),
            "interval": span(b["agreement"]),
            "pixels": b["pixels"],
        }
        for b in found["bins"]
        if b["pixels"]
    ]
    return {
        "svg": reliability_svg(found),
        "error": f"{100 * found['expected_calibration_error']['value']:.1f}",
        "words": f"{words}.",
        "rows": rows,
        "bins": len(found["bins"]),
    }


def thresholds(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What moving thresholds does, and which are suggested; None where nothing is known of it."""
    if not found or "classes" not in found:
        return None
    chosen, suggested, now = found["chosen"], found["suggested"], found["now"]
    side = "test" if "test" in found else "out_of_fold"
    charts = [
        {
            "name": name,
            "svg": threshold_svg(
                name, effect, now=now.get(name, 1.0), chosen=chosen.get(name, 1.0) if suggested else None
            ),
        }
        for name, effect in found["classes"].items()
    ]
    return {
        "charts": charts,
        "keys": [
            (line_key("main"), "recall"),
            (line_key("main", "5 3"), "precision"),
            *([(line_key("check"), "the same on the test places, as a check")] if "test" in found else []),
            (line_key("now"), "threshold in force"),
            *([(line_key("chosen"), "suggested")] if suggested else []),
        ],
        "rows": [_threshold_row(found, name, side) for name in found["classes"]],
        "side": "on the test places" if side == "test" else "out of fold",
        "words": _threshold_words(found, side),
        "toml": _toml(suggested) if suggested and suggested != now else "",
    }


def _threshold_row(found: Mapping[str, Any], name: str, side: str) -> dict[str, Any]:
    """Recall and precision of a class now, and with its threshold at about half and twice of what it is."""
    effect, now = found["classes"][name], found["now"].get(name, 1.0)
    tried = np.array(effect["threshold"])
    cells = []
    for wanted in (now / 2, now, now * 2):
        at = int(np.abs(np.log(tried / wanted)).argmin())
        cells.append({key: percent(effect[side][key][at], digits=0) for key in ("recall", "precision")})
    return {"name": name, "now": f"{now:g}", "suggested": f"{found['suggested'].get(name, 1.0):g}", "cells": cells}


def _threshold_words(found: Mapping[str, Any], side: str) -> list[str]:
    key, fold = found["objective"], found["out_of_fold"]
    objective = {"macro_f1": "the mean F1 of the classes", "weighted_f1": "the weighted F1"}[key]
    if not found["chosen"]:
        return [f"None is suggested: none that was tried raises {objective} on the out-of-fold rows."]
    if fold["cross_fitted"] is None:
        return ["None is suggested: they could not be tried on places that had no say in choosing them."]
    held = f"{objective} went from {percent(fold['plain'][key])} to {percent(fold['cross_fitted'][key])}"
    trial = (
        f"Thresholds were chosen on all folds of the training places but one and tried on that one, in turn: {held}."
    )
    if not found["suggested"]:
        return [f"None is suggested. {trial} What they gain where they are chosen does not hold elsewhere."]
    if found["chosen"] == found["now"]:
        return [f"Those in force are those that would be chosen to raise {objective}. {trial}"]
    words = [f"Suggested for the project file's [model], to raise {objective}. {trial}"]
    if side == "test":
        before, after = found["test"]["now"], found["test"]["chosen"]
        words.append(
            f"On the test places, which had no say, they take it from {percent(before[key])} to {percent(after[key])}, "
            f"and overall agreement from {percent(before['overall_accuracy'])} to "
            f"{percent(after['overall_accuracy'])}."
        )
    return words


def _toml(suggested: Mapping[str, float]) -> str:
    """As it is written in the project file."""
    entries = []
    for name, t in suggested.items():
        key = name if name.isidentifier() and name.isascii() else json.dumps(name, ensure_ascii=False)
        entries.append(f"{key} = {t:g}")
    return f"thresholds = {{ {', '.join(entries)} }}"
