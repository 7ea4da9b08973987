"""Figures judged in words: what the map is good and bad at, why a class is missed, which classes can be told apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.report.words import percent

GOOD, FAIR = 0.85, 0.70
"""A class is good where recall and precision both reach the first, fair where both reach the second, else poor."""

GAP, ENOUGH = 0.15, 0.80
"""Recall and precision differ in a way that wants explaining: by this much at least, the lower one below the other."""

SEPARABLE = 0.95
"""The AUC from which a class counts as told apart from the others."""

RARE = 0.5
"""A class is rare where it has less than this part of an even share of the land (1 / number of classes)."""

MOST, PART = 0.5, 0.2
"""Shares of a shortfall that would be gone if all classes were equally common: then imbalance explains most or part."""

FEW_TEST, FEW_TRAINING = 30, 100
"""A class with fewer test pixels, or training rows, is warned of."""


def summaries(accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the map is good and bad at, class by class.

    Parameters
    ----------
    accuracy
        The content of ``accuracy.json``.

    Returns
    -------
    list of dict
        ``name``; ``grade``: good, fair, poor, or unknown; ``sentences``.
    """
    return [_summary(accuracy, name) for name in accuracy["classes"]]


def lead(rows: list[dict[str, Any]], subject: str = "map") -> str:
    """The summaries in one sentence about the map, or the model.

    >>> lead([{"name": "forest", "grade": "good"}, {"name": "scrub", "grade": "poor"}])
    'The map is good at forest, and poor at scrub.'
    """
    parts = []
    for grade in ("good", "fair", "poor"):
        names = [row["name"] for row in rows if row["grade"] == grade]
        if names:
            parts.append(f"{grade} at {listed(names)}")
    unknown = [row["name"] for row in rows if row["grade"] == "unknown"]
    words = f"The {subject} is {', '.join(parts[:-1])}{', and ' if parts[:-1] else ''}{parts[-1]}." if parts else ""
    if unknown:
        words += f" Of {listed(unknown)} the test says nothing."
    return words.strip()


def explained(accuracy: Mapping[str, Any]) -> list[str]:
    """Classes of good precision and poor recall, and the reverse, and whether class imbalance is the cause.

    Poor recall is tested by rescaling to equal class frequencies
    (:func:`landweave.accuracy.class_balance.equal_footing`): the share of what is missed that would be found if all
    classes were equally common is what rarity costs. Poor precision: with the same shares of it found and of all else
    wrongly taken for it, how precise would it be at an even share of the land?
    """
    found = []
    k = sum(1 for row in accuracy["classes"].values() if row["support"])
    for name, row in accuracy["classes"].items():
        recall, precision = row["recall"]["value"], row["precision"]["value"]
        if recall is None or precision is None or not row["support"]:
            continue
        if precision - recall >= GAP and recall < ENOUGH:
            found.append(_missed(accuracy, name, recall, precision))
        elif recall - precision >= GAP and precision < ENOUGH:
            found.append(_taken_too_often(accuracy, name, recall, precision, 1 / max(k, 1)))
    return found


