"""Where the true cover is known (a simulated country): agreement with it, and how it differs from the reference's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.accuracy.metrics import score


def against_truth(
    truth: np.ndarray,
    reference: np.ndarray,
    predicted: np.ndarray,
    *,
    classes: Mapping[int, str],
    weights: np.ndarray,
    clusters: np.ndarray | None,
    seed: int = 42,
) -> dict[str, Any]:
    """OA(truth) - OA(reference) = share(reference wrong, map right) - share(map repeats the reference's error).

    The identity holds pixel by pixel: where reference and truth agree both accuracies count the same; where they
    differ the map agrees with one of them or with neither.

    Parameters
    ----------
    truth, reference, predicted
        Class values on the same pixels, uint8 (n,); pixels whose truth is 0 are left out.
    classes
        Class value to name.
    weights
        Land that each pixel stands for, (n,).
    clusters
        Patch or block of each pixel, (n,), or None.
    seed
        Of the intervals.

    Returns
    -------
    dict
        ``overall_accuracy``, ``weighted_f1`` and ``classes`` against the truth, as of
        :func:`landweave.accuracy.metrics.score`; and as shares of the land ``reference_error``,
        ``reference_wrong_map_right``, ``map_repeats_reference_error`` and ``reference_overall_accuracy`` (the map's
        agreement with the reference on these very pixels).
    """
    known = truth > 0
    truth, reference, predicted, weights = truth[known], reference[known], predicted[known], weights[known]
    figures = score(
        truth, predicted, classes=classes, weights=weights,
        clusters=None if clusters is None else clusters[known], seed=seed,
    )  # fmt: skip
    land = weights.sum()

    def share(of: np.ndarray) -> float:
        return float(weights[of].sum() / land)

    wrong = reference != truth
    return {
        "overall_accuracy": figures["overall_accuracy"],
        "weighted_f1": figures["weighted_f1"],
        "classes": figures["classes"],
        "reference_overall_accuracy": share(predicted == reference),
        "reference_error": share(wrong),
        "reference_wrong_map_right": share(wrong & (predicted == truth)),
        "map_repeats_reference_error": share(wrong & (predicted == reference)),
    }
