"""Figures in words: what a score means, how the test places were chosen, which classes are confused."""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np

OUT_OF_SAMPLE = "Agreement with the reference at places not trained on"
IN_SAMPLE = "Agreement with the reference, in-sample: at the places trained on"
UNITS = {"patch": ("patch", "patches"), "block": ("block", "blocks"), "group": ("group", "groups")}
"""What is held out, one and several, by the kind of split; other kinds hold out no units."""

FEW = 30
"""A share of fewer test pixels is given with their number."""

BY_DESIGN = "Accuracy of the map, estimated from a probability sample"


def percent(value: float | None, *, digits: int = 1) -> str:
    """A share 0..1 in percent.

    >>> percent(0.8734), percent(1.0), percent(None), percent(0.0002)
    ('87.3 %', '100 %', '—', '<0.1 %')
    """
    if value is None:
        return "—"
    least = 10.0**-digits
    if 0 < value * 100 < least / 2:
        return f"<{least:g} %"
    # 100 % is said only of what is whole.
    if value < 1 and round(value * 100, digits) >= 100:
        return f">{100 - least:g} %"
    return f"{value * 100:.{digits}f} %".replace("100.0", "100")


def headline(accuracy: Mapping[str, Any] | None, design_based: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Title, figure and interval at the head of the page, and the figures beside them.

    Parameters
    ----------
    accuracy
        The content of ``accuracy.json``; None without a reference.
    design_based
        The estimate from a probability sample, which is then the headline; None without one.

    Returns
    -------
    dict
        ``kind``: ``sample``, ``held out``, ``in-sample`` or ``none``; ``title``, ``value``, ``interval``; ``basis``:
        from how many pixels and patches the figure comes, or ""; ``beside``: name, meaning, value and interval of each
        further figure.
    """
    beside = [] if accuracy is None else _beside(accuracy)
    if design_based is not None:
        overall = design_based["overall_accuracy"]
        if accuracy is not None:
            kind = IN_SAMPLE if _is_in_sample(accuracy) else OUT_OF_SAMPLE
            meaning = f"not map accuracy: the reference has errors. {basis(accuracy)}".strip()
            beside.insert(0, (kind, meaning, accuracy["overall_accuracy"]))
        found = {"kind": "sample", "title": BY_DESIGN, "value": percent(overall["value"])}
        error = "" if overall.get("se") is None else f"; standard error {100 * overall['se']:.1f} points"
        found["interval"] = f"{interval_words(overall)}{error}"
    elif accuracy is not None:
        overall = accuracy["overall_accuracy"]
        in_sample = _is_in_sample(accuracy)
        found = {
            "kind": "in-sample" if in_sample else "held out",
            "title": IN_SAMPLE if in_sample else OUT_OF_SAMPLE,
            "value": percent(overall["value"]),
            "interval": interval_words(overall),
            "basis": basis(accuracy),
        }
    else:
        found = {"kind": "none", "title": "No reference", "value": "", "interval": ""}
    return (
        {"basis": ""}
        | found
        | {"beside": [(name, meaning, percent(s["value"]), interval_words(s)) for name, meaning, s in beside]}
    )


_CHOSEN = {
    "test places alone": " Only the test places count, because thresholds may have been chosen by the other places.",
    "same places": " Thresholds may have been chosen by these pixels, so the figure may be too high.",
}


def basis(accuracy: Mapping[str, Any]) -> str:
    """From how many test pixels, and patches, blocks or groups, the agreement comes; "" if there are none.

    >>> score = {"value": 0.9, "n_clusters": 5}
    >>> figures = {"split": {"kind": "block"}, "overall_accuracy": score, "classes": {"forest": {"support": 1800}}}
    >>> basis(figures)
    'From 1,800 held-out pixels in 5 blocks.'
    """
    pixels = sum(row["support"] for row in accuracy["classes"].values())
    if not pixels:
        return ""
    many = "" if pixels == 1 else "s"
    if _is_in_sample(accuracy):
        return f"From {pixels:,} pixel{many} at the places trained on."
    units, number = UNITS.get(accuracy.get("split", {}).get("kind", "")), accuracy["overall_accuracy"].get("n_clusters")
    places = f" in {number} {units[number > 1]}" if units and number else ""
    return (
        f"From {pixels:,} held-out pixel{many}{places}.{_CHOSEN.get(accuracy.get('split', {}).get('thresholds'), '')}"
    )


def _beside(accuracy: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    found = [
        ("Weighted F1", "the mean F1 of the classes, weighted by their share of the land", accuracy["weighted_f1"])
    ]
    eroded = accuracy.get("eroded") or {}
    if "overall_accuracy" in eroded:
        meaning = "the same agreement without the rims of the reference's areas, because its borders are uncertain"
        found.append(("Against the eroded reference", meaning, eroded["overall_accuracy"]))
    found += _checks(accuracy)
    by_chance = (accuracy.get("splits") or {}).get("random") or {}
    if "overall_accuracy" in by_chance:
        # Both on the test places: the headline speaks of all land.
        same_places = (accuracy.get("held_out") or accuracy)["overall_accuracy"]
        random, held_out = _as_score(by_chance["overall_accuracy"]), same_places["value"]
        higher = held_out is None or random["value"] is None or random["value"] > held_out
        verdict = _optimism(accuracy, random["value"], higher=higher)
        found.append(("Random split", f"random pixels held out, smaller models: {verdict}", random))
    truth = accuracy.get("against_truth") or {}
    if "overall_accuracy" in truth:
        meaning = "agreement with the simulated truth, on the same pixels; known only because the country is simulated"
        found.append(("Against the truth (simulated)", meaning, _as_score(truth["overall_accuracy"])))
    return found


def _optimism(accuracy: Mapping[str, Any], random: float | None, *, higher: bool) -> str:
    """Whether a random split is too optimistic, as far as the intervals tell it from chance."""
    gaps = (accuracy.get("splits") or {}).get("gaps") or {}
    gap: Mapping[str, Any] = next((gaps[key] for key in ("random - patch", "random - block") if key in gaps), {})
    if gap.get("low") is not None and gap["low"] <= 0 <= gap["high"]:
        return "its difference from whole places held out may be chance"
    if not higher:
        return "not higher than the agreement with the reference, so it shows no optimism here"
    most = (accuracy.get("held_out") or accuracy)["overall_accuracy"].get("high")
    if gap.get("low") is None and random is not None and most is not None and random <= most:
        return "higher, but within the interval of the agreement, so this may be chance"
    return "too optimistic, because neighbours were trained on"


def _checks(accuracy: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The figure with what was left out because it was half known, and that of the test places alone."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    shared = accuracy.get("shared") or {}
    if shared.get("rows") and not shared.get("reason"):
        meaning = (
            f"with the {percent(shared['share'])} of the land that the headline leaves out, because its polygon "
            f"reaches into training land or equal pixels were trained on; there the agreement is "
            f"{percent(shared['agreement_of_shared'])}"
        )
        found.append(("With shared polygons", meaning, shared["overall_accuracy"]))
    held = accuracy.get("held_out") or {}
    if held:
        meaning = f"the {held['patches']} test patches or blocks alone, predicted by one model of all the others"
        found.append(("Test places only", meaning, held["overall_accuracy"]))
    return found


def _is_in_sample(accuracy: Mapping[str, Any]) -> bool:
    return bool(accuracy.get("split", {}).get("kind") == "none")


def interval_words(score: Mapping[str, Any]) -> str:
    """The interval of a score, or the reason why it has none."""
    if score.get("low") is None:
        return f"no interval: {score['reason']}" if score.get("reason") else ""
    return f"95 % interval: {span(score)}"


def span(score: Mapping[str, Any], write: Callable[[float | None], str] = percent) -> str:
    """Both ends of a score's interval, with one unit; "" without an interval.

    >>> span({"low": 0.81, "high": 0.9})
    '81.0 to 90.0 %'
    """
    if score.get("low") is None:
        return ""
    return f"{write(score['low']).removesuffix(' %')} to {write(score['high'])}"


_SPLITS = {
    "patch": "The figures come from whole patches that were held out{counts}: none of their pixels was trained on.",
    "block": (
        "The figures come from whole spatial blocks that were held out{counts}: none of their pixels was trained on."
    ),
    "group": "The figures come from whole groups that were held out{counts}: none of their samples was trained on.",
    "random": (
        "Samples were held out at random{counts}. Neighbours of a test sample may have been trained on, "
        "so these figures are too optimistic for places far from the samples."
    ),
    "given": "The figures come from test samples that were given separately{counts}.",
    "none": (
        "In-sample: there was too little data to hold out any place, so the model is tested at the places "
        "it was trained on. These figures are too optimistic and say little about other places."
    ),
}


def split_sentence(split: Mapping[str, Any]) -> str:
    """How the test places were chosen, from ``split`` of ``accuracy.json`` (its own ``how`` for a given test).

    >>> split_sentence({"kind": "patch", "train_patches": 24, "test_patches": ["x0001y0002"]})
    'The figures come from whole patches that were held out (24 for training, 1 for testing): none of their pixels was \
trained on.'
    """
    kind, how = split.get("kind", ""), str(split.get("how", ""))
    if kind == "given" and how:
        return f"{how[0].upper()}{how[1:]}."
    if split.get("tested") and kind in UNITS:
        one, several = UNITS[kind]
        n = split["tested"]
        map_words = (
            " The map comes from a further model, fitted on all of them. It is usually better than this figure, which "
            "is no bound for it."
        )
        words = f"The figures come from all {n} {several if n > 1 else one}: each was predicted by a model that was "
        return f"{words}trained without it.{map_words if split.get('refit') else ''}"
    train, test = (_number(split, f"{side}_") for side in ("train", "test"))
    counts = f" ({train} for training, {test} for testing)" if train and test else ""
    if split.get("folds"):
        counts = f", in turn in {_number(split, 'folds')} folds"
    return _SPLITS.get(kind, how).format(counts=counts)


def mixed_up(confusion: Mapping[str, Any], *, most: int = 5, least: float = 0.02) -> list[str]:
    """The pairs of classes that are confused most, by land, and in which direction.

    Parameters
    ----------
    confusion
        As in ``accuracy.json``; shares of the land are used where it has them, else pixels.
    most
        Maximum number of sentences.
    least
        A pair is named if at least this share of one of its classes is mapped as the other.
    """
    names = list(confusion["labels"])
    land = np.array(confusion.get("weighted", confusion["counts"]), "float64")
    lost = np.array(confusion.get("unclassified_weighted", confusion.get("unclassified", 0)), "float64")
    tested = np.array(confusion["counts"], "int64").sum(axis=1) + np.array(confusion.get("unclassified", 0), "int64")
    few = ["" if n >= FEW else f" ({n} test pixel{'s' if n > 1 else ''})" for n in tested]
    of_class = land.sum(axis=1) + lost
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(land / of_class[:, None])
    pairs = []
    for i, j in combinations(range(len(names)), 2):
        if max(share[i, j], share[j, i]) >= least:
            # The direction in which more land goes comes first.
            a, b = (i, j) if land[i, j] >= land[j, i] else (j, i)
            pairs.append((land[i, j] + land[j, i], a, b))
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    sentences = []
    for _, a, b in pairs[:most]:
        first = (
            f"{percent(share[a, b], digits=0)} of what the reference calls {names[a]}{few[a]} is mapped as {names[b]}"
        )
        if land[b, a] == 0:
            sentences.append(f"{first}, and nothing in the other direction.")
            continue
        back = f"{percent(share[b, a], digits=0)} of what it calls {names[b]}{few[b]} is mapped as {names[a]}"
        # The two are shares of different lands, so which is more is said only where it is clear.
        one_way = land[a, b] > 2 * land[b, a]
        way = f": most of the confused land is {names[a]} mapped as {names[b]}" if one_way else ""
        sentences.append(f"{first}, and {back}{way}.")
    return sentences


def _number(split: Mapping[str, Any], prefix: str) -> int:
    """The first count, other than 0, under a key that starts so; a list counts its entries."""
    values = [split[key] for key in sorted(split) if key.startswith(prefix)]
    counts = [len(v) if isinstance(v, list | tuple) else v for v in values]
    return next((n for n in counts if isinstance(n, int) and n), 0)


def _as_score(score: Any) -> Mapping[str, Any]:
    return score if isinstance(score, Mapping) else {"value": score, "low": None}
