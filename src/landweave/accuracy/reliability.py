"""Do probabilities mean what they say: confidence against agreement, bin by bin."""

from typing import Any

import numpy as np

from landweave.accuracy.bootstrap import interval, resample

BINS = 10
"""Bins of confidence, all of the same width, from 0 to 1."""

FEW_CLUSTERS, FEW_PIXELS = 8, 30
"""Fewest clusters, and pixels of a bin, for which an interval is given."""


def reliability(
    truth: np.ndarray,
    shown: np.ndarray,
    confidence: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    bins: int = BINS,
    seed: int = 42,
    repeats: int = 1000,
) -> dict[str, Any]:
    """ECE = sum over bins of share_b |agreement_b - confidence_b| (Guo et al. 2017, section 2), by land.

    Parameters
    ----------
    truth
        Reference class values, uint8 (n,); rows with 0 are left out.
    shown
        Class values of the map, uint8 (n,); rows with 0, "unclassified", claim nothing and are left out.
    confidence
        Calibrated probability of the class shown, 0..1, (n,).
    weights
        Land that each row stands for, (n,); None counts every row alike.
    clusters
        Patch, block or group of each row, (n,), from which the intervals come; None gives none.
    bins
        How many, equally wide; a confidence on the border of two belongs to the upper one, and 1 to the last.
    seed, repeats
        Of the resampling.

    Returns
    -------
    dict
        JSON-ready: ``pixels`` that were compared; ``expected_calibration_error`` and ``overconfidence`` (mean
        confidence less agreement: above 0 where the map is surer than it may be), scores ``{value, low, high,
        n_clusters}`` with a ``reason`` where something is missing; ``bins``: ``from``, ``to``, ``pixels``, ``share`` of
        the land, ``confidence`` (mean) and ``agreement`` (a score) of every bin, None where it is empty.

    Notes
    -----
    The expected calibration error has no interval: it adds up distances, which resampling can only widen, so that the
    percentiles would lie too high.
    """
    use = (truth > 0) & (shown > 0) & np.isfinite(confidence)
    sure, right = np.asarray(confidence[use], "float64"), (truth == shown)[use]
    land = np.ones(len(sure)) if weights is None else np.asarray(weights, "float64")[use]
    cell = np.minimum((sure * bins).astype("int64"), bins - 1)
    pixels = np.bincount(cell, minlength=bins)
    of_bin, of_sure, of_right = (np.bincount(cell, w, minlength=bins) for w in (land, land * sure, land * right))
    draws, counts = None, np.zeros(bins, "int64")
    units, n = np.zeros(len(sure), "int64"), 0
    if clusters is not None:
        units = np.unique(np.asarray(clusters)[use], return_inverse=True)[1].reshape(-1)
        n = int(units.max(initial=-1)) + 1
        counts = np.bincount(np.unique(cell * max(n, 1) + units) // max(n, 1), minlength=bins)[:bins]
        if n >= FEW_CLUSTERS:
            tables = [
                (name, (units, cell, w, bins))
                for name, w in (("land", land), ("sure", land * sure), ("right", land * right))
            ]
            draws = resample(tables, n, seed=seed, repeats=repeats)

    def scored(value: float | None, repeated: np.ndarray | None, n_clusters: int, n_pixels: int) -> dict[str, Any]:
        low = high = reason = None
        if value is None:
            reason = "no test pixels"
        elif n_pixels < FEW_PIXELS:
            reason = f"{n_pixels} test pixels; an interval needs {FEW_PIXELS}"
        elif repeated is None or n_clusters < FEW_CLUSTERS:
            reason = f"{n_clusters} independent patches, blocks or groups bear on it; an interval needs {FEW_CLUSTERS}"
        else:
            low, high = interval(repeated, n_clusters)
        found = {"value": value, "low": low, "high": high, "n_clusters": n_clusters}
        return found | ({"reason": reason} if reason else {})

    def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0))

    total = float(of_bin.sum())
    gap = (of_sure.sum() - of_right.sum()) / total if total > 0 else None
    gaps = None if draws is None else ratio((draws["sure"] - draws["right"]).sum(axis=1), draws["land"].sum(axis=1))
    agreements = None if draws is None else ratio(draws["right"], draws["land"])
    rows = [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "pixels": int(pixels[b]),
            "share": float(of_bin[b] / total) if total > 0 else 0.0,
            "confidence": float(of_sure[b] / of_bin[b]) if of_bin[b] > 0 else None,
            "agreement": scored(
                float(of_right[b] / of_bin[b]) if of_bin[b] > 0 else None,
                None if agreements is None else agreements[:, b], int(counts[b]), int(pixels[b]),
            ),
        }
        for b in range(bins)
    ]  # fmt: skip
    error = float(np.abs(of_sure - of_right).sum() / total) if total > 0 else None
    return {
        "pixels": len(sure),
        "expected_calibration_error": {
            "value": error, "low": None, "high": None, "n_clusters": n,
            "reason": "no test pixels" if error is None else "a sum of distances, which resampling can only widen",
        },
        "overconfidence": scored(None if gap is None else float(gap), gaps, n, len(sure)),
        "bins": rows,
    }  # fmt: skip
