"""Several interpreters of one sample: how far they agree, beyond chance too, and the label that most of them give."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landweave.accuracy.design_based.linear import UnitDesign, ratio_estimate

NOTHING = -1
"""Class of a unit that an interpreter did not judge, or was unsure of."""


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """Two interpreters on the units for which both name a class."""

    units: int
    agreement: float
    """Share of the land where they name the same class; NaN without a unit."""
    se: float
    kappa: float
    """Cohen's kappa of the units, each counted once; NaN where both always name one class."""


def pair_agreement(a: np.ndarray, b: np.ndarray, design: UnitDesign) -> PairAgreement:
    """How far two interpreters agree.

    Cohen's kappa = (p_o - p_e) / (1 - p_e), with p_e = sum p_a p_b of the classes' shares (Cohen 1960, Educ. Psychol.
    Meas. 20:37).

    Parameters
    ----------
    a, b
        Class that each names, (n,); :data:`NOTHING` where it names none.
    design
        How the units were drawn: the agreement is that of the land, kappa that of the units.

    Examples
    --------
    >>> a, b = np.array([0] * 25 + [1] * 25), np.array([0] * 20 + [1] * 5 + [0] * 10 + [1] * 15)
    >>> design = UnitDesign(weight=np.ones(50), stratum=np.zeros(50, int), drawn=np.zeros(1))
    >>> found = pair_agreement(a, b, design)
    >>> round(found.agreement, 2), round(found.kappa, 2)
    (0.7, 0.4)
    """
    both = (a != NOTHING) & (b != NOTHING)
    if not both.any():
        return PairAgreement(units=0, agreement=math.nan, se=math.nan, kappa=math.nan)
    same = ratio_estimate(design, (both & (a == b)).astype("float64"), both.astype("float64"))
    k = int(max(a[both].max(), b[both].max())) + 1
    share_a, share_b = (np.bincount(v[both], minlength=k) / both.sum() for v in (a, b))
    observed, expected = float((a[both] == b[both]).mean()), float(share_a @ share_b)
    kappa = (observed - expected) / (1 - expected) if expected < 1 else math.nan
    return PairAgreement(units=int(both.sum()), agreement=float(same.value), se=float(same.se), kappa=kappa)


def fleiss_kappa(labels: np.ndarray) -> tuple[float, int]:
    """Fleiss' kappa of the units that all interpreters name a class for, and how many these are.

    kappa = (P - P_e) / (1 - P_e), P the mean over units of sum n_j (n_j - 1) / (r (r - 1)), P_e = sum p_j^2 (Fleiss
    1971, Psychol. Bull. 76:378).

    Parameters
    ----------
    labels
        Class by unit and interpreter, (n, r), r at least 2; :data:`NOTHING` for none.

    Returns
    -------
    kappa
        NaN where no unit counts, or one class is all that is named.
    units
        Units that count.

    Examples
    --------
    >>> kappa, units = fleiss_kappa(np.array([[0, 0, 0], [1, 1, 0], [1, 1, 1], [0, -1, 0]]))
    >>> round(kappa, 4), units
    (0.55, 3)
    """
    whole = labels[(labels != NOTHING).all(axis=1)]
    n, r = whole.shape
    if not n or r < 2:
        return math.nan, n
    counts = (whole[:, :, None] == np.arange(whole.max() + 1)).sum(axis=1)
    observed = float((counts * (counts - 1)).sum() / (n * r * (r - 1)))
    expected = float(((counts.sum(axis=0) / (n * r)) ** 2).sum())
    return ((observed - expected) / (1 - expected) if expected < 1 else math.nan), n


def majority(names: Sequence[str]) -> str:
    """The class that more interpreters name than any other; "" where nobody names one, or two are named as often.

    Names that differ only in case or blanks are one.

    >>> majority(["forest", "Forest", "water"]), majority(["forest", "water"]), majority(["", ""])
    ('forest', '', '')
    """
    counts: dict[str, int] = {}
    spelled: dict[str, str] = {}
    for name in names:
        if name:
            key = " ".join(name.casefold().split())
            spelled.setdefault(key, name)
            counts[key] = counts.get(key, 0) + 1
    if not counts:
        return ""
    most = max(counts.values())
    first = [name for name, count in counts.items() if count == most]
    return spelled[first[0]] if len(first) == 1 else ""
