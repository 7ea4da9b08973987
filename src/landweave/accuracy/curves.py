"""ROC curves, thinned to what a drawing shows."""

from collections.abc import Mapping

import numpy as np

from landweave.accuracy.metrics import roc


def roc_curves(
    truth: np.ndarray, p: np.ndarray, weight: np.ndarray | None, names: Mapping[int, str]
) -> dict[str, dict[str, list[float]]]:
    """One-vs-rest ROC curves by class name; classes without both sides are left out.

    Parameters
    ----------
    truth
        Class values, (n,).
    p
        Probabilities, (n, classes), in the order of ``names``.
    weight
        Of the rows, (n,), or None.
    names
        Class value to name.

    Returns
    -------
    dict
        Name to ``false_positive_rate`` and ``true_positive_rate``, at most 201 points each.
    """
    curves = {}
    for column, (value, name) in enumerate(names.items()):
        positive = truth == value
        if not positive.any() or positive.all():
            continue
        false, true, _ = roc(positive, p[:, column], weight)
        # Evenly along the curve, not along one axis, so that steep and flat parts keep their shape.
        at = np.unique(np.searchsorted(false + true, np.linspace(0, 2, 201)).clip(0, len(false) - 1))
        curves[name] = {
            "false_positive_rate": [round(float(v), 5) for v in false[at]],
            "true_positive_rate": [round(float(v), 5) for v in true[at]],
        }
    return curves
