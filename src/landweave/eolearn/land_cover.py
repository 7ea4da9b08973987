"""The tasks of eo-learn's land cover notebook on values: indices, masks, dates, samples, prediction."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from landweave.classifier.model import Model
from landweave.eolearn import arrays
from landweave.eolearn.features import FeatureType, one_feature, one_renamed_feature, renamed_features
from landweave.eolearn.patch import EOPatch, at_steps
from landweave.eolearn.tasks import EOTask, MapFeatureTask, ZipFeatureTask
from landweave.errors import InputError
from landweave.features.recipe import Recipe
from landweave.patch.model import to_int16

_IMAGES = [kind for kind in FeatureType if kind.is_image()]


class NormalizedDifferenceIndexTask(MapFeatureTask):
    """(a - b + c) / (a + b + c) of two bands, by number."""

    def __init__(
        self, input_feature: Any, output_feature: Any, bands: Sequence[int], acorvi_constant: float = 0,
        undefined_value: float = np.nan,
    ) -> None:  # fmt: skip
        super().__init__(input_feature, output_feature)
        if len(bands) != 2 or not all(isinstance(band, int) for band in bands):
            raise InputError(f"bands is {bands!r}; give the numbers of two bands.")
        self.bands, self.constant, self.undefined = tuple(bands), acorvi_constant, undefined_value

    def map_method(self, feature: np.ndarray) -> np.ndarray:
        """The index, with one band."""
        if not all(-feature.shape[-1] <= band < feature.shape[-1] for band in self.bands):
            raise InputError(f"bands {self.bands} are selected, but the feature has {feature.shape[-1]}.")
        a, b = (feature[..., band] for band in self.bands)
        return arrays.normalized_difference(a, b, constant=self.constant, undefined=self.undefined)[..., None]


class MaskFeatureTask(EOTask):
    """Replaces a feature where a mask has one of some values."""

    def __init__(
        self, feature: Any, mask_feature: Any, mask_values: Sequence[int], no_data_value: float = np.nan
    ) -> None:
        self.feature, self.mask_feature = one_renamed_feature(feature, kinds=_IMAGES), one_feature(mask_feature)
        self.mask_values, self.no_data_value = list(mask_values), no_data_value

    def execute(self, eopatch: EOPatch) -> EOPatch:
        kind, name, new = self.feature
        values = eopatch[kind, name]
        for value in self.mask_values:
            values = arrays.masked(values, eopatch[self.mask_feature], value, self.no_data_value)
        eopatch[kind, new] = values
        return eopatch


class JoinMasksTask(ZipFeatureTask):
    """Masks joined by ``"and"``, ``"or"``, ``"xor"``, or by a function of two masks."""

    METHODS: Mapping[str, Callable[..., Any]] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}

    def __init__(self, input_features: Any, output_feature: Any, join_operation: Any = "and") -> None:
        if isinstance(join_operation, str) and join_operation not in self.METHODS:
            raise InputError(f"join_operation {join_operation!r} is unknown; use {', '.join(self.METHODS)}.")
        self.join = self.METHODS[join_operation] if isinstance(join_operation, str) else join_operation
        super().__init__(input_features, output_feature)

    def zip_method(self, *features: np.ndarray) -> np.ndarray:
        """One after the other, from the left."""
        whole, *others = features
        for other in others:
            whole = self.join(whole, other)
        return whole


class SimpleFilterTask(EOTask):
    """A new patch with the dates on which ``filter_func`` says yes to the feature, or to the moment."""

    def __init__(self, feature: Any, filter_func: Callable[[Any], bool], filter_features: Any = ...) -> None:
        dated = [kind for kind in FeatureType if kind.is_temporal() and kind.is_array()]
        self.feature = None if feature == "timestamps" else one_feature(feature, kinds=dated)
        self.filter_func, self.filter_features = filter_func, filter_features

    def execute(self, eopatch: EOPatch) -> EOPatch:
        asked = eopatch.get_timestamps() if self.feature is None else eopatch[self.feature]
        return at_steps(
            eopatch, [step for step, one in enumerate(asked) if self.filter_func(one)], self.filter_features
        )


class FilterTimeSeriesTask(SimpleFilterTask):
    """A new patch with the dates of an interval, both ends inclusive."""

    def __init__(self, start_date: datetime.datetime, end_date: datetime.datetime, filter_features: Any = ...) -> None:
        super().__init__("timestamps", lambda moment: start_date <= moment <= end_date, filter_features)


class LinearInterpolationTask(EOTask):
    """Values between the valid ones before and after, on the patch's dates or on those of ``resample_range``.

    The result is float64. With ``resample_range`` it is a new patch that holds it and ``copy_features``.
    ``parallel``, ``filling_factor`` and ``interpolate_pixel_wise`` are taken and change nothing.
    """

    def __init__(
        self, feature: Any, parallel: bool = False, *, resample_range: Any = None,  # noqa: ARG002
        result_interval: tuple[float, float] | None = None, mask_feature: Any = None, copy_features: Any = None,
        unknown_value: float = np.nan, filling_factor: int = 10, scale_time: int = 3600,  # noqa: ARG002
        interpolate_pixel_wise: bool = False,  # noqa: ARG002
    ) -> None:  # fmt: skip
        self.feature = one_renamed_feature(feature, kinds=("data", "mask"))
        masks = ("mask", "mask_timeless", "label")
        self.mask_features = [] if mask_feature is None else renamed_features(mask_feature, kinds=masks)
        self.targets = None if resample_range is None else arrays.target_moments(resample_range)
        self.copy_features, self.result_interval = copy_features, result_interval
        self.unknown_value, self.scale_time = unknown_value, scale_time

    def execute(self, eopatch: EOPatch) -> EOPatch:
        kind, name, new = self.feature
        values = eopatch[kind, name]
        # Whole numbers know no NaN, and compiled code knows neither 16 bits nor bytes the other way round.
        short = values.dtype.kind == "f" and values.dtype.itemsize <= 4
        values = values.astype("float32" if short else "float64")
        moments = eopatch.get_timestamps()
        if len(moments) < 2:
            raise InputError(f"{kind}/{name} has {len(moments)} dates; interpolation needs two.")
        for mask_kind, mask_name, _ in self.mask_features:
            mask = eopatch[mask_kind, mask_name].astype(bool)
            if mask_kind == FeatureType.LABEL:
                values[~mask.any(axis=1)] = np.nan
            else:
                values = arrays.masked(values, mask, value=False, replacement=np.nan)
        times, targets = arrays.hours_of(moments, self.targets, seconds=self.scale_time)
        values = arrays.interpolate(values, times, targets)
        if self.result_interval is not None:
            values = np.clip(values, *self.result_interval)
        values[np.isnan(values)] = self.unknown_value
        patch = eopatch
        if self.targets is not None:
            patch = EOPatch(bbox=eopatch.bbox, timestamps=self.targets)
            for old_kind, old, renamed in renamed_features(self.copy_features or [], eopatch):
                patch[old_kind, renamed] = eopatch[old_kind].held(old)
            if (kind, new) in patch:
                raise InputError(f"copy_features copies {kind}/{new}, which the interpolation also makes; rename one.")
        patch[kind, new] = values
        return patch


class FractionSamplingTask(EOTask):
    """A random share of each label's pixels, of several features: (t, n, 1, d) and (n, 1, d)."""

    def __init__(
        self, features_to_sample: Any, sampling_feature: Any, fraction: float | dict[int, float],
        exclude_values: list[int] | None = None, replace: bool = False, mask_of_samples: Any = None,
    ) -> None:  # fmt: skip
        self.features = features_to_sample
        self.sampling_feature = one_feature(sampling_feature, kinds=("mask_timeless",))
        self.fraction, self.exclude_values, self.replace = fraction, exclude_values or [], replace
        self.mask_of_samples = None if mask_of_samples is None else one_feature(mask_of_samples)
        self._check(fraction)

    def _check(self, fraction: Any) -> None:
        for share in fraction.values() if isinstance(fraction, Mapping) else [fraction]:
            if not (share >= 0 and (self.replace or share <= 1)):
                raise InputError(f"fraction contains {share!r}; without replacement it is from 0 to 1.")

    def execute(
        self, eopatch: EOPatch, *, seed: int | None = None, fraction: float | dict[int, float] | None = None
    ) -> EOPatch:
        share = self.fraction if fraction is None else fraction
        self._check(share)
        labels = eopatch[self.sampling_feature][..., 0]
        rows, columns = arrays.draw_pixels(
            labels, share, leave_out=self.exclude_values, replace=self.replace, seed=seed
        )
        for kind, name, new in renamed_features(self.features, eopatch, kinds=_IMAGES):
            eopatch[kind, new] = eopatch[kind, name][..., rows[:, None], columns[:, None], :]
        if self.mask_of_samples is not None:
            counts = np.zeros(labels.shape, "uint16")
            np.add.at(counts, (rows, columns), 1)
            eopatch[self.mask_of_samples] = counts.astype("uint8" if counts.max(initial=0) < 256 else "uint16")[
                ..., None
            ]
        return eopatch


