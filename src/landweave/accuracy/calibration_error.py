"""How far probabilities are from what comes true, in three numbers."""

import numpy as np

from landweave.errors import InputError


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
