"""Class and confidence of every pixel of a patch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from landweave.api.attributes import legend_flags
from landweave.api.compute import FEATURE, STRIP_PIXELS, prepare
from landweave.classifier.model import Model, decide
from landweave.errors import InputError
from landweave.features.interpolation import any_known
from landweave.features.recipe import Recipe
from landweave.legend import Legend
from landweave.patch.model import NODATA, X, Y, to_int16

CLASS_NAME = "class_name"
"""Axis of probabilities: ``class`` itself is a variable."""


@dataclass(frozen=True, kw_only=True)
class _Classifier:
    """What predicts, whatever it is: a model of ours, or an estimator with scikit-learn's methods."""

    model: Any
    columns: tuple[str, ...] | None
    """Names of its features; None where it does not know them."""

    count: int | None
    """Number of its features; None where it does not say."""

    names: Mapping[int, str]
    """Class value to name, one for each column of probabilities, in their order."""

    recipe: Recipe | None

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """float32 (n, classes)."""
        if isinstance(self.model, Model):
            return self.model.probabilities(X)
        if self.columns is not None:
            import pandas as pd

            # What was fitted with names of columns warns where they are missing.
            return np.asarray(self.model.predict_proba(pd.DataFrame(X, columns=list(self.columns))), "float32")
        return np.asarray(self.model.predict_proba(X), "float32")


def predict(
    patch: xr.Dataset | xr.DataArray,
    model: Any,
    *,
    probabilities: bool = False,
    legend: Legend | None = None,
    thresholds: Mapping[str, float] | None = None,
    reject_below: float | None = None,
    period: Any = None,
) -> xr.Dataset:
    """Classify every pixel.

    With the imagery, masks and model of a run, classes and confidences are those of ``predictions/<patch>.tif``.

    Parameters
    ----------
    patch
        A masked patch, for a model of landweave, which knows its recipe; or features (feature, y, x) from
        :func:`compute_features`.
    model
        Folder of a model that ``landweave run`` wrote, a loaded model, or a fitted classifier with scikit-learn's
        ``predict_proba`` and ``classes_``, which gets the features (pixels, features) in the type that they have.
    probabilities
        Also return the probability of each class.
    legend
        Classes with colours; default: the names that the model knows.
    thresholds, reject_below
        As in ``[model]`` of a project file: the class is argmax p_k / t_k, and 0 where its probability is below
        ``reject_below``; default: those of the model.
    period
        As for :func:`compute_features`.

    Returns
    -------
    xarray.Dataset
        ``class`` uint8 (y, x), 0 where no feature is known, with ``flag_values``, ``flag_meanings`` and, with a
        legend, ``flag_colors``; ``confidence`` uint8 (y, x), 1 to 100 per cent, 0 where there is no data. With
        ``probabilities`` the variable of that name, float32 (class_name, y, x), NaN where there is no data, with the
        coordinate ``class_value``.

    Raises
    ------
    InputError
        For features that the model was not trained on, in other units or without a recipe, and for classes that are
        not 1 to 255.
    """
    classifier = _classifier(model, legend)
    strips, like = _strips(patch, classifier, period)
    shape = tuple(int(like.sizes[axis]) for axis in (Y, X))
    values = tuple(classifier.names)
    options = _options(classifier, thresholds, reject_below)
    out = np.zeros((2, *shape), "uint8")
    shares = np.full((len(values), *shape), np.nan, "float32") if probabilities else None
    for rows, table, seen in strips:
        here = np.flatnonzero(seen)
        if not here.size:
            continue
        p = classifier.probabilities(table if here.size == len(table) else table[here])
        part = np.zeros((2, len(table)), "uint8")
        part[:, here] = decide(p, values, **options)
        out[:, rows] = part.reshape(2, -1, shape[1])
        if shares is not None:
            spread = np.full((len(values), len(table)), np.nan, "float32")
            spread[:, here] = p.T
            shares[:, rows] = spread.reshape(len(values), -1, shape[1])
    return _dataset(out, shares, like, classifier, legend)


