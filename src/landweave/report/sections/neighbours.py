"""Sections on spatial splits, distances to training places, leaks and edges."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from landweave.report.drawing.axes import LEFT, RIGHT, TOP, WIDTH, below, frame, level, nice
from landweave.report.drawing.charts import line_key
from landweave.report.words import interval_words, percent, span

SPLITS = {
    "random": ("Random pixels", "neighbours of the test pixels were trained on"),
    "patch": ("Whole patches", "no pixel of the test patches was trained on"),
    "quarter": ("Quarters of patches", "no pixel of the test quarters was trained on"),
    "block": ("Blocks as wide as the range of errors", "no pixel of the test blocks was trained on"),
}
"""Splits from the most to the least optimistic: name, and what is held out."""

LINES = {"map": ("area", ""), "held_out": ("main", ""), "random": ("check", "2 3"), "block": ("now", "7 3")}
"""Distances to draw: the style class of each line, and its dashes."""


def split_section(accuracy: Mapping[str, Any]) -> dict[str, Any] | None:
    """The table of splits and its meaning; None if ``accuracy.json`` has none.

    Returns
    -------
    dict
        ``rows`` (``name``, ``meaning``, ``agreement``, ``interval``, ``f1``), ``words`` (sentences), ``reasons`` (why a
        split is missing).
    """
    compared = accuracy.get("splits") or {}
    rows = [
        {
            "name": name,
            "meaning": meaning,
            "agreement": percent(compared[key]["overall_accuracy"]["value"]),
            "interval": span(compared[key]["overall_accuracy"]),
            "f1": percent(compared[key]["weighted_f1"]["value"]),
        }
        for key, (name, meaning) in SPLITS.items()
        if "overall_accuracy" in compared.get(key, {})
    ]
    if not rows:
        return None
    settings = compared["settings"]
    first = (
        f"All rows use the same {settings['test_rows']:,} test pixels. They differ only in the training pixels of the "
        f"models ({settings['folds']} folds). Models and samples are smaller than the map's, so compare the rows with "
        "each other, not with the held-out agreement."
    )
    words = [first]
    words.extend(_gap(compared, "random", name) for name in ("patch", "quarter", "block"))
    reach = compared.get("range") or {}
    if reach.get("metres"):
        wide = ": blocks have this width" if "overall_accuracy" in compared.get("block", {}) else ""
        words.append(
            f"Errors are correlated up to about {_metres(reach['metres'])} "
            f"(where the correlation has fallen to a twentieth){wide}."
        )
    words.append(_learning(accuracy.get("learning") or {}))
    reasons = [f"{SPLITS[key][0]}: {compared[key]['reason']}." for key in SPLITS if "reason" in compared.get(key, {})]
    return {"rows": rows, "words": [sentence for sentence in words if sentence], "reasons": reasons}


def _learning(found: Mapping[str, Any]) -> str:
    """How much agreement grew with the training land, in a sentence; "" where it is not known."""
    points = found.get("points")
    if not points:
        return ""
    rows = ", ".join(f"{percent(p['overall_accuracy']['value'])} with {p['units']}" for p in points)
    gain = found["doubling"]
    between = (
        "" if gain.get("low") is None else f" (95 % interval: {100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"
    )
    verdict = "more training land would probably help"
    if gain.get("low") is None:
        verdict = "there are too few units for an interval"
    elif gain["low"] <= 0:
        verdict = "which may be chance, so more training land of this kind would help little"
    return (
        f"Learning curve, small models at the test places by number of training units: {rows}. The last doubling gave "
        f"{100 * gain['value']:+.1f} points{between}: {verdict}."
    )


def _gap(compared: Mapping[str, Any], easy: str, hard: str) -> str:
    gap = (compared.get("gaps") or {}).get(f"{easy} - {hard}")
    if gap is None or gap["value"] is None:
        return ""
    points = f"{100 * gap['value']:+.1f} points"
    between = "" if gap.get("low") is None else f" (95 % interval: {100 * gap['low']:+.1f} to {100 * gap['high']:+.1f})"
    named = {"patch": "patches", "quarter": "quarters of patches", "block": "blocks"}[hard]
    lacking = compared.get(hard, {}).get("lacking")
    if lacking:
        verdict = f"partly because a fold had no training row of {', '.join(lacking)}"
    elif gap.get("low") is None:
        verdict = "there are too few units for an interval"
    elif gap["low"] > 0:
        verdict = "so a test next to training pixels is too optimistic"
    elif gap["high"] < 0:
        verdict = "so neighbours did not help here; this is chance, or the model learns places badly"
    else:
        verdict = "which may be chance"
    return f"Optimism gap, random pixels compared with whole {named}: {points}{between}, {verdict}."


def distance_section(accuracy: Mapping[str, Any]) -> dict[str, Any] | None:
    """The histogram of nearest-neighbour distances and its sentences, or None.

    Returns
    -------
    dict
        ``svg``, ``keys`` (a piece of the line, and its meaning), ``words``.
    """
    found = accuracy.get("distances") or {}
    if "map" not in found or "held_out" not in found:
        return None
    meanings = {
        "map": "places on the map",
        "held_out": "test places of the held-out agreement",
        "random": "test places of a random split",
        "block": "test places of blocks",
    }
    drawn = [name for name in LINES if name in found]
    tests = {"held_out": "the held-out test", "random": "a random split", "patch": "a split by patches",
             "quarter": "a split by quarters of patches", "block": "a split by blocks"}  # fmt: skip
    test, own = found["held_out"]["median"], found["map"]["median"]
    words = (
        f"Half of the map is within {_metres(own)} of a training place, half of the test places within "
        f"{_metres(test)}. "
    )
    if test > 2 * own:
        words += "The tests are harder than most of the map: near training places it is likely better than they show."
    elif own > 2 * test:
        words += "The tests are easier than most of the map: far from training places it may be worse than they show."
    else:
        words += "The tests are about as hard as the map."
    like = found.get("like_the_map")
    if like in tests:
        words += f" Of all splits, {tests[like]} has the distances most similar to the map."
    keys = [(line_key(*LINES[name]), meanings[name]) for name in drawn]
    return {"svg": distance_svg(found, drawn), "keys": keys, "words": words}


def distance_svg(found: Mapping[str, Any], drawn: Sequence[str]) -> Markup:
    """Shares of the land by distance to the nearest training place, a step line each, on a logarithmic axis.

    Parameters
    ----------
    found
        As :func:`landweave.accuracy.spatial.distances.distance_figures` gives it.
    drawn
        Names to draw; those of :data:`LINES`.
    """
    edges, height, width = np.array(found["edges"], "float64"), 200, WIDTH - LEFT - RIGHT
    slot = width / (len(edges) - 1)
    most = 100 * max(max(found[name]["shares"]) for name in drawn)
    step = nice(most / 3)
    top = step * np.ceil(most / step - 1e-9)
    parts = [frame(height, "Share of the land by distance to the nearest training place")]
    parts.extend(level(TOP + height * (1 - v / top), f"{v:g} %") for v in np.arange(0, top + step / 2, step))
    for name in drawn:
        style, dash = LINES[name]
        ups = [TOP + height * (1 - 100 * share / top) for share in found[name]["shares"]]
        line = " ".join(f"{LEFT + slot * (i + side):.1f},{up:.1f}" for i, up in enumerate(ups) for side in (0, 1))
        if style == "area":
            floor = TOP + height
            parts.append(f'<polygon class="{style}" points="{LEFT},{floor} {line} {LEFT + width},{floor}"/>')
        else:
            parts.append(f'<polyline class="{style}" points="{line}" stroke-dasharray="{dash}"/>')
    # Every third edge, the first bin being all that is nearer than a pixel.
    parts.extend(
        below(LEFT + slot * i, TOP + height + 18, f"{edges[i]:.0f}" if edges[i] < 1e4 else f"{edges[i] / 1e3:.0f}k")
        for i in range(1, len(edges), 3)
    )
    parts.append(below(LEFT + width / 2, TOP + height + 40, "metres to the nearest training place"))
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def leakage_section(accuracy: Mapping[str, Any]) -> list[dict[str, str]] | None:
    """Rows of the audit: the check, the result, and its grade (``good`` or ``poor``)."""
    found = accuracy.get("leakage") or {}
    if "test_rows" not in found:
        return None
    twins, near, shared, tested = found["twins"], found["near"], found.get("polygons"), found["test_rows"]
    rows = [
        ("Pixels on both sides", f"{found['same_place']:,} of {tested:,}", found["same_place"] <= 0.001 * tested),
        (
            "Test rows equal to a training row in every feature",
            f"{twins['across']:,} ({twins['within_test']:,} repeat another test row)",
            twins["across"] <= 0.01 * tested,
        ),
        (
            f"Test land within {_metres(near['pixel']['metres'])} of a training place",
            percent(near["pixel"]["share"]),
            near["pixel"]["share"] <= 0.01,
        ),
    ]
    if near.get("range") is not None:
        share = near["range"]["share"]
        what = f"Test land within the range of errors ({_metres(near['range']['metres'])}) of a training place"
        rows.append((what, percent(share), share <= 0.25))
    if shared is not None:
        what = "Polygons of the reference on both sides"
        share = f"{percent(shared['share'])} of the test land"
        rows.append((what, f"{shared['shared']:,} of {shared['test_polygons']:,} ({share})", shared["share"] <= 0.05))
    lost = {side: names for side, names in (found.get("lost") or {}).items() if names}
    for side, names in lost.items():
        rows.append((f"Classes missing in the {side} units", ", ".join(names), False))
    return [{"what": what, "found": words, "grade": "good" if fine else "poor"} for what, words, fine in rows]


def edge_section(accuracy: Mapping[str, Any]) -> dict[str, Any] | None:
    """Agreement inside, in the ring that erosion removes, and on narrow features; None without erosion.

    Returns
    -------
    dict
        ``rows`` (``name``, ``share``, ``agreement``, ``interval``), ``words``, ``classes`` (``name``, ``removed``,
        ``ring``, ``thin_share``, ``thin``, ``thin_support``), ``pixels`` of erosion.
    """
    eroded, thin = accuracy.get("erosion"), accuracy.get("thin")
    if not eroded or not thin or not eroded["pixels"]:
        return None
    parts = [
        ("inside", "Inside the eroded reference"),
        ("ring", "In the ring that erosion removes"),
        ("overall", "Everywhere: the held-out agreement"),
    ]
    rows = [_part(name, eroded[key]) for key, name in parts]
    rows.append(_part("On features narrower than 3 pixels", thin))
    words = ""
    inside = eroded["disagreement_in_ring"]
    if inside is not None:
        share = percent(eroded["ring"]["share"])
        words = f"{percent(inside)} of all disagreement is in the ring, which covers {share} of the test land"
        words += (
            ". Pixels there are mixed and borders are not exact, so much of it is not an error of the map."
            if inside > eroded["ring"]["share"]
            else ": borders are not the main problem here."
        )
    classes = [
        {
            "name": name,
            "removed": percent(taken["share"]),
            "ring": percent(eroded["ring"]["classes"].get(name, {}).get("recall", {}).get("value")),
            "thin_share": percent(thin["classes"].get(name, {}).get("share")),
            "thin": percent(thin["classes"].get(name, {}).get("recall", {}).get("value")),
            "thin_interval": span(thin["classes"].get(name, {}).get("recall", {})),
        }
        for name, taken in eroded["removed"].items()
        if taken["share"] is not None
    ]
    return {"rows": rows, "words": words, "classes": classes, "pixels": eroded["pixels"]}


def _part(name: str, found: Mapping[str, Any]) -> dict[str, str]:
    score = found["overall_accuracy"]
    return {
        "name": name, "share": percent(found["share"]), "agreement": percent(score["value"]),
        "interval": span(score) or interval_words(score),
    }  # fmt: skip


def _metres(value: float) -> str:
    """A distance in words, to two digits or so.

    >>> _metres(12.3), _metres(254.0), _metres(12_400.0)
    ('12 m', '250 m', '12 km')
    """
    if value >= 10_000:
        return f"{value / 1000:.0f} km"
    if value >= 1000:
        return f"{value / 1000:.1f} km"
    return f"{round(value, -1 if value >= 100 else 0):.0f} m"