class PredictPatchTask(EOTask):
    """A model's labels, and scores where a name for them is given, of all pixels of a patch.

    Parameters
    ----------
    model
        Anything with scikit-learn's ``predict`` and ``predict_proba``; or a :class:`landweave.classifier.model.Model`:
        one with a recipe is asked in the recipe's whole units, one of a table in float32. Then labels are those of
        the model's legend, 0 where a pixel has no feature at all.
    features_feature
        (t, y, x, d), in physical units: a row of the model is a pixel, date by date.
    predicted_labels_name
        Of the labels, ``mask_timeless``.
    predicted_scores_name
        Of the probabilities, ``data_timeless``, a band a class; from the same pass as the labels.
    """

    def __init__(
        self, model: Any, features_feature: Any, predicted_labels_name: str, predicted_scores_name: str | None = None
    ) -> None:
        self.model, self.feature = model, one_feature(features_feature, kinds=("data",))
        self.labels, self.scores = predicted_labels_name, predicted_scores_name

    def execute(self, eopatch: EOPatch) -> EOPatch:
        labels, *scores = arrays.by_rows(eopatch[self.feature], self._predicted)
        eopatch[FeatureType.MASK_TIMELESS, self.labels] = labels[..., None]
        if scores:
            eopatch[FeatureType.DATA_TIMELESS, str(self.scores)] = scores[0]
        return eopatch

    def _predicted(self, rows: np.ndarray) -> list[np.ndarray]:
        if isinstance(self.model, Model):
            scores = self.model.probabilities(_for_model(rows, self.model))
            labels = np.where(np.isnan(rows).all(axis=1), 0, self.model.classify(scores)[0]).astype("uint8")
        elif self.scores is None:
            return [np.asarray(self.model.predict(rows))]
        else:
            scores = np.asarray(self.model.predict_proba(rows))
            labels = np.asarray(self.model.classes_)[np.argmax(scores, axis=1)]
        return [labels] if self.scores is None else [labels, scores]


def _for_model(rows: np.ndarray, model: Model) -> np.ndarray:
    # In the numbers that the model was trained on.
    wanted = len(model.feature_names)
    recipe = None if model.recipe is None else Recipe.from_json(model.recipe)
    if rows.shape[1] != wanted or (recipe is not None and recipe.static):
        dates = "" if recipe is None else f", {len(recipe.days)} dates of {len(recipe.layers)} layers"
        rest = f" and the layers without time {recipe.static}" if recipe is not None and recipe.static else ""
        raise InputError(
            f"{rows.shape[1]} features per pixel, but the model needs {wanted} features{dates}{rest}; "
            "compute the same features."
        )
    if recipe is None:
        return rows.astype("float32")
    units = np.empty(rows.shape, "int16")
    for number, (scale, offset) in enumerate(recipe.feature_units):
        units[:, number] = to_int16(rows[:, number], scale=scale, offset=offset)
    return units
