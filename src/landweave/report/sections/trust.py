"""Section of the report on where the map can be trusted: sets of classes, and likeness to the training land."""

from collections.abc import Mapping, Sequence
from typing import Any

from landweave.report.words import percent

POINTS = 0.02
"""Coverage this far below what was asked for is named."""

LEAST = 200
"""Pixels below which a group's coverage is not judged."""

_GROUPS = {
    "all": "All land", "class": "Class of the reference", "district": "District", "confidence": "Confidence",
    "distance": "Unlikeness to the training land, of the threshold", "place": "Place",
}  # fmt: skip
_HERE, _ELSEWHERE = "other pixels of the same land", "patches without calibration pixels"


def trust_section(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Section on trust layers; None if the run made none.

    Returns
    -------
    dict
        ``words``: paragraphs; ``places``: what is left out, in words; ``coverage``: ``title`` and ``rows`` (``name``,
        ``pixels``, ``patches``, ``here``, ``elsewhere``, ``size``, ``low``) by group; ``errors``: rows (``name``,
        ``share``, ``error``); ``layers``: rows (``name``, ``title``, ``says``).
    """
    if not found or not found.get("bands"):
        return None
    sets, trained = found.get("sets", {}), found.get("applicability", {})
    return {
        "words": [*_of_sets(sets), *_of_applicability(found, sets, trained)],
        "places": place_words(sets)[1], "coverage": _coverage(sets), "errors": _errors(sets),
        "layers": _layers(found["bands"]),
    }  # fmt: skip


def _of_sets(sets: Mapping[str, Any]) -> list[str]:
    if "checked" not in sets:
        return [f"There are no sets of classes: {sets.get('reason', 'they were not made')}."]
    level = percent(sets["level"], digits=0)
    here, away = (sets["checked"].get(name, {}).get("all", [None])[0] for name in (_HERE, _ELSEWHERE))
    one, many = place_words(sets)
    number = sets.get("places", sets["patches"])
    fitted = (
        f"Each pixel has a set of classes that is made to hold the reference's class in {level} of the land of every "
        f"class. It was fitted on {sets['pixels']} labelled pixels of {number} {one if number == 1 else many}, each by "
        f"a model that never saw the {one}."
    )
    shared = sets.get("shared", {})
    if shared.get("reason"):
        fitted += f" These models knew them in part, and the sets may hold less elsewhere: {shared['reason']}."
    elif shared.get("pixels"):
        fitted += (
            f" {percent(shared['share'])} of the labelled land was left out, since its polygon reaches into land that "
            "such a model was trained on, or equal pixels were trained on."
        )
    if here is None:
        return [f"{fitted} It could not be checked: one labelled pixel is not enough for that."]
    fitted += (
        f" On pixels that had no part in the fit the sets hold the class in {percent(here['coverage'])} of the land; "
    )
    fitted += (
        f"in {many} that had no part in it, in {percent(away['coverage'])}. The first figure is for this land, the "
        "second for land like it without a reference."
        if away is not None
        else f"in {many} that had no part in it, this could not be checked: there is only one {one} with a reference."
    )
    size = (
        f"A set has {here['mean_size']:.1f} classes on average. Where it has several, the imagery cannot decide "
        "between them: treat the pixel as one of these classes, or look at it."
    )
    words = [fitted, size]
    short = _short(sets, _HERE, ("class", "district", "distance", "place"))
    if short:
        words.append(f"The sets hold fewer than asked for in: {', '.join(short)}. Do not rely on them there.")
    far = _short(sets, _ELSEWHERE, ("class", "district"))
    if far:
        words.append(
            f"In {many} that had no part in the fit they also hold fewer in: {', '.join(far)}. Other patches say "
            "little about these, so do not rely on their sets where there is no reference."
        )
    return words


def place_words(sets: Mapping[str, Any]) -> tuple[str, str]:
    """Word for one and for several of the places by which sets were checked."""
    return ("quarter of a patch", "quarters of patches") if sets.get("place") == "quarter" else ("patch", "patches")


def _short(sets: Mapping[str, Any], check: str, groups: Sequence[str]) -> list[str]:
    """Groups of enough pixels whose coverage is well below the level in a check."""
    told = []
    for group, rows in sets["checked"].get(check, {}).items():
        if group in groups:
            low = [row for row in rows if row["pixels"] >= LEAST and row["coverage"] < sets["level"] - POINTS]
            suffix = " of the threshold" if group == "distance" else ""
            told += [f"{row['name']}{suffix} ({percent(row['coverage'])})" for row in low]
    return told


def _of_applicability(found: Mapping[str, Any], sets: Mapping[str, Any], trained: Mapping[str, Any]) -> list[str]:
    if "threshold" not in trained:
        return [f"There is no area of applicability: {trained.get('reason', 'it was not made')}."]
    outside = next(
        (
            value["share"]
            for band in found["bands"] if band["name"] == "applicability"
            for value in band["values"] if value["value"] == 2
        ), None,
    )  # fmt: skip
    beyond = (
        f"{percent(outside)} of the map is outside the area of applicability: its features are less like the "
        "training pixels than those of held-out training pixels are (Meyer and Pebesma 2021). The figures of this "
        "report do not speak of it. Collect training pixels there, or leave it out of statements on the map."
    )
    words = [beyond]
    errors = {row["name"]: row for row in sets.get("error", {}).get("applicability", [])}
    if {"inside", "outside"} <= set(errors):
        inner, outer = errors["inside"], errors["outside"]
        words.append(
            f"Models that never saw a place disagree with its reference on {percent(inner['error'])} of the labelled "
            f"land inside and on {percent(outer['error'])} outside ({outer['pixels']} pixels)."
        )
    thinned = trained.get("thinned")
    if thinned:
        words.append(
            f"{trained['rows']} of {trained['all_rows']} training rows stand for all. For "
            f"{thinned['compared']} other rows this changes the index by {percent(thinned['most_of_95_percent'])} of "
            f"the threshold or less in 95 of 100, and {percent(thinned['other_side'])} change sides."
        )
    return words


def _coverage(sets: Mapping[str, Any]) -> list[dict[str, Any]]:
    tables = sets.get("checked", {})
    if _HERE not in tables:
        return []
    away = {(group, row["name"]): row for group, rows in tables.get(_ELSEWHERE, {}).items() for row in rows}
    return [
        {
            "title": _GROUPS[group],
            "rows": [
                {
                    "name": row["name"], "pixels": row["pixels"], "patches": row["patches"],
                    "here": percent(row["coverage"]), "size": f"{row['mean_size']:.2f}",
                    "elsewhere": percent(away.get((group, row["name"]), {}).get("coverage")),
                    "worst": percent(away.get((group, row["name"]), {}).get("worst_patch"), digits=0),
                }
                for row in rows
            ],
        }
        for group, rows in tables[_HERE].items()
    ]  # fmt: skip


def _errors(sets: Mapping[str, Any]) -> list[dict[str, str]]:
    rows: Sequence[Mapping[str, Any]] = sets.get("error", {}).get("distance", [])
    return [
        {"name": row["name"], "share": percent(row["share"]), "error": percent(row["error"])} for row in rows
    ]  # fmt: skip


def _layers(bands: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {"number": str(band["band"]), "name": band["name"], "title": band["title"], "says": _says(band)}
        for band in bands
        if not band["name"].startswith("member_")
    ]


def _says(band: Mapping[str, Any]) -> str:
    if "values" not in band:
        plus = f"; the stored number is {band['stored_plus']} more" if band["stored_plus"] else ""
        return f"{band['least']} to {band['greatest']} {band['unit']}".strip() + plus
    shown = [value for value in band["values"] if value["pixels"]]
    shown.sort(key=lambda value: (-value["pixels"], value["value"]))
    return "; ".join(f"{value['name']}: {percent(value['share'])}" for value in shown[:6])
