"""Tasks that make patches and features: create, duplicate, move, initialise, subset in time, explode bands."""

import copy
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from landweave.eolearn.features import one_feature, plain_features, renamed_features
from landweave.eolearn.holding import Unread
from landweave.eolearn.patch import EOPatch
from landweave.eolearn.tasks import EOTask, ExtractBandsTask
from landweave.errors import InputError


class CreateEOPatchTask(EOTask):
    """A new patch, of what is given at execution."""

    def execute(self, **kwargs: Any) -> EOPatch:
        return EOPatch(**kwargs)


class DuplicateFeatureTask(EOTask):
    """Features once more, under new names that are free; arrays are shared unless ``deep_copy``."""

    def __init__(self, features: Any, deep_copy: bool = False) -> None:
        self.features, self.deep = features, deep_copy

    def execute(self, eopatch: EOPatch) -> EOPatch:
        for kind, name, new in renamed_features(self.features, eopatch):
            if new in eopatch[kind]:
                raise InputError(f"{kind}/{new} exists already; give the copy of {name} another name.")
            eopatch[kind, new] = _held(eopatch, kind, name, deep=self.deep)
        return eopatch


class MoveFeatureTask(EOTask):
    """Features of one patch put into another, which is given second and comes back."""

    def __init__(self, features: Any, deep_copy: bool = False) -> None:
        self.features, self.deep = features, deep_copy

    def execute(self, src_eopatch: EOPatch, dst_eopatch: EOPatch) -> EOPatch:
        for kind, name, _ in renamed_features(self.features, src_eopatch):
            dst_eopatch[kind, name] = _held(src_eopatch, kind, name, deep=self.deep)
        return dst_eopatch


class InitializeFeatureTask(EOTask):
    """New features of one value, as large as ``shape`` or the feature that it names; those that are there stay."""

    def __init__(self, features: Any, shape: Any, init_value: float = 0, dtype: Any = np.uint8) -> None:
        self.features = plain_features(features)
        given = isinstance(shape, tuple) and all(isinstance(size, Integral) for size in shape)
        if given and len(shape) not in {3, 4}:
            raise InputError(f"shape is {shape!r}; give (dates, rows, columns, bands), or a feature with this shape.")
        self.shape = tuple(shape) if given else one_feature(shape)
        self.is_size = given
        self.init_value, self.dtype = init_value, dtype

    def execute(self, eopatch: EOPatch) -> EOPatch:
        shape: Any = self.shape if self.is_size else eopatch[self.shape].shape
        for key in self.features:
            if key not in eopatch:
                eopatch[key] = np.ones(shape, self.dtype) * self.init_value
        return eopatch


class TemporalSubsetTask(EOTask):
    """A new patch with some of the dates, as :meth:`EOPatch.temporal_subset` takes them; execution's word holds."""

    def __init__(self, timestamps: Iterable[Any] | Callable[..., Any] | None = None) -> None:
        self.timestamps = timestamps

    def execute(self, eopatch: EOPatch, *, timestamps: Iterable[Any] | Callable[..., Any] | None = None) -> EOPatch:
        chosen = self.timestamps if timestamps is None else timestamps
        if chosen is None:
            raise InputError("timestamps are missing; give them to the task, or at execution.")
        return eopatch.temporal_subset(chosen)


class ExplodeBandsTask(EOTask):
    """Some bands of a feature as several features: each with the numbers of its bands."""

    def __init__(self, input_feature: Any, output_mapping: Mapping[Any, int | Iterable[int]]) -> None:
        self.tasks = [
            ExtractBandsTask(input_feature, output, list(bands) if isinstance(bands, Iterable) else [bands])
            for output, bands in output_mapping.items()
        ]

    def execute(self, eopatch: EOPatch) -> EOPatch:
        for task in self.tasks:
            task(eopatch)
        return eopatch


def _held(patch: EOPatch, kind: Any, name: str, *, deep: bool) -> Any:
    held = patch[kind].held(name)
    return copy.deepcopy(held) if deep and not isinstance(held, Unread) else held
