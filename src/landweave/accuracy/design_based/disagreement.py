"""What a map has too much of, and what it has in the wrong place: quantity and allocation disagreement."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def disagreement(shares: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Divide the disagreement of map and reference into quantity and allocation.

    Of class j, with p_j+ mapped, p_+j in the reference and p_jj both: quantity q_j = |p_j+ - p_+j| and allocation
    a_j = 2 min(p_j+ - p_jj, p_+j - p_jj). Over all classes Q = sum q_j / 2 and A = sum a_j / 2, and Q + A is 1 less the
    overall accuracy (Pontius and Millones 2011, International Journal of Remote Sensing 32:4407, equations 2 to 7).
    Land without a class on the map is a class of its own, which is all quantity.

    Parameters
    ----------
    shares
        Share of the land in each cell, (k + 1, k): rows the map, the last one "no class"; columns the reference.
    names
        Of the k classes.

    Returns
    -------
    dict
        ``quantity``, ``allocation`` and ``classes``: name to ``quantity`` (above 0 where the map has more of the class
        than the reference) and ``allocation``; all shares of the land. Q is estimated a little too large, because
        chance differences do not cancel.

    Examples
    --------
    >>> found = disagreement(np.array([[0.5, 0.1], [0.0, 0.4], [0.0, 0.0]]), ["forest", "other"])
    >>> round(found["quantity"], 3), round(found["allocation"], 3), round(found["classes"]["forest"]["quantity"], 3)
    (0.1, 0.0, 0.1)
    """
    table = np.asarray(shares, "float64")
    right = table.diagonal()
    mapped, reference = table.sum(axis=1), table.sum(axis=0)
    more = mapped[:-1] - reference
    allocation = 2 * np.minimum(mapped[:-1] - right, reference - right)
    return {
        "quantity": float((np.abs(more).sum() + mapped[-1]) / 2),
        "allocation": float(allocation.sum() / 2),
        "classes": {
            name: {"quantity": float(more[i]), "allocation": float(allocation[i])} for i, name in enumerate(names)
        },
    }