def separability(accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """AUC read against frequency: rare but separable is another thing than rare and confused.

    Returns
    -------
    list of dict
        Of each class: ``name``, ``share`` of the test land, ``training`` rows (None where not known), ``auc`` and
        ``average_precision`` (scores), ``verdict`` (few words) and ``meaning`` (a sentence; "" where there is none).
    """
    shares, training = accuracy.get("test_share", {}), accuracy.get("training_rows", {})
    k = sum(1 for row in accuracy["classes"].values() if row["support"])
    rows = []
    for name, row in accuracy["classes"].items():
        share, area = shares.get(name), row["auc"]["value"]
        verdict, meaning = _separable(row, share, k)
        rows.append(
            {
                "name": name, "share": share, "training": training.get(name), "auc": row["auc"],
                "average_precision": row.get("average_precision", {"value": None, "low": None}),
                "verdict": verdict if area is not None else "not known", "meaning": meaning,
            }
        )  # fmt: skip
    return rows


def few_samples(accuracy: Mapping[str, Any]) -> list[str]:
    """A sentence for the classes whose figures, or whose training, rest on too few samples; equals share one."""
    training = accuracy.get("training_rows", {})
    alike: dict[str, list[str]] = {}
    for name, row in accuracy["classes"].items():
        parts = [_few_tested(row["support"]), _few_taught(training.get(name))]
        if any(parts):
            alike.setdefault("; ".join(part for part in parts if part), []).append(name)
    return [
        f"Too few samples of {listed(names)}: {words}{' (each)' if len(names) > 1 else ''}."
        for words, names in alike.items()
    ]


def _few_tested(tested: int) -> str:
    if tested == 0:
        return "no test pixel, so nothing is known of how well it is mapped"
    return f"{tested} test pixel{'s' if tested > 1 else ''}, so its figures are hints" if tested < FEW_TEST else ""


def _few_taught(taught: int | None) -> str:
    if taught is None or taught >= FEW_TRAINING:
        return ""
    if taught == 0:
        return "never trained on, so it cannot be shown"
    return f"learnt from {taught} training row{'s' if taught > 1 else ''}"


def _summary(accuracy: Mapping[str, Any], name: str) -> dict[str, Any]:
    row = accuracy["classes"][name]
    recall, precision = row["recall"]["value"], row["precision"]["value"]
    if not row["support"] or recall is None:
        return {"name": name, "grade": "unknown", "sentences": ["No test pixel is of this class."]}
    if precision is None:
        sentences = ["None of it is found: no test pixel is mapped as this class.", *_lost(accuracy, name, recall)]
        return {"name": name, "grade": "poor", "sentences": sentences}
    grade = next((word for word, least in (("good", GOOD), ("fair", FAIR)) if min(recall, precision) >= least), "poor")
    there, right = (percent(value, digits=0) for value in (recall, precision))
    sentences = [f"{there} of it is found, and {right} of what is mapped as it is right."]
    if recall - precision >= GAP:
        sentences.append("It is shown too freely.")
    elif precision - recall >= GAP:
        sentences.append("It is missed more often than it is shown wrongly.")
    sentences += _lost(accuracy, name, recall) + _invented(accuracy, name, precision)
    if row["support"] < FEW_TEST:
        sentences.append(f"All this from {row['support']} test pixels: a hint, no more.")
    return {"name": name, "grade": grade, "sentences": sentences}


def _lost(accuracy: Mapping[str, Any], name: str, recall: float) -> list[str]:
    """Where what is missed goes, if it goes somewhere in particular."""
    shares = _row_shares(accuracy, name)
    if not shares or 1 - recall < 0.02:
        return []
    to, most = max(shares.items(), key=lambda pair: pair[1])
    if most >= 0.5 * (1 - recall):
        return [f"Most of what is missed is mapped as {to} ({percent(most, digits=0)} of it)."]
    return [f"What is missed is mapped as several classes, first as {to} ({percent(most, digits=0)} of it)."]


def _invented(accuracy: Mapping[str, Any], name: str, precision: float) -> list[str]:
    shares = _column_shares(accuracy, name)
    if not shares or 1 - precision < 0.02:
        return []
    of, most = max(shares.items(), key=lambda pair: pair[1])
    if most >= 0.5 * (1 - precision):
        return [f"Most of what is wrongly mapped as it is {of} by the reference."]
    return []


def _missed(accuracy: Mapping[str, Any], name: str, recall: float, precision: float) -> str:
    words = (
        f"{name}: good precision, poor recall. {percent(precision, digits=0)} of what is mapped as it is right, but "
        f"only {percent(recall, digits=0)} of it is found."
    )
    found, right = _on_equal_footing(accuracy, name)
    if found is None:
        return words
    cost = "" if right is None else f" (of what would then be mapped as it, {percent(right, digits=0)} would be right)"
    return (
        f"{words} {_cause((found - recall) / (1 - recall))}: if all classes were equally common, "
        f"{percent(found, digits=0)} of it would be found{cost}."
    )


def _taken_too_often(accuracy: Mapping[str, Any], name: str, recall: float, precision: float, even: float) -> str:
    words = (
        f"{name}: good recall, poor precision. {percent(recall, digits=0)} of it is found, but only "
        f"{percent(precision, digits=0)} of what is mapped as it is right."
    )
    share = accuracy.get("test_share", {}).get(name)
    if not share or share >= 1 or not precision:
        return words
    if share >= even:
        found, right = _on_equal_footing(accuracy, name)
        if right is None:
            return words
        return (
            f"{words} {_cause((right - precision) / (1 - precision))}: a common class is given what is doubtful, but "
            f"if all were equally common, {percent(right, digits=0)} of what is mapped as it would be right "
            f"({percent(found, digits=0)} of it would be found)."
        )
    wrongly = recall * share * (1 - precision) / precision / (1 - share)
    there = recall * even / (recall * even + wrongly * (1 - even))
    return (
        f"{words} {_cause((there - precision) / (1 - precision))}: {percent(wrongly)} of all other land is taken for "
        f"it, and it has {percent(share)} of the land itself; with an even share of the land "
        f"({percent(even, digits=0)}), {percent(there, digits=0)} of what is mapped as it would be right."
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
        (True, True): "It is passed over since it is rare; a lower threshold finds more of it.",
        (
            True,
            False,
        ): "It looks like other classes: a lower threshold mostly adds false alarms; more samples, dates or "
        "features may help.",
        (False, False): "It looks like other classes over much of its land.",
        (False, True): "",
    }[rare, apart]
    found, recall = ((row.get(key) or {}).get("value") for key in ("average_precision", "recall"))
    if rare and apart and recall is not None and recall >= ENOUGH:
        meaning = "Rarity costs it little."
    elif rare and apart and found is not None and found < 0.5:
        meaning = "By rank it stands apart, yet at its rarity even few false alarms outweigh what is found."
    if row["support"] < FEW_TEST:
        meaning = f"Only {row['support']} test pixels: too few to be sure."
    elif low is not None and high is not None and low < SEPARABLE <= high:
        meaning = f"{meaning} The interval reaches across {SEPARABLE}: not certain.".strip()
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
