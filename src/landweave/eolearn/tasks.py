"""EOTask, and the general tasks: load, save, add, remove, rename, copy, map, zip, merge features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from landweave.eolearn.features import (
    FeatureParser,
    FeatureType,
    Renamed,
    one_feature,
    one_renamed_feature,
    plain_features,
    renamed_features,
)
from landweave.eolearn.folders import OverwritePermission
from landweave.eolearn.holding import of_this_machine
from landweave.eolearn.patch import EOPatch, load_patch, merged, save_patch
from landweave.errors import InputError

Names = Mapping[tuple[str, str], Sequence[str]]


class EOTask(ABC):
    """One piece of work on a patch; a task of your own has an ``execute``.

    As in eo-learn, tasks change the patch that they are given, and give it back; in a workflow each gets a copy that
    shares its arrays.

    >>> class Double(EOTask):
    ...     def execute(self, eopatch):
    ...         eopatch.data["X"] = eopatch.data["X"] * 2
    ...         return eopatch
    >>> Double()(EOPatch(data={"X": np.ones((1, 1, 1, 1))})).data["X"].item()
    2.0
    """

    @abstractmethod
    def execute(self, *eopatches: Any, **kwargs: Any) -> Any:
        """What the task does; called with the patch and the task's arguments of this execution."""

    def __call__(self, *eopatches: Any, **kwargs: Any) -> Any:
        """As ``execute``."""
        return self.execute(*eopatches, **kwargs)

    @staticmethod
    def parse_feature(
        feature: Any, eopatch: EOPatch | None = None, allowed_feature_types: Any = ...
    ) -> tuple[FeatureType, str]:
        """Kind and name of one feature."""
        return EOTask.parse_renamed_feature(feature, eopatch, allowed_feature_types)[:2]

    @staticmethod
    def parse_features(
        features: Any, eopatch: EOPatch | None = None, allowed_feature_types: Any = ...
    ) -> list[tuple[FeatureType, str]]:
        """Kinds and names of features."""
        return FeatureParser(features, allowed_feature_types).get_features(eopatch)

    @staticmethod
    def parse_renamed_feature(
        feature: Any, eopatch: EOPatch | None = None, allowed_feature_types: Any = ...
    ) -> Renamed:
        """Kind, name and new name of one feature."""
        kinds = FeatureParser(feature, allowed_feature_types).kinds
        renamed_features(feature, eopatch, kinds=kinds)
        return one_renamed_feature(feature, kinds=kinds)

    @staticmethod
    def parse_renamed_features(
        features: Any, eopatch: EOPatch | None = None, allowed_feature_types: Any = ...
    ) -> list[Renamed]:
        """Kinds, names and new names of features."""
        return FeatureParser(features, allowed_feature_types).get_renamed_features(eopatch)

    @staticmethod
    def get_feature_parser(features: Any, allowed_feature_types: Any = ...) -> FeatureParser:
        """What finds features in a patch that is given later."""
        return FeatureParser(features, allowed_feature_types)


def as_task(step: Callable[..., xr.Dataset], *, names: Names | None = None, **options: Any) -> EOTask:
    """A task of a function from Dataset to Dataset.

    Parameters
    ----------
    step
        Takes a patch as a Dataset, gives a new one on the same grid.
    names
        For a feature, the variables that are its bands; only features with rows and columns reach the function: those
        named here and those with one band, by their own name.
    options
        Further arguments of the function.

    Returns
    -------
    EOTask
        Its ``execute`` gives a new patch: features made of the function's variables, dates as the function gave them,
        and of the old patch what has no rows and columns and, where dates changed, no time.

    >>> from landweave.eolearn.holding import BBox
    >>> half = as_task(lambda patch, *, by: patch / by, names={("data", "BANDS"): ["B04", "B08"]}, by=2)
    >>> patch = EOPatch(bbox=BBox((0, 0, 20, 20), "EPSG:32633"), timestamps=["2017-05-01"])
    >>> patch.data["BANDS"] = np.ones((1, 2, 2, 2))
    >>> half(patch).data["BANDS"].mean().item()
    0.5
    """
    return _StepTask(step, names or {}, options)


