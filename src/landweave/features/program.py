"""A recipe's layers as a program of numbers, for forms that know neither names nor formulas."""

import numpy as np

from landweave.features.indices import INDICES, NORM, evaluate
from landweave.features.recipe import Layer, Recipe
from landweave.patch.model import NODATA, REFLECTANCE_SCALE

BAND, DIFFERENCE, LENGTH, OTHER = 0, 1, 2, 3
"""Operations: a band; a normalised difference of sums of bands; the length of bands; arithmetic, made beforehand."""


def compiled_program(recipe: Recipe) -> np.ndarray:
    """A row a layer: operation, how many bands on the plus side, on the minus side, then their positions.

    Parameters
    ----------
    recipe
        Positions are those of its ``source_bands``; of an OTHER layer, the number among :func:`others`.

    Returns
    -------
    numpy.ndarray
        int64 (layers, 3 + 2 w): positions of the plus side from column 3, of the minus side from column 3 + w.

    >>> compiled_program(Recipe(bands=("B04",), indices=("ndvi",), days=(0,))).tolist()
    [[0, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0]]
    """
    position = {name: i for i, name in enumerate(recipe.source_bands)}
    layers = recipe.layers
    width = max(1, len(recipe.source_bands))
    program = np.zeros((len(layers), 3 + 2 * width), "int64")
    for number, layer in enumerate(layers):
        what, plus, minus = operation(layer, recipe)
        program[number, :3] = what, len(plus), len(minus)
        program[number, 3 : 3 + len(plus)] = [int(plus[0])] if what == OTHER else [position[band] for band in plus]
        program[number, 3 + width : 3 + width + len(minus)] = [position[band] for band in minus]
    return program


def operation(layer: Layer, recipe: Recipe) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """How a layer is made; of OTHER layers the first name is the number among them."""
    if layer.kind == "band":
        return BAND, (layer.name,), ()
    if layer.kind == "index" and layer.name == NORM:
        return LENGTH, recipe.bands, ()
    pair = INDICES[layer.name] if layer.kind == "index" else ""
    if isinstance(pair, tuple):
        return DIFFERENCE, tuple(pair[0].split("+")), tuple(pair[1].split("+"))
    return OTHER, (str(_other_names(recipe).index(layer.name)),), ()


def _other_names(recipe: Recipe) -> list[str]:
    return [
        layer.name
        for layer in recipe.layers
        if layer.kind == "custom" or (layer.kind == "index" and isinstance(INDICES.get(layer.name), str))
    ]


def others(bands: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Layers that are arithmetic of the user's or the table's: float64 (others, t, p) in physical units."""
    names = _other_names(recipe)
    out = np.empty((len(names), *bands.shape[1:]))
    if names:
        reflectance = np.where(bands == NODATA, np.nan, bands * REFLECTANCE_SCALE)
        values = dict(zip(recipe.source_bands, reflectance, strict=True))
        for layer in recipe.layers:
            if layer.name in names:
                out[names.index(layer.name)] = evaluate(str(layer.expression), values, rule=recipe.rule)
    return out
