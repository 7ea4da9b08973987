"""Calibration of the map's probabilities and the effect of thresholds: charts, tables and sentences."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.report.drawing.charts import line_key, reliability_svg, threshold_svg
from landweave.report.words import percent, span


def calibration(found: Mapping[str, Any] | None, subject: str = "map") -> dict[str, Any] | None:
    """The reliability diagram with its figures and sentences; None if nothing was compared."""
    if not found or not found["pixels"]:
        return None
    excess = found["overconfidence"]
    value, low, high = (excess[key] for key in ("value", "low", "high"))
    surer = "too confident" if value > 0 else "not confident enough"
    words = f"On average the {subject} is {surer}, by {abs(100 * value):.1f} points"
    if low is not None:
        words += f" (95 % interval of stated minus observed: {100 * low:+.1f} to {100 * high:+.1f} points)"
        words += "; this may be chance" if low <= 0 <= high else ""
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
    parts = [
        {
            "name": name,
            "share": percent(part["share"]),
            "confidence": percent(part["confidence"]),
            "agreement": percent(part["agreement"]),
            "excess": f"{100 * part['overconfidence']['value']:+.1f}",
            "interval": _points(part["overconfidence"]),
        }
        for name, part in _parts(found).items()
        if part["pixels"]
    ]
    brier = found.get("brier") or {"value": None}
    return {
        "parts": parts,
        "brier": "" if brier["value"] is None else f"{brier['value']:.3f}",
        "svg": reliability_svg(found),
        "error": f"{100 * found['expected_calibration_error']['value']:.1f}",
        "words": f"{words}.",
        "rows": rows,
        "bins": len(found["bins"]),
    }


def _parts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Inside and at borders, then by the class shown."""
    parts = found.get("parts") or {}
    names = {"core": "Inside the reference's areas", "ring": "Border ring"}
    return {names[key]: part for key, part in parts.items()} | {
        f"Shown as {name}": part for name, part in (found.get("classes") or {}).items()
    }


def _points(score: Mapping[str, Any]) -> str:
    return "" if score.get("low") is None else f"{100 * score['low']:+.1f} to {100 * score['high']:+.1f}"


def thresholds(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Effect of thresholds, and suggested ones; None if it was not computed."""
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
            *([(line_key("check"), "the same on the test places")] if "test" in found else []),
            (line_key("now"), "current threshold"),
            *([(line_key("chosen"), "suggested")] if suggested else []),
        ],
        "rows": [_threshold_row(found, name, side) for name in found["classes"]],
        "side": "on the test places" if side == "test" else "out of fold",
        "words": _threshold_words(found, side),
        "toml": _toml(suggested) if suggested and suggested != now else "",
    }


def _threshold_row(found: Mapping[str, Any], name: str, side: str) -> dict[str, Any]:
    """Recall and precision of a class with its current threshold, and with about half and twice of it."""
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
        return [f"No thresholds are suggested: none of those tried raises {objective} on the out-of-fold rows."]
    if fold["cross_fitted"] is None:
        return ["No thresholds are suggested: they could not be tested on places that were not used to choose them."]
    held = f"{objective} changed from {percent(fold['plain'][key])} to {percent(fold['cross_fitted'][key])}"
    trial = f"Thresholds were chosen without one fold of the training places and tested on it, for each fold: {held}."
    if not found["suggested"]:
        return [f"No thresholds are suggested. {trial} The gain is not confirmed on other places."]
    if found["chosen"] == found["now"]:
        return [f"The current thresholds are already the best for {objective}. {trial}"]
    words = [f"Suggested for the project file's [model], to raise {objective}. {trial}"]
    if side == "test":
        before, after = found["test"]["now"], found["test"]["chosen"]
        words.append(
            f"On the test places, which were not used, they change it from {percent(before[key])} to "
            f"{percent(after[key])}, and overall agreement from {percent(before['overall_accuracy'])} to "
            f"{percent(after['overall_accuracy'])}."
        )
    return words


def _toml(suggested: Mapping[str, float]) -> str:
    """As in the project file."""
    entries = []
    for name, t in suggested.items():
        key = name if name.isidentifier() and name.isascii() else json.dumps(name, ensure_ascii=False)
        entries.append(f"{key} = {t:g}")
    return f"thresholds = {{ {', '.join(entries)} }}"