def as_step(
    task: Callable[..., EOPatch], *, names: Names | None = None, **options: Any
) -> Callable[[xr.Dataset], xr.Dataset]:
    """A function from Dataset to Dataset of a task, for use among our own; the way back from :func:`as_task`.

    Parameters
    ----------
    task
        An :class:`EOTask`, or anything that takes a patch and gives one.
    names
        For a feature that the task asks for, the variables that are its bands; other variables are features by their
        own names. Features that come back under a name given here fall apart into these variables again.
    options
        Arguments of the execution.

    >>> from landweave.patch.model import make_patch
    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((0, 0, 20, 20), "EPSG:32633", resolution=10)
    >>> patch = make_patch({"B04": np.ones((1, 2, 2)), "B08": np.full((1, 2, 2), 3.0)}, grid, ["2017-05-01"])
    >>> total = MapFeatureTask(("data", "BANDS"), ("data", "SUM"), lambda bands: bands.sum(axis=-1, keepdims=True))
    >>> as_step(total, names={("data", "BANDS"): ["B04", "B08"]})(patch).SUM.values.ravel().tolist()
    [4.0, 4.0, 4.0, 4.0]
    """
    known = dict(names or {})

    def step(dataset: xr.Dataset) -> xr.Dataset:
        patch = EOPatch.from_dataset(
            dataset, {key: bands for key, bands in known.items() if set(bands) <= set(dataset)}
        )
        return task(patch, **options).to_dataset(names=known)

    return step


class _StepTask(EOTask):
    def __init__(self, step: Callable[..., xr.Dataset], names: Names, options: Mapping[str, Any]) -> None:
        self.step, self.names, self.options = step, names, options

    def execute(self, eopatch: EOPatch) -> EOPatch:
        images = [key for key in eopatch.get_features() if key[0].is_image()]
        chosen = [key for key in images if key in self.names or eopatch[key].shape[-1] == 1]
        made = self.step(eopatch.to_dataset(chosen, self.names), **self.options)
        kept = {key: bands for key, bands in self.names.items() if set(bands) <= set(made.data_vars)}
        patch = EOPatch.from_dataset(made, kept)
        # Milliseconds and time zones are no part of a Dataset's axis.
        steps = None if eopatch.timestamps is None else len(eopatch.timestamps)
        unchanged = steps is not None and made.sizes.get("time") == steps and _same_times(eopatch, patch)
        if unchanged:
            patch.timestamps = eopatch.timestamps
        for kind, name in eopatch.get_features():
            if not kind.is_image() and (unchanged or not kind.is_temporal()):
                patch[kind, name] = eopatch[kind].held(name)
        return patch


def _same_times(one: EOPatch, other: EOPatch) -> bool:
    return [np.datetime64(moment.replace(tzinfo=None)) for moment in one.get_timestamps()] == [
        np.datetime64(moment) for moment in other.get_timestamps()
    ]


class LoadTask(EOTask):
    """Reads a folder; merges it into the patch where one is given. Arguments as :func:`load_patch`."""

    def __init__(
        self, path: str | Path, filesystem: Any = None, config: Any = None, features: Any = ...,
        lazy_loading: bool = False, *, load_timestamps: bool | str = "auto", temporal_selection: Any = None,
    ) -> None:  # fmt: skip
        of_this_machine(filesystem=filesystem, config=config)
        self.path = Path(path)
        self.options = {"features": features, "lazy_loading": lazy_loading, "load_timestamps": load_timestamps}
        self.temporal_selection = temporal_selection

    def execute(
        self, eopatch: EOPatch | None = None, *, eopatch_folder: str = "", temporal_selection: Any = ...
    ) -> EOPatch:
        chosen = self.temporal_selection if temporal_selection is ... else temporal_selection
        loaded = load_patch(self.path / eopatch_folder, temporal_selection=chosen, **self.options)
        return loaded if eopatch is None else merged(eopatch, loaded)


class SaveTask(EOTask):
    """Writes a folder; gives the patch back. Arguments as :func:`save_patch`."""

    def __init__(
        self, path: str | Path, filesystem: Any = None, config: Any = None, features: Any = ...,
        overwrite_permission: Any = OverwritePermission.ADD_ONLY, *, save_timestamps: bool | str = "auto",
        use_zarr: bool = False, temporal_selection: Any = None, compress_level: Any = None,  # noqa: ARG002
    ) -> None:  # fmt: skip
        of_this_machine(filesystem=filesystem, config=config)
        _refuse_part(temporal_selection)
        self.path = Path(path)
        self.options = {
            "features": features, "overwrite_permission": overwrite_permission, "save_timestamps": save_timestamps,
            "use_zarr": use_zarr,
        }  # fmt: skip

    def execute(self, eopatch: EOPatch, *, eopatch_folder: str = "", temporal_selection: Any = None) -> EOPatch:
        _refuse_part(temporal_selection)
        save_patch(eopatch, self.path / eopatch_folder, **self.options)
        return eopatch


def _refuse_part(temporal_selection: Any) -> None:
    if temporal_selection is not None:
        raise InputError(
            "temporal_selection is not supported, because a folder is written as a whole; save all dates at once."
        )


