"""Disagreement at the edges of the reference, and on things too thin for its pixels: apart from real errors."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.accuracy.metrics import score


def erosion_effect(
    truth: np.ndarray,
    predicted: np.ndarray,
    core: np.ndarray,
    *,
    classes: Mapping[int, str],
    weights: np.ndarray,
    clusters: np.ndarray | None,
    whole_pixels: Mapping[int, int],
    core_pixels: Mapping[int, int],
    seed: int = 42,
) -> dict[str, Any]:
    """Agreement inside the eroded reference, in the ring that erosion takes away, and over all.

    Parameters
    ----------
    truth, predicted
        Class values of test pixels, uint8 (n,); predicted 0 is "unclassified" and counts as an error.
    core
        Whether the pixel lies inside the eroded reference, bool (n,).
    classes
        Class value to name.
    weights
        Land that each pixel stands for, (n,).
    clusters
        Patch or block of each pixel, (n,); None gives no intervals.
    whole_pixels, core_pixels
        Class value to pixels of the whole reference, and of the eroded one.
    seed
        Of the intervals.

    Returns
    -------
    dict
        ``inside``, ``ring``, ``overall``: each ``{share, overall_accuracy}``, ``share`` of the test land and a score as
        of :func:`landweave.accuracy.metrics.score`; ``ring`` also ``classes``: name to ``{recall, support}``.
        ``disagreement_in_ring``: share of the disagreeing land that lies in the ring; None where all agrees.
        ``removed``: class name to ``{pixels, share}`` that erosion takes of the reference; share None without pixels.
    """
    core, land = np.asarray(core, bool), np.asarray(weights, "float64")
    options: dict[str, Any] = {"classes": classes, "seed": seed}

    def part(use: np.ndarray) -> dict[str, Any]:
        found = score(
            truth[use], predicted[use], weights=land[use], clusters=None if clusters is None else clusters[use],
            **options,
        )  # fmt: skip
        return {"share": _share(land, use), **{key: found[key] for key in ("overall_accuracy", "classes")}}

    everywhere = np.ones(len(core), bool)
    parts = {name: part(use) for name, use in (("inside", core), ("ring", ~core), ("overall", everywhere))}
    ring = {name: {key: of[key] for key in ("recall", "support")} for name, of in parts["ring"]["classes"].items()}
    wrong = predicted != truth
    removed = {}
    for value, name in classes.items():
        whole, left = int(whole_pixels.get(value, 0)), int(core_pixels.get(value, 0))
        removed[name] = {"pixels": whole - left, "share": (whole - left) / whole if whole else None}
    return {
        **{name: {key: of[key] for key in ("share", "overall_accuracy")} for name, of in parts.items()},
        "ring": {**{key: parts["ring"][key] for key in ("share", "overall_accuracy")}, "classes": ring},
        "disagreement_in_ring": _share(land[wrong], ~core[wrong]) if wrong.any() else None,
        "removed": removed,
    }


def thin_objects(
    truth: np.ndarray,
    predicted: np.ndarray,
    thin: np.ndarray,
    *,
    classes: Mapping[int, str],
    weights: np.ndarray,
    clusters: np.ndarray | None,
    seed: int = 42,
) -> dict[str, Any]:
    """Recall on what the reference has narrower than three pixels: what an opening by 3 x 3 pixels takes away.

    Parameters
    ----------
    truth, predicted, classes, weights, clusters, seed
        As of :func:`erosion_effect`.
    thin
        Whether the reference is thin there, bool (n,).

    Returns
    -------
    dict
        ``share`` of the test land that is thin; ``overall_accuracy`` of the thin pixels, a score; ``classes``: name to
        ``{recall, support, share}``, ``share`` being that of the class's test land that is thin, None without any.
    """
    thin, land = np.asarray(thin, bool), np.asarray(weights, "float64")
    found = score(
        truth[thin], predicted[thin], classes=classes, weights=land[thin],
        clusters=None if clusters is None else clusters[thin], seed=seed,
    )  # fmt: skip
    own = {name: truth == value for value, name in classes.items()}
    return {
        "share": _share(land, thin),
        "overall_accuracy": found["overall_accuracy"],
        "classes": {
            name: {
                "recall": of["recall"],
                "support": of["support"],
                "share": _share(land[own[name]], thin[own[name]]) if own[name].any() else None,
            }
            for name, of in found["classes"].items()
        },
    }


def _share(land: np.ndarray, use: np.ndarray) -> float:
    total = float(land.sum())
    return float(land[use].sum() / total) if total > 0 else 0.0
