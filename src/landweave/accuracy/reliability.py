"""Do probabilities mean what they say: confidence against agreement, bin by bin, and in single numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landweave.accuracy.jackknife import by_cluster, interval_t, jackknifed
from landweave.errors import InputError

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
    seed
        As for :func:`landweave.accuracy.metrics.score`.

    Returns
    -------
    dict
        JSON-ready: ``pixels`` that were compared; ``expected_calibration_error`` and ``overconfidence`` (mean
        confidence less agreement: above 0 where the map is surer than it may be), scores ``{value, low, high,
        n_clusters}`` with a ``reason`` where something is missing; ``bins``: ``from``, ``to``, ``pixels``, ``share`` of
        the land, ``confidence`` (mean) and ``agreement`` (a score) of every bin, None where it is empty.

    Notes
    -----
    The expected calibration error adds up distances, so chance makes it too large. Its interval is placed about the
    jackknife's estimate without that excess, n e - (n - 1) mean e_g with e_g the error without cluster g (Efron and
    Stein 1981), and cut off at 0; so the value itself may lie above the middle.
    """
    use = (truth > 0) & (shown > 0) & np.isfinite(confidence)
    sure, right = np.asarray(confidence[use], "float64"), (truth == shown)[use]
    land = np.ones(len(sure)) if weights is None else np.asarray(weights, "float64")[use]
    cell = np.minimum((sure * bins).astype("int64"), bins - 1)
    pixels = np.bincount(cell, minlength=bins)
    of_bin, of_sure, of_right = (np.bincount(cell, w, minlength=bins) for w in (land, land * sure, land * right))
    counts, n = np.zeros(bins, "int64"), 0
    held: dict[str, np.ndarray] = {}
    if clusters is not None:
        units = np.unique(np.asarray(clusters)[use], return_inverse=True)[1].reshape(-1)
        n = int(units.max(initial=-1)) + 1
        counts = np.bincount(np.unique(cell * max(n, 1) + units) // max(n, 1), minlength=bins)[:bins]
        if n >= FEW_CLUSTERS:
            named = (("land", land), ("sure", land * sure), ("right", land * right))
            held = by_cluster(((name, (units, cell, w, bins)) for name, w in named), n, seed=seed)

    def scored(
        value: float | None, others: np.ndarray | None, base: np.ndarray, n_clusters: int, n_pixels: int, *, share: bool
    ) -> dict[str, Any]:
        low = high = reason = None
        if value is None:
            reason = "no test pixels"
        elif n_pixels < FEW_PIXELS:
            reason = f"{n_pixels} test pixels; an interval needs {FEW_PIXELS}"
        elif others is None or n_clusters < FEW_CLUSTERS:
            reason = f"{n_clusters} independent patches, blocks or groups bear on it; an interval needs {FEW_CLUSTERS}"
        else:
            low, high = interval_t(value, others, base, share=share)
        found = {"value": value, "low": low, "high": high, "n_clusters": n_clusters}
        return found | ({"reason": reason} if reason else {})

    total = float(of_bin.sum())
    gap = float((of_sure.sum() - of_right.sum()) / total) if total > 0 else None
    base = held.get("land", np.zeros((0, bins)))
    gaps = errors = agreements = None
    if held:
        gaps, errors = (jackknifed(held, of)[1] for of in (_gap, _error))
        agreements = jackknifed(held, _agreement)[1]
    rows = [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "pixels": int(pixels[b]),
            "share": float(of_bin[b] / total) if total > 0 else 0.0,
            "confidence": float(of_sure[b] / of_bin[b]) if of_bin[b] > 0 else None,
            "agreement": scored(
                float(of_right[b] / of_bin[b]) if of_bin[b] > 0 else None,
                None if agreements is None else agreements[:, b], base[:, b], int(counts[b]), int(pixels[b]),
                share=True,
            ),
        }
        for b in range(bins)
    ]  # fmt: skip
    error = float(np.abs(of_sure - of_right).sum() / total) if total > 0 else None
    expected = scored(error, errors, base.sum(axis=1), n, len(sure), share=False)
    if expected["low"] is not None and errors is not None:
        excess = (len(errors) - 1) * (float(errors.mean()) - float(error or 0))
        expected |= {key: max(expected[key] - excess, 0.0) for key in ("low", "high")}
    return {
        "pixels": len(sure),
        "expected_calibration_error": expected,
        "overconfidence": scored(gap, gaps, base.sum(axis=1), n, len(sure), share=False),
        "bins": rows,
    }


def _gap(land: np.ndarray, sure: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(_ratio((sure - right).sum(axis=1), land.sum(axis=1)))


def _error(land: np.ndarray, sure: np.ndarray, right: np.ndarray) -> np.ndarray:
    return _ratio(np.abs(sure - right).sum(axis=1), land.sum(axis=1))


def _agreement(land: np.ndarray, sure: np.ndarray, right: np.ndarray) -> np.ndarray:
    del sure
    return _ratio(right, land)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0))


