"""Figures judged in words: what the map is good and bad at, why a class is missed, which classes are separable."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.report.words import UNITS, percent

GOOD, FAIR = 0.85, 0.70
"""A class is good if recall and precision both reach the first, fair if both reach the second."""

GAP, ENOUGH = 0.15, 0.80
"""Recall and precision that differ by the first, with one of them below the second, are explained."""

SEPARABLE = 0.95
"""The AUC from which a class counts as separable from the others."""

RARE = 0.5
"""A class is rare if it has less than this part of an equal share of the land (1 / number of classes)."""

MOST, PART = 0.5, 0.2
"""Shares of a shortfall that would vanish if all classes were equally common: then imbalance explains most or part."""

FEW_TEST, FEW_TRAINING = 30, 100
"""The report warns of a class with fewer test pixels or training rows; fewer test pixels give no verdict."""

FEW_UNITS = 8
"""Patches, blocks or groups of a class below which its verdict states how many there are."""

MUCH_SHARED = 0.25
"""Share of the land that the headline leaves out, from which the report warns."""

FEW_IN_ALL = 100
"""Test pixels of all classes together below which the report warns of the headline."""


def summaries(accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the map is good and bad at, class by class.

    Parameters
    ----------
    accuracy
        The content of ``accuracy.json``.

    Returns
    -------
    list of dict
        ``name``; ``grade``: good, fair, poor, ``too few`` (fewer than :data:`FEW_TEST` test pixels, or all of them in
        one patch, block or group), or unknown; ``sentences``.
    """
    return [_summary(accuracy, name) for name in accuracy["classes"]]


def lead(rows: list[dict[str, Any]], subject: str = "map") -> str:
    """The summaries in one sentence about the map, or the model.

    >>> lead([{"name": "forest", "grade": "good"}, {"name": "scrub", "grade": "poor"}])
    'The map is good at forest, and poor at scrub.'
    >>> lead([{"name": "forest", "grade": "good"}, {"name": "water", "grade": "too few"}])
    'The map is good at forest. There are too few test pixels of water for a verdict.'
    """
    parts = []
    for grade in ("good", "fair", "poor"):
        names = [row["name"] for row in rows if row["grade"] == grade]
        if names:
            parts.append(f"{grade} at {listed(names)}")
    few = [row["name"] for row in rows if row["grade"] == "too few"]
    unknown = [row["name"] for row in rows if row["grade"] == "unknown"]
    words = f"The {subject} is {', '.join(parts[:-1])}{', and ' if parts[:-1] else ''}{parts[-1]}." if parts else ""
    if few:
        words += f" There are too few test pixels of {listed(few)} for a verdict."
    if unknown:
        words += f" There are no test pixels of {listed(unknown)}."
    return words.strip()


def explained(accuracy: Mapping[str, Any]) -> list[str]:
    """Classes with good precision and poor recall, or the reverse, and whether class imbalance is the cause.

    Poor recall is tested by rescaling to equal class frequencies
    (:func:`landweave.accuracy.class_balance.equal_footing`): rarity costs the share of missed pixels that would be
    found if all classes were equally common. Poor precision is tested at an equal share of the land: how precise would
    the class be if the same shares of it, and of all other land, were mapped as it?
    """
    found = []
    k = sum(1 for row in accuracy["classes"].values() if row["support"])
    for name, row in accuracy["classes"].items():
        recall, precision = row["recall"]["value"], row["precision"]["value"]
        if recall is None or precision is None or _too_few(accuracy, name):
            continue
        if precision - recall >= GAP and recall < ENOUGH:
            found.append(_missed(accuracy, name, recall, precision))
        elif recall - precision >= GAP and precision < ENOUGH:
            found.append(_taken_too_often(accuracy, name, recall, precision, 1 / max(k, 1)))
    return found


