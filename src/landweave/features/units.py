"""The int16 scales of features, fitted to training pixels."""

import math
from dataclasses import replace

import numpy as np

from landweave.features.recipe import Recipe
from landweave.features.series.rules import PLAIN


def fit_scales(
    recipe: Recipe,
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray,
    static: np.ndarray | None = None,
) -> Recipe:
    """Set the int16 units of the layers that have no fixed ones, from the training pixels.

    The range from the 0.01 % to the 99.99 % quantile of a layer's values, over all target days, spans
    -32767..32767; what lies beyond saturates.

    Parameters
    ----------
    recipe
        Bands (1e-4), normalised differences (1e-4) and ``norm`` (2e-4) keep their fixed units, and layers that
        already stand in ``recipe.scales`` theirs.
    bands, valid, days, static
        As for :func:`landweave.features.interpolation.features`, with n training pixels.

    Returns
    -------
    Recipe
        With ``scales`` for the rest. A layer without any value, or with a single one, gets units of 1e-4.
    """
    unset = [layer.name for layer in (*recipe.layers, *recipe.static_layers) if math.isnan(layer.scale)]
    if not unset:
        return recipe
    # Here and not above: the kernels' file needs the recipe.
    from landweave.features.interpolation import features

    lines = replace(recipe, series=PLAIN)
    values = features(bands, valid, days, lines, static=static, dtype="float64")
    names, count = [layer.name for layer in recipe.layers], len(recipe.layers)
    dated = values[:, : lines.dated]
    fitted = {}
    for name in unset:
        if name in recipe.static:
            column = values[:, dated.shape[1] + recipe.static.index(name)]
        else:
            column = dated[:, names.index(name) :: count]
        fitted[name] = _range_scale(column)
    return recipe.with_scales(fitted)


def _range_scale(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 1e-4, 0.0
    low, high = (float(q) for q in np.quantile(finite, [0.0001, 0.9999]))
    scale = (high - low) / 65534
    if not scale > abs(high + low) * 1e-15:
        return 1e-4, low
    return scale, (high + low) / 2
