"""What the figures of a report do not say, and the same figures in the terms of ISO 19157."""

from collections.abc import Mapping
from typing import Any

from landweave.report.words import percent


def limits_section(
    accuracy: Mapping[str, Any] | None, design_based: Mapping[str, Any] | None, trust: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    """What is not said, and what to do about it; empty where there are no figures.

    Parameters
    ----------
    accuracy, design_based, trust
        The content of ``accuracy.json``, the estimate from a probability sample, and the content of ``trust.json``.
    """
    if accuracy is None and design_based is None:
        return []
    pixel = (
        "trust.tif shows which classes are possible at each pixel."
        if trust
        else "confidence.tif shows the probability of the class shown; [map] trust = true adds sets of classes."
    )
    elsewhere = (
        "trust.tif shows what is outside the area of applicability."
        if trust
        else "[map] trust = true shows which land is unlike the training land."
    )
    rows = [
        ("Whether a given pixel is right", f"Accuracy is an average over land. {pixel}"),
        (
            "Accuracy in another year, or on land that is unlike the training land",
            f"Collect labels there and evaluate again. {elsewhere}",
        ),
        (
            "Whether borders are in the right place",
            "Positions were not measured. Pixels at borders are wrong more often.",
        ),
        ("Whether each field, lake or village was found", "Figures count pixels, not objects."),
    ]
    if design_based is None:
        rows = [
            (
                "Accuracy against what is really there",
                "The reference has errors. Draw a sample: landweave estimate draw.",
            ),
            (
                "The area of each class",
                "Counted pixels are biased where the map confuses classes. Draw a sample and estimate the area.",
            ),
            *rows,
        ]
    return rows


def iso_rows(accuracy: Mapping[str, Any] | None, design_based: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Figures as measures of ISO 19157: ``element``, ``measure``, ``scope``, ``method``, ``result``.

    Numbers of measures are those of the standard's list of data quality measures (ISO 19157:2013, annex D).
    """
    rows: list[dict[str, str]] = []
    sample, reference = (
        "labelled probability sample (direct external)",
        "comparison with the reference (direct external)",
    )
    for figures, method in ((design_based, sample), (accuracy, reference)):
        if figures is None:
            continue
        scope = "the whole map" if figures is design_based else "held-out land of the reference"
        rows.append(_row("Misclassification rate (61)", scope, method, _wrong(figures["overall_accuracy"])))
        rows += [
            _row(f"Misclassification rate (61), {name}", f"{scope}, {kind}", method, _wrong(row[key]))
            for name, row in figures["classes"].items()
            for key, kind in _kinds(row)
        ]
    if rows:
        where = "see the matrices of this page" if accuracy is not None else "see the estimate from the sample"
        rows.append(_row("Misclassification matrix (62)", rows[0]["scope"], rows[0]["method"], where))
    return rows


def _kinds(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys of a class's figures, and the land that they speak of."""
    names = {
        "users_accuracy": "mapped as the class", "precision": "mapped as the class",
        "producers_accuracy": "of the class", "recall": "of the class",
    }  # fmt: skip
    return [(key, kind) for key, kind in names.items() if key in row]


def _row(measure: str, scope: str, method: str, result: str) -> dict[str, str]:
    element = "Thematic quality: classification correctness"
    return {"element": element, "measure": measure, "scope": scope, "method": method, "result": result}


def _wrong(score: Mapping[str, Any]) -> str:
    """1 - a score, with its interval turned round."""
    if score["value"] is None:
        return "not known"
    shown = percent(1 - score["value"])
    if score.get("low") is None:
        return shown
    return f"{shown} (95 %: {percent(1 - score['high'])} to {percent(1 - score['low'])})"