def reliability_of_parts(
    truth: np.ndarray,
    shown: np.ndarray,
    confidence: np.ndarray,
    parts: Mapping[str, np.ndarray],
    *,
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    seed: int = 42,
) -> dict[str, Any]:
    """Mean confidence against agreement of parts of the land: one temperature may be right on average and in no part.

    Parameters
    ----------
    truth, shown, confidence, weights, clusters, seed
        As of :func:`reliability`.
    parts
        Name to the rows of a part, bool (n,).

    Returns
    -------
    dict
        Name to ``{pixels, share, confidence, agreement, overconfidence}``: ``share`` of the land that is shown,
        ``agreement`` the value, ``overconfidence`` a score; None where a part has no pixels.
    """
    use = (truth > 0) & (shown > 0) & np.isfinite(confidence)
    land = np.where(use, 1.0 if weights is None else np.asarray(weights, "float64"), 0.0)
    right, sure, total = truth == shown, np.where(use, confidence, 0.0), float(land.sum())
    found = {}
    for name, rows in parts.items():
        own = np.flatnonzero(use & rows)
        held = float(land[own].sum())
        gap = reliability(
            truth[own], shown[own], confidence[own], weights=land[own],
            clusters=None if clusters is None else np.asarray(clusters)[own], bins=1, seed=seed,
        )["overconfidence"]  # fmt: skip
        found[name] = {
            "pixels": len(own),
            "share": held / total if total > 0 else None,
            "confidence": float((land[own] * sure[own]).sum() / held) if held > 0 else None,
            "agreement": float(land[own][right[own]].sum() / held) if held > 0 else None,
            "overconfidence": gap,
        }
    return found


def brier(
    truth: np.ndarray,
    p: np.ndarray,
    *,
    classes: Sequence[int],
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    seed: int = 42,
) -> dict[str, Any]:
    """Brier score: the land's mean of sum_k (p_k - [truth = k])^2, from 0 to 2 (Brier 1950).

    Parameters
    ----------
    truth
        Reference class values, uint8 (n,); rows with 0 are left out.
    p
        Probabilities in the order of ``classes``, (n, k); rows with NaN are left out.
    classes
        Class value of each column.
    weights, clusters, seed
        As of :func:`reliability`.

    Returns
    -------
    dict
        A score ``{value, low, high, n_clusters}``, with a ``reason`` where something is missing.

    >>> p = np.array([[0.8, 0.2], [0.4, 0.6]])
    >>> round(brier(np.array([1, 1]), p, classes=[1, 2])["value"], 6)
    0.4
    """
    use = (truth > 0) & np.isfinite(p).all(axis=1)
    hit = truth[use, None] == np.asarray(classes)[None]
    loss = ((np.asarray(p[use], "float64") - hit) ** 2).sum(axis=1)
    land = np.ones(len(loss)) if weights is None else np.asarray(weights, "float64")[use]
    if not land.sum() > 0:
        return {"value": None, "low": None, "high": None, "n_clusters": 0, "reason": "no test pixels"}
    units = np.zeros(len(loss), "int64")
    if clusters is not None:
        units = np.unique(np.asarray(clusters)[use], return_inverse=True)[1].reshape(-1)
    n = 0 if clusters is None else int(units.max(initial=-1)) + 1
    value = float((loss * land).sum() / land.sum())
    found = {"value": value, "low": None, "high": None, "n_clusters": n}
    if n < FEW_CLUSTERS:
        reason = f"{n} independent patches, blocks or groups bear on it; an interval needs {FEW_CLUSTERS}"
        return found | {"reason": reason}
    cell = np.zeros(len(loss), "int64")
    held = by_cluster([("land", (units, cell, land, 1)), ("loss", (units, cell, land * loss, 1))], n, seed=seed)
    others = jackknifed(held, lambda land, loss: _ratio(loss[:, 0], land[:, 0]))[1]
    low, high = interval_t(value, others, held["land"][:, 0], share=False)
    return found | {"low": max(low, 0.0), "high": min(high, 2.0)}


def calibration_errors(
    p: np.ndarray, truth: np.ndarray, *, bins: int = 10, weights: np.ndarray | None = None
) -> dict[str, float | None]:
    r"""sum_b share_b \|right_b - sure_b\| over equal bins of the largest probability (Guo et al. 2017, section 2).

    Parameters
    ----------
    p
        Probabilities, (n, k).
    truth
        Column of the true class, (n,).
    bins
        Bins of equal width over 0..1; a probability on the border of two belongs to the upper one, and 1 to the last.
    weights
        Land that each row stands for, (n,); None counts every row alike.

    Returns
    -------
    dict
        ``expected`` (the formula above), ``root_mean_square`` and ``largest``; None without rows.

    Raises
    ------
    InputError
        When shapes do not fit, or there is no bin.

    Examples
    --------
    >>> errors = calibration_errors(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0, 0]), bins=2)
    >>> round(errors["expected"], 12)
    0.3
    """
    p, truth = np.asarray(p, "float64"), np.asarray(truth, "int64")
    land = np.ones(len(truth)) if weights is None else np.asarray(weights, "float64")
    if p.ndim != 2 or len(p) != len(truth) or len(land) != len(truth) or bins < 1:
        raise InputError(f"probabilities {p.shape}, {len(truth)} labels, {len(land)} weights, {bins} bins do not fit.")
    if not land.sum() > 0:
        return {"expected": None, "root_mean_square": None, "largest": None}
    top, right = p.max(axis=1), p.argmax(axis=1) == truth
    number = np.minimum((top * bins).astype("int64"), bins - 1)
    held, sure, hits = (np.bincount(number, w, minlength=bins) for w in (land, land * top, land * right))
    some = held > 0
    share, gap = held[some] / held.sum(), np.abs(hits[some] - sure[some]) / held[some]
    return {
        "expected": float((share * gap).sum()),
        "root_mean_square": float(np.sqrt((share * gap**2).sum())),
        "largest": float(gap.max()),
    }