class AddFeatureTask(EOTask):
    """Adds a feature, given at execution as ``data``."""

    def __init__(self, feature: Any) -> None:
        self.feature = one_feature(feature)

    def execute(self, eopatch: EOPatch, data: Any) -> EOPatch:
        eopatch[self.feature] = data
        return eopatch


class RemoveFeatureTask(EOTask):
    """Takes features away."""

    def __init__(self, features: Any) -> None:
        self.features = features

    def execute(self, eopatch: EOPatch) -> EOPatch:
        for kind, name, _ in renamed_features(self.features, eopatch):
            del eopatch[kind, name]
        return eopatch


class RenameFeatureTask(EOTask):
    """Gives features new names."""

    def __init__(self, features: Any) -> None:
        self.features = features

    def execute(self, eopatch: EOPatch) -> EOPatch:
        for kind, name, new in renamed_features(self.features, eopatch):
            held = eopatch[kind].held(name)
            del eopatch[kind, name]
            eopatch[kind, new] = held
        return eopatch


class CopyTask(EOTask):
    """A new patch with the same features, or some."""

    def __init__(self, features: Any = ..., *, deep: bool = False, copy_timestamps: bool | str = "auto") -> None:
        self.features, self.deep, self.copy_timestamps = features, deep, copy_timestamps

    def execute(self, eopatch: EOPatch) -> EOPatch:
        return eopatch.copy(self.features, deep=self.deep, copy_timestamps=self.copy_timestamps)


class MapFeatureTask(EOTask):
    """Each input feature through a function, or through ``map_method``, into an output feature."""

    def __init__(
        self, input_features: Any, output_features: Any, map_function: Callable[..., Any] | None = None, **kwargs: Any
    ) -> None:
        self.input_features, self.output_features = plain_features(input_features), plain_features(output_features)
        if len(self.input_features) != len(self.output_features):
            raise InputError(
                f"{len(self.input_features)} input features and {len(self.output_features)} outputs; give one for each."
            )
        self.function, self.kwargs = map_function or self.map_method, kwargs

    def execute(self, eopatch: EOPatch) -> EOPatch:
        for source, target in zip(self.input_features, self.output_features, strict=True):
            eopatch[target] = self.function(eopatch[source], **self.kwargs)
        return eopatch

    def map_method(self, feature: Any) -> Any:
        """What becomes of a feature, where no function is given."""
        raise NotImplementedError(f"{type(self).__name__} has no map_method; write one, or give map_function.")


class ZipFeatureTask(EOTask):
    """All input features through a function, or through ``zip_method``, into one output feature."""

    def __init__(
        self, input_features: Any, output_feature: Any, zip_function: Callable[..., Any] | None = None, **kwargs: Any
    ) -> None:
        self.input_features, self.output_feature = plain_features(input_features), one_feature(output_feature)
        self.function, self.kwargs = zip_function or self.zip_method, kwargs

    def execute(self, eopatch: EOPatch) -> EOPatch:
        eopatch[self.output_feature] = self.function(*(eopatch[key] for key in self.input_features), **self.kwargs)
        return eopatch

    def zip_method(self, *features: Any) -> Any:
        """What becomes of the features, where no function is given."""
        raise NotImplementedError(f"{type(self).__name__} has no zip_method; write one, or give zip_function.")


class MergeFeatureTask(ZipFeatureTask):
    """The bands of several features, side by side in one; its dtype is what NumPy's concatenation gives.

    ``axis`` and ``dtype``, given with the features, say otherwise.
    """

    def zip_method(self, *features: np.ndarray, dtype: Any = None, axis: int = -1) -> np.ndarray:
        """Concatenation, by default along the last axis."""
        return np.concatenate(features, axis=axis, dtype=dtype)


class ExtractBandsTask(MapFeatureTask):
    """Some bands of a feature, by number, as a feature."""

    def __init__(self, input_feature: Any, output_feature: Any, bands: Sequence[int]) -> None:
        super().__init__(input_feature, output_feature)
        self.bands = list(bands)

    def map_method(self, feature: np.ndarray) -> np.ndarray:
        """The bands."""
        if not all(-feature.shape[-1] <= band < feature.shape[-1] for band in self.bands):
            raise InputError(f"bands {self.bands} are selected, but the feature has {feature.shape[-1]}.")
        return feature[..., self.bands]


class InputTask(EOTask):
    """Starts a workflow with a value."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def execute(self, *, value: Any = None) -> Any:
        return self.value if value is None else value


class OutputTask(EOTask):
    """What comes here stands in the workflow's results, under a name."""

    def __init__(self, name: str | None = None, features: Any = ...) -> None:
        self.name, self.features = name or "output", features

    def execute(self, data: Any) -> Any:
        return data.copy(self.features, copy_timestamps=True) if isinstance(data, EOPatch) else data