def _classifier(model: Any, legend: Legend | None) -> _Classifier:
    if isinstance(model, str | Path):
        model = Model.load(model)
    if isinstance(model, Model):
        return _Classifier(
            model=model, columns=model.feature_names, count=len(model.feature_names),
            names={value: model.class_names[value] for value in model.classes},
            recipe=None if model.recipe is None else Recipe.from_json(model.recipe),
        )  # fmt: skip
    lacking = [name for name in ("predict_proba", "classes_") if not hasattr(model, name)]
    if lacking:
        raise InputError(
            f"model is a {type(model).__name__} without {lacking[0]}; give a model's folder, or a fitted classifier "
            "with predict_proba and classes_."
        )
    columns, count = getattr(model, "feature_names_in_", None), getattr(model, "n_features_in_", None)
    return _Classifier(
        model=model, columns=None if columns is None else tuple(str(name) for name in columns),
        count=None if count is None else int(count), names=_named(model.classes_, legend), recipe=None,
    )  # fmt: skip


def _named(classes: Sequence[Any], legend: Legend | None) -> dict[int, str]:
    """Class value to name: numbers are values; names get the legend's values, or 1, 2, ... in their order."""
    items = np.asarray(classes).tolist()
    if all(isinstance(item, str) for item in items):
        values = [legend.value_of(item) if legend else number for number, item in enumerate(items, start=1)]
        return dict(zip(values, items, strict=True))
    for item in items:
        if not (isinstance(item, int) or (isinstance(item, float) and item.is_integer())) or not 1 <= item <= 255:
            raise InputError(
                f"The classifier has the class {item!r}; classes are whole numbers 1 to 255, or names. "
                "Leave pixels without label (0) out of the training rows."
            )
    names = legend.names if legend else {}
    return {int(item): names.get(int(item), str(int(item))) for item in items}


_Strips = Iterator[tuple[slice, np.ndarray, np.ndarray]]
"""Rows of the patch, their features (n, f), and which pixels have any, bool (n,)."""


def _strips(patch: Any, classifier: _Classifier, period: Any) -> tuple[_Strips, Any]:
    if isinstance(patch, xr.DataArray):
        table = _ordered(patch, classifier)
        return _of_features(table, classifier), table
    if not isinstance(patch, xr.Dataset):
        raise InputError(f"patch is a {type(patch).__name__}; give a Dataset of bands or a DataArray of features.")
    if classifier.recipe is None:
        raise InputError(
            "The model does not say which features it was trained on; give predict(compute_features(patch, ...), "
            "model), computed as for its training."
        )
    ready = prepare(patch, classifier.recipe, period=period)

    def of_patch() -> _Strips:
        for rows, table in ready.strips("int16"):
            yield rows, table, any_known(table[:, : ready.dated])

    return of_patch(), ready.patch


