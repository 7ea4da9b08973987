"""Areas by a sample and a map together: the mapped area, corrected by the errors that the sample shows."""

import numpy as np

from landweave.accuracy.design_based.linear import UnitDesign
from landweave.accuracy.design_based.stratified import Measure
from landweave.errors import InputError

METHODS = ("difference", "regression")
"""How the map helps: by its classes as they are, or by what the sample says that each of them holds."""


def assisted_areas(
    design: UnitDesign,
    mapped: np.ndarray,
    reference: np.ndarray,
    *,
    areas: np.ndarray,
    method: str = "difference",
    inside: np.ndarray | None = None,
) -> Measure:
    """Areas of the classes by the difference or the regression (GREG) estimator.

    Area_j = sum_c X_c B_cj + A sum w (y_j - B_cj) / sum w, where X_c is the area that the map shows of class c, A their
    sum, w the weight of a unit, y_j whether it is of class j, and c its class on the map. ``difference``: B_cj is 1 for
    c = j and else 0, so the mapped area is corrected by the errors found. ``regression``: B_cj is the share of class j
    among all units of map class c; for the whole this is the post-stratified estimator (Saerndal, Swensson and Wretman
    1992, chapters 6, 7.6 and 10.7; McRoberts 2011, Remote Sens. Environ. 115:715). Both are free of bias, or nearly,
    however bad the map is. The variance is that of the residuals. Where the estimator is the post-stratified one, they
    are weighted by X_c / sum w of class c (equation 6.6.4 there).

    Parameters
    ----------
    design
        How the units were drawn.
    mapped, reference
        Position of each unit's map class, 0..k (k is "not mapped"), and of its reference class, 0..k-1, (n,).
    areas
        Mapped area of each class in the part that is spoken of, (k,); weights of the design are in the same unit.
    method
        One of :data:`METHODS`.
    inside
        Whether each unit lies in the part, bool (n,); None for the whole.

    Returns
    -------
    Measure
        Areas, (k,). A part without any unit has the areas that the map alone gives, without a standard error (NaN).

    Raises
    ------
    InputError
        When the method is unknown.

    Examples
    --------
    >>> design = UnitDesign(weight=np.full(4, 25.0), stratum=np.zeros(4, int), drawn=np.zeros(1))
    >>> found = assisted_areas(design, np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), areas=np.array([60.0, 40.0]))
    >>> found.value.tolist()
    [85.0, 15.0]
    >>> assisted_areas(design, np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), areas=np.array([60.0, 40.0]),
    ...                method="regression").value.tolist()
    [80.0, 20.0]
    """
    if method not in METHODS:
        raise InputError(f"estimator {method!r} is unknown; choose one of {', '.join(METHODS)}.")
    k = len(areas)
    here = np.ones(len(mapped), bool) if inside is None else np.asarray(inside, bool)
    y = (reference[:, None] == np.arange(k)).astype("float64")
    table = np.zeros((k + 1, k))
    table[:k] = np.eye(k)
    weight_of = np.bincount(mapped, design.weight, minlength=k + 1)
    if method == "regression":
        sums = np.zeros((k + 1, k))
        np.add.at(sums, mapped, design.weight[:, None] * y)
        seen = weight_of > 0
        table[seen] = sums[seen] / weight_of[seen, None]
        # No area of "not mapped" is known, so such units are left to the correction.
        table[k] = 0
    residual = (y - table[mapped]) * here[:, None]
    synthetic = areas @ table[:k]
    weight = design.weight * here
    bearing = (y * here[:, None]).sum(axis=0)
    if not weight.sum() > 0:
        nothing = np.full(k, np.nan)
        return Measure(value=synthetic, se=nothing, effective=np.zeros(k), bearing=bearing)
    whole = bool(here.all())
    size = float(areas.sum()) if (mapped[here] < k).all() else float(weight.sum())
    mean = (weight[:, None] * residual).sum(axis=0) / weight.sum()
    parts = size / weight.sum() * weight[:, None] * (residual - mean)
    if method == "regression" and whole and (mapped < k).all():
        with np.errstate(divide="ignore", invalid="ignore"):
            calibrated = np.append(areas, 0.0) / weight_of
        parts = design.weight[:, None] * calibrated[mapped][:, None] * residual
    value = synthetic + size * mean
    se = np.sqrt(design.variance(parts))
    effective = np.nan_to_num(weight.sum() ** 2 / (weight**2).sum()) * np.ones(k)
    return Measure(value=value, se=se, effective=effective, bearing=bearing)