def separability(accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """AUC and frequency of each class: rare but separable, or rare and confused.

    Returns
    -------
    list of dict
        For each class: ``name``, ``share`` of the test land, ``training`` rows (None if unknown), ``auc`` and
        ``average_precision`` (scores), ``verdict`` (few words), ``meaning`` (a sentence, or "") and
        ``sure``: False where there are too few test pixels for a verdict.
    """
    shares, training = accuracy.get("test_share", {}), accuracy.get("training_rows", {})
    k = sum(1 for row in accuracy["classes"].values() if row["support"])
    rows = []
    for name, row in accuracy["classes"].items():
        share, area = shares.get(name), row["auc"]["value"]
        verdict, meaning = _separable(row, share, k) if row["support"] else ("not known", "")
        # Without any test pixel the reason is another one.
        few = bool(row["support"]) and _too_few(accuracy, name)
        if few:
            verdict, meaning = "too few test pixels", f"{_behind(accuracy, name)}: too few for a verdict."
        rows.append(
            {
                "name": name, "share": share, "training": training.get(name), "auc": row["auc"],
                "average_precision": row.get("average_precision", {"value": None, "low": None}),
                "verdict": verdict if area is not None or few else "not known", "meaning": meaning, "sure": not few,
            }
        )  # fmt: skip
    return rows


def few_samples(accuracy: Mapping[str, Any]) -> list[str]:
    """A sentence where all classes together have few test pixels, and one for each group of classes with too few."""
    training = accuracy.get("training_rows", {})
    shared = _much_shared(accuracy.get("shared") or {})
    in_all = sum(row["support"] for row in accuracy["classes"].values())
    whole = []
    if 0 < in_all < FEW_IN_ALL:
        pixels = f"is only {in_all} test pixel" if in_all == 1 else f"are only {in_all} test pixels"
        whole = [f"There {pixels} in all: one pixel is about {100 / in_all:.1f} points of the agreement."]
    alike: dict[str, list[str]] = {}
    for name, row in accuracy["classes"].items():
        parts = [_few_tested(row["support"]), _few_trained(training.get(name))]
        if any(parts):
            alike.setdefault("; ".join(part for part in parts if part), []).append(name)
    return (
        shared
        + whole
        + [
            f"Too few samples of {listed(names)}: {words}{' (each)' if len(names) > 1 else ''}."
            for words, names in alike.items()
        ]
    )


def _much_shared(shared: Mapping[str, Any]) -> list[str]:
    """A sentence where much of the land, or all of it, is in polygons that were trained on elsewhere."""
    if shared.get("reason"):
        return [f"The figures are too good: {shared['reason']}. Larger patches share fewer polygons."]
    if shared.get("share", 0) < MUCH_SHARED:
        return []
    left_out = percent(shared["share"], digits=0)
    words = (
        f"{left_out} of the labelled land is in polygons that reach into training land, and is left out. The figures "
        "are those of the rest. Larger patches share fewer polygons."
    )
    return [words]


def _units(accuracy: Mapping[str, Any], name: str) -> tuple[int, str] | None:
    """In how many patches, blocks or groups a class is tested, and their name; None where there are no such units."""
    words = UNITS.get(accuracy.get("split", {}).get("kind", ""))
    n = accuracy["classes"][name]["recall"].get("n_clusters")
    return (n, words[n > 1]) if words and n else None


def _too_few(accuracy: Mapping[str, Any], name: str) -> bool:
    """Whether a class has too few test pixels, or too few units with any, to be judged in words."""
    units = _units(accuracy, name)
    return accuracy["classes"][name]["support"] < FEW_TEST or (units is not None and units[0] < 2)


def _behind(accuracy: Mapping[str, Any], name: str) -> str:
    """How many test pixels and units are behind a class's figures, as a phrase."""
    n, units = accuracy["classes"][name]["support"], _units(accuracy, name)
    pixels = f"Only {n:,} test pixel{'s' if n > 1 else ''}" if n < FEW_TEST else f"{n:,} test pixels"
    if units is None:
        return pixels
    number, word = units
    return f"{pixels} in {'one' if number == 1 else number} {word}"


def _few_tested(tested: int) -> str:
    if tested == 0:
        return "no test pixel, so its accuracy is unknown"
    return f"{tested} test pixel{'s' if tested > 1 else ''}, so its figures are uncertain" if tested < FEW_TEST else ""


def _few_trained(trained: int | None) -> str:
    if trained is None or trained >= FEW_TRAINING:
        return ""
    if trained == 0:
        return "not trained on, so the map cannot show it"
    return f"trained on {trained} row{'s' if trained > 1 else ''}"


def _summary(accuracy: Mapping[str, Any], name: str) -> dict[str, Any]:
    row = accuracy["classes"][name]
    recall, precision = row["recall"]["value"], row["precision"]["value"]
    if not row["support"] or recall is None:
        return {"name": name, "grade": "unknown", "sentences": ["There is no test pixel of this class."]}
    if _too_few(accuracy, name):
        missed = "none of it is found" if precision is None else f"{percent(recall, digits=0)} of it is found"
        sentences = [f"{_behind(accuracy, name)}: too few for a verdict ({missed})."]
        return {"name": name, "grade": "too few", "sentences": sentences}
    if precision is None:
        sentences = ["None of it is found: no test pixel is mapped as this class.", *_lost(accuracy, name, recall)]
        return {"name": name, "grade": "poor", "sentences": sentences}
    grade = next((word for word, least in (("good", GOOD), ("fair", FAIR)) if min(recall, precision) >= least), "poor")
    there, right = (percent(value, digits=0) for value in (recall, precision))
    sentences = [f"{there} of it is found, and {right} of the pixels mapped as it are correct."]
    if recall - precision >= GAP:
        sentences.append("The map shows it too often.")
    elif precision - recall >= GAP:
        sentences.append("The map misses it more often than it shows it wrongly.")
    sentences += _lost(accuracy, name, recall) + _invented(accuracy, name, precision)
    units = _units(accuracy, name)
    if units is not None and units[0] < FEW_UNITS:
        sentences.append(f"Uncertain: its test pixels are in only {units[0]} {units[1]}.")
    return {"name": name, "grade": grade, "sentences": sentences}


def _lost(accuracy: Mapping[str, Any], name: str, recall: float) -> list[str]:
    """Which classes the missed pixels are mapped as."""
    shares = _row_shares(accuracy, name)
    if not shares or 1 - recall < 0.02:
        return []
    to, most = max(shares.items(), key=lambda pair: pair[1])
    if most >= 0.5 * (1 - recall):
        return [f"Most missed pixels are mapped as {to} ({percent(most, digits=0)} of the class)."]
    return [
        f"Missed pixels are mapped as several classes, most often as {to} ({percent(most, digits=0)} of the class)."
    ]


def _invented(accuracy: Mapping[str, Any], name: str, precision: float) -> list[str]:
    shares = _column_shares(accuracy, name)
    if not shares or 1 - precision < 0.02:
        return []
    of, most = max(shares.items(), key=lambda pair: pair[1])
    if most >= 0.5 * (1 - precision):
        return [f"Most pixels wrongly mapped as it are {of} in the reference."]
    return []


def _missed(accuracy: Mapping[str, Any], name: str, recall: float, precision: float) -> str:
    words = (
        f"{name}: good precision, poor recall. {percent(precision, digits=0)} of the pixels mapped as it are correct, "
        f"but only {percent(recall, digits=0)} of it is found."
    )
    found, right = _on_equal_footing(accuracy, name)
    if found is None:
        return words
    cost = "" if right is None else f" (and {percent(right, digits=0)} of the pixels mapped as it would be correct)"
    return (
        f"{words} {_cause((found - recall) / (1 - recall))}: if all classes were equally common, "
        f"{percent(found, digits=0)} of it would be found{cost}."
    )


def _taken_too_often(accuracy: Mapping[str, Any], name: str, recall: float, precision: float, even: float) -> str:
    words = (
        f"{name}: good recall, poor precision. {percent(recall, digits=0)} of it is found, but only "
        f"{percent(precision, digits=0)} of the pixels mapped as it are correct."
    )
    share = accuracy.get("test_share", {}).get(name)
    if not share or share >= 1 or not precision:
        return words
    if share >= even:
        found, right = _on_equal_footing(accuracy, name)
        if right is None:
            return words
        return (
            f"{words} {_cause((right - precision) / (1 - precision))}: doubtful pixels are given to a common class. "
            f"If all classes were equally common, {percent(right, digits=0)} of the pixels mapped as it would be "
            f"correct ({percent(found, digits=0)} of it would be found)."
        )
    wrongly = recall * share * (1 - precision) / precision / (1 - share)
    there = recall * even / (recall * even + wrongly * (1 - even))
    return (
        f"{words} {_cause((there - precision) / (1 - precision))}: {percent(wrongly)} of all other land is mapped "
        f"as it, and it covers {percent(share)} of the land. With an equal share of the land "
        f"({percent(even, digits=0)}), {percent(there, digits=0)} of the pixels mapped as it would be correct."
    )


def _on_equal_footing(accuracy: Mapping[str, Any], name: str) -> tuple[float | None, float | None]:
    """Recall and precision if all classes were equally common."""
    scores = accuracy.get("equal_footing", {}).get(name)
    return (None, None) if scores is None else (scores["recall"]["value"], scores["precision"]["value"])


def _cause(share: float) -> str:
    if share >= MOST:
        return "Class imbalance explains most of it"
    return "Class imbalance explains part of it" if share >= PART else "Class imbalance does not explain it"


def _separable(row: Mapping[str, Any], share: float | None, k: int) -> tuple[str, str]:
    area, low, high = (row["auc"].get(key) for key in ("value", "low", "high"))
    if area is None or share is None:
        return "not known", ""
    rare, apart = share < RARE / max(k, 1), area >= SEPARABLE
    verdict = (
        f"{'rare' if rare else 'common'} {'but' if rare and apart else 'and'} {'separable' if apart else 'confused'}"
    )
    meaning = {
        (True, True): "It is missed because it is rare; a lower threshold finds more of it.",
        (
            True,
            False,
        ): "It looks like other classes: a lower threshold mostly adds false alarms; more samples, dates or "
        "features may help.",
        (False, False): "It looks like other classes on much of its land.",
        (False, True): "",
    }[rare, apart]
    found, recall = ((row.get(key) or {}).get("value") for key in ("average_precision", "recall"))
    if rare and apart and recall is not None and recall >= ENOUGH:
        meaning = "Being rare costs it little."
    elif rare and apart and found is not None and found < 0.5:
        meaning = "It is well separated, but it is so rare that even few false alarms outnumber the correct pixels."
    if low is not None and high is not None and low < SEPARABLE <= high:
        meaning = f"{meaning} The interval includes {SEPARABLE}: not certain.".strip()
    return verdict, meaning


def _row_shares(accuracy: Mapping[str, Any], name: str) -> dict[str, float]:
    """What other classes a class's land is mapped as, of all its land."""
    labels, land = _land(accuracy)
    i = labels.index(name)
    total = land[i].sum()
    shown = [*labels, "no class"]
    return {} if not total > 0 else {shown[j]: float(land[i, j] / total) for j in range(len(shown)) if j != i}


def _column_shares(accuracy: Mapping[str, Any], name: str) -> dict[str, float]:
    """What other classes the land mapped as a class is, of all land mapped as it."""
    labels, land = _land(accuracy)
    j = labels.index(name)
    total = land[:, j].sum()
    return {} if not total > 0 else {labels[i]: float(land[i, j] / total) for i in range(len(labels)) if i != j}


def _land(accuracy: Mapping[str, Any]) -> tuple[list[str], np.ndarray]:
    """Labels, and the confusion by land with what is unclassified as its last column."""
    confusion = accuracy["confusion"]
    labels = list(confusion["labels"])
    land = np.array(confusion.get("weighted", confusion["counts"]), "float64")
    lost = confusion.get("unclassified_weighted", confusion.get("unclassified", [0] * len(labels)))
    return labels, np.column_stack([land, np.array(lost, "float64")])


def listed(names: list[str]) -> str:
    """Names as a phrase.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