def _of_features(array: xr.DataArray, classifier: _Classifier) -> _Strips:
    recipe = classifier.recipe
    dated = np.ones(array.sizes[FEATURE], bool)
    if "date" in array.coords:
        dated = ~np.isnat(array["date"].values)
    step = max(1, STRIP_PIXELS // max(array.sizes[X], 1))
    for top in range(0, array.sizes[Y], step):
        rows = slice(top, min(top + step, array.sizes[Y]))
        part = array.isel({Y: rows}).values
        values = part.reshape(len(part), -1)
        if recipe is not None and values.dtype != np.int16:
            units = recipe.feature_units
            values = np.stack([to_int16(row, scale=s, offset=o) for row, (s, o) in zip(values, units, strict=True)])
        known = values != NODATA if values.dtype == np.int16 else np.isfinite(values)
        yield rows, values.T, known[dated].any(axis=0)


def _ordered(array: xr.DataArray, classifier: _Classifier) -> xr.DataArray:
    """The features in the classifier's order; InputError where they are not those that it was trained on."""
    if set(array.dims) != {FEATURE, Y, X}:
        raise InputError(f"features have the axes {array.dims}; they must be ({FEATURE}, {Y}, {X}).")
    array = array.transpose(FEATURE, Y, X)
    if array.dtype != np.int16 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"features are {array.dtype}; they must be int16 or floating point.")
    count = array.sizes[FEATURE]
    if classifier.columns is not None and FEATURE in array.coords:
        found = [str(name) for name in array[FEATURE].values]
        missing = [name for name in classifier.columns if name not in found]
        extra = [name for name in found if name not in classifier.columns]
        if missing or extra:
            parts = [f"no {missing[0]!r} ({len(missing)} are missing)"] if missing else []
            parts += [f"{extra[0]!r}, which it does not know ({len(extra)} are unknown)"] if extra else []
            raise InputError(
                f"The model was trained on {len(classifier.columns)} other features: there is {' and '.join(parts)}; "
                "compute them with the model's recipe."
            )
        array = array.isel({FEATURE: [found.index(name) for name in classifier.columns]})
    elif classifier.count is not None and count != classifier.count:
        raise InputError(
            f"The model was trained on {classifier.count} features, and there are {count}; compute them as for its "
            "training."
        )
    if classifier.recipe is not None and array.dtype == np.int16:
        _check_units(array, classifier.recipe)
    return array


def _check_units(array: xr.DataArray, recipe: Recipe) -> None:
    for key, wanted in zip(("scale", "offset"), np.array(recipe.feature_units).T, strict=True):
        if key in array.coords and not np.array_equal(array[key].values, wanted):
            at = int(np.flatnonzero(array[key].values != wanted)[0])
            raise InputError(
                f"Feature {array[FEATURE].values[at]} has {key} {array[key].values[at]:g}, and the model was trained "
                f"with {wanted[at]:g}; compute the features with the model's recipe."
            )


def _options(
    classifier: _Classifier, thresholds: Mapping[str, float] | None, reject_below: float | None
) -> dict[str, Any]:
    of_model = classifier.model if isinstance(classifier.model, Model) else None
    chosen: Mapping[int, float] = {} if of_model is None else of_model.thresholds
    if thresholds is not None:
        value_of = {name: value for value, name in classifier.names.items()}
        unknown = [name for name in thresholds if name not in value_of]
        if unknown:
            raise InputError(f"thresholds names the class {unknown[0]!r}; the model has {', '.join(value_of)}.")
        chosen = {value_of[name]: threshold for name, threshold in thresholds.items()}
    for value, threshold in chosen.items():
        if not (np.isfinite(threshold) and threshold > 0):
            raise InputError(f"thresholds of {classifier.names[value]!r} is {threshold}; it must be over 0.")
    if reject_below is None and of_model is not None:
        reject_below = of_model.reject_below
    if reject_below is not None and not 0 <= reject_below <= 1:
        raise InputError(f"reject_below = {reject_below}; it must be from 0 to 1.")
    return {"thresholds": chosen, "reject_below": reject_below}


def _dataset(
    out: np.ndarray, shares: np.ndarray | None, like: Any, classifier: _Classifier, legend: Legend | None
) -> xr.Dataset:
    coords = {name: c for name, c in like.coords.items() if set(c.dims) <= {Y, X}}
    shown = legend_flags(classifier.names, legend)
    found = xr.Dataset(
        {
            "class": ((Y, X), out[0], {"long_name": "land cover class", **shown, "nodata": 0}),
            "confidence": (
                (Y, X), out[1],
                {"long_name": "probability of the class shown", "units": "percent", "nodata": 0},
            ),
        },
        coords=coords,
    )  # fmt: skip
    if shares is not None:
        found = found.assign_coords(
            {
                CLASS_NAME: list(classifier.names.values()),
                "class_value": (CLASS_NAME, np.array(list(classifier.names), "uint8")),
            }
        )
        found["probabilities"] = (
            (CLASS_NAME, Y, X), shares, {"long_name": "probability of each class", "units": "1"}
        )  # fmt: skip
    for variable in found.data_vars.values():
        variable.encoding["grid_mapping"] = "spatial_ref"
    return found
