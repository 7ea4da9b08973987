"""eo-learn's EOPatch: features by kind and name, over arrays, a Dataset or a folder."""

import copy
import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from landweave.eolearn.features import KINDS, FeatureType, names_kind, renamed_features
from landweave.eolearn.folders import read_folder, write_folder
from landweave.eolearn.holding import (
    STAMP,
    BBox,
    Features,
    Unread,
    checked,
    moment_of,
    of_this_machine,
    same,
    shape_text,
)
from landweave.errors import InputError
from landweave.patch.eopatch.features import AXES, META, positions
from landweave.patch.model import TIME, check_patch, make_patch


class EOPatch:
    """A piece of ground with its dates and features, as eo-learn has it: ``patch.data["BANDS"]`` is (t, y, x, d).

    Parameters
    ----------
    bbox
        A :class:`BBox`, or sentinelhub's.
    timestamps
        A moment, or ISO text, for each step of time.
    features
        By kind: name to array with the axes of :data:`landweave.patch.eopatch.features.AXES`, to a table of
        geometries, or to anything for ``meta_info``.

    Raises
    ------
    InputError
        For an array with other axes or, once there are timestamps, other dates; for masks and labels that are not
        whole numbers; for dated vectors without the column ``TIMESTAMP``. eo-learn warns of wrong dates only.

    >>> patch = EOPatch(bbox=BBox((0, 0, 60, 40), "EPSG:32633"), timestamps=["2017-05-01"])
    >>> patch.data["BANDS"] = np.zeros((1, 4, 6, 2), "float32")
    >>> patch[FeatureType.DATA, "BANDS"].shape, (FeatureType.MASK, "CLM") in patch
    ((1, 4, 6, 2), False)
    """

    data: Features
    mask: Features
    scalar: Features
    label: Features
    vector: Features
    data_timeless: Features
    mask_timeless: Features
    scalar_timeless: Features
    label_timeless: Features
    vector_timeless: Features
    meta_info: Features

    def __init__(
        self,
        *,
        bbox: Any = None,
        timestamps: Iterable[datetime.datetime | str] | None = None,
        **features: Mapping[str, Any] | None,
    ) -> None:
        self._timestamps: list[datetime.datetime] | None = None
        self.bbox = bbox
        for kind in KINDS:
            setattr(self, kind, {})
        self.timestamps = timestamps
        for kind, named in features.items():
            if kind not in KINDS:
                raise InputError(f"{kind!r} is not a feature type; there are {', '.join(KINDS)}.")
            setattr(self, kind, named or {})

    def __setattr__(self, name: str, value: Any) -> None:
        if name in KINDS:
            features = Features(FeatureType(name), self)
            for key in value:
                features[key] = value.held(key) if isinstance(value, Features) else value[key]
            value = features
        super().__setattr__(name, value)

    @classmethod
    def from_dataset(
        cls, dataset: xr.Dataset, names: Mapping[tuple[str, str], Sequence[str]] | None = None
    ) -> "EOPatch":
        """A view of a patch's Dataset: its variables are stacked when a feature is touched.

        Parameters
        ----------
        dataset
            Variables (time, y, x) or (y, x) with a geobox that is not rotated.
        names
            For a feature, the variables that are its bands. Others become features of their own name with one band:
            ``mask`` where they are whole numbers of one byte or true and false, else ``data``.
        """
        geobox = dataset.odc.geobox
        if geobox is None or not geobox.axis_aligned:
            raise InputError("The Dataset has no grid along its axes; an EOPatch needs a box.")
        moments = dataset[TIME].values.astype("datetime64[us]").tolist() if TIME in dataset.coords else None
        patch = cls(bbox=BBox(geobox.boundingbox.bbox, geobox.crs), timestamps=moments)
        wanted: dict[tuple[str, str], list[str]] = {key: list(bands) for key, bands in (names or {}).items()}
        used = {band for bands in wanted.values() for band in bands}
        for band, variable in dataset.data_vars.items():
            if band not in used and variable.dims[-2:] == geobox.dimensions:
                kind = "mask" if variable.dtype.kind == "b" or variable.dtype.itemsize == 1 else "data"
                wanted[kind if TIME in variable.dims else f"{kind}_timeless", str(band)] = [str(band)]
        for (kind, name), bands in wanted.items():
            if "yx" not in AXES.get(kind, ""):
                raise InputError(f"{kind}/{name}: variables of a Dataset are data or masks, with or without time.")
            check_patch(dataset, *bands)
            shape = (*dataset[bands[0]].shape, len(bands))
            patch[kind, name] = Unread(
                read=partial(_stacked, dataset, tuple(bands)), shown=shape_text(shape, dataset[bands[0]].dtype)
            )
        return patch

    def to_dataset(
        self, features: Any = ..., names: Mapping[tuple[str, str], Sequence[str]] | None = None
    ) -> xr.Dataset:
        """Features with rows and columns as a Dataset with named axes, a variable a band, values as they are.

        Parameters
        ----------
        features
            Which, in any of eo-learn's ways; all of them must have the same rows and columns.
        names
            For a feature, a name for each of its bands. Without: its own name where it has one band, else that with
            ``_0``, ``_1``, ...
        """
        images = [kind for kind in KINDS if FeatureType(kind).is_image()]
        found = renamed_features(features, self, kinds=images if features is ... else None)
        variables: dict[str, np.ndarray] = {}
        size = None
        for kind, name, new in found:
            if not kind.is_image():
                raise InputError(f"{kind}/{name} has no rows and columns.")
            values = self[kind, name]
            if size is not None and values.shape[-3:-1] != size:
                raise InputError(
                    f"{kind}/{name} has {' x '.join(map(str, values.shape[-3:-1]))} pixels, but others have "
                    f"{' x '.join(map(str, size))}; convert them separately."
                )
            size = values.shape[-3:-1]
            for number, band in enumerate(_bands(new, values.shape[-1], (names or {}).get((kind, name)))):
                if band in variables:
                    raise InputError(f"{kind}/{name}: {band!r} is the name of two bands; give different names.")
                variables[band] = values[..., number]
        if size is None:
            raise InputError("The patch has no feature with rows and columns.")
        if self.bbox is None:
            raise InputError("The patch has no bbox, so the place of its pixels is unknown.")
        return make_patch(variables, self.bbox.geobox(*size), self.timestamps)

    @property
    def bbox(self) -> BBox | None:
        """Where it lies."""
        return self._bbox

    @bbox.setter
    def bbox(self, value: Any) -> None:
        self._bbox = value if value is None or isinstance(value, BBox) else BBox(value, getattr(value, "crs", None))

    @property
    def timestamps(self) -> list[datetime.datetime] | None:
        """A moment for each step of time; None where there is no time."""
        return self._timestamps

    @timestamps.setter
    def timestamps(self, value: Iterable[datetime.datetime | str] | None) -> None:
        moments = None if value is None else [moment_of(one) for one in value]
        for kind, name in self.get_features():
            held = self[kind].held(name)
            if not isinstance(held, Unread):
                checked(kind, name, held, moments)
        self._timestamps = moments

    def get_timestamps(self) -> list[datetime.datetime]:
        """The timestamps; InputError where there are none."""
        if self._timestamps is None:
            raise InputError("The patch has no timestamps.")
        return self._timestamps

    def __getitem__(self, key: Any) -> Any:
        kind, name = key if isinstance(key, tuple) else (key, ...)
        features = getattr(self, FeatureType(kind))
        return features if name is None or name is ... else features[name]

    def __setitem__(self, key: Any, value: Any) -> None:
        kind, name = key if isinstance(key, tuple) else (key, ...)
        if name is None or name is ...:
            setattr(self, FeatureType(kind), value)
        else:
            getattr(self, FeatureType(kind))[name] = value

    def __delitem__(self, key: Any) -> None:
        if isinstance(key, tuple):
            del self[key[0]][key[1]]
        else:
            self[key] = {}

    def __contains__(self, key: object) -> bool:
        if isinstance(key, tuple):
            return key[1] in self[key[0]]
        return bool(self[key])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EOPatch):
            return NotImplemented
        alike = (self.bbox, self.timestamps) == (other.bbox, other.timestamps)
        return (
            alike
            and set(self.get_features()) == set(other.get_features())
            and all(same(self[key], other[key]) for key in self.get_features())
        )

    __hash__ = None  # type: ignore[assignment] # it can be changed

    def __repr__(self) -> str:
        lines = [f"bbox={self.bbox!r}"] if self.bbox is not None else []
        if self.timestamps is not None:
            stamps = [moment.isoformat() for moment in self.timestamps]
            lines.append(f"timestamps=[{', '.join(stamps[:1])}{', ...' if len(stamps) > 1 else ''}] ({len(stamps)})")
        lines += [f"{kind}={self[kind]!r}" for kind in KINDS if self[kind]]
        return "EOPatch(" + ",".join(f"\n  {line}" for line in lines) + "\n)"

    def get_features(self) -> list[tuple[FeatureType, str]]:
        """Kind and name of every feature."""
        return [(FeatureType(kind), name) for kind in KINDS for name in self.__dict__.get(kind, ())]

    def get_spatial_dimension(self, feature_type: str, feature_name: str) -> tuple[int, int]:
        """Rows and columns of a feature."""
        if not FeatureType(feature_type).is_image():
            raise InputError(f"{feature_type}/{feature_name} has no rows and columns.")
        height, width = self[feature_type, feature_name].shape[-3:-1]
        return height, width

    def copy(self, features: Any = ..., deep: bool = False, copy_timestamps: bool | str = "auto") -> "EOPatch":
        """A patch with the same features, or some of them; arrays are shared unless ``deep``."""
        chosen = renamed_features(features, self)
        with_time = features is ... or any(kind.is_temporal() for kind, _, _ in chosen)
        if copy_timestamps != "auto":
            with_time = bool(copy_timestamps)
        new = EOPatch(bbox=self.bbox, timestamps=self.timestamps if with_time else None)
        for kind, name, _ in chosen:
            held = self[kind].held(name)
            new[kind, name] = copy.deepcopy(held) if deep and not isinstance(held, Unread) else held
        return new

    def temporal_subset(self, timestamps: Any) -> "EOPatch":
        """The patch with some of its dates: moments, numbers, true and false for each, or a function of all to that."""
        have = self.get_timestamps()
        wanted = [bool(kept) for kept in timestamps(have)] if callable(timestamps) else list(timestamps)
        numbers = (int, np.integer, np.bool_)
        steps = [one if isinstance(one, numbers) else have.index(moment_of(one)) for one in wanted]
        return at_steps(self, positions(steps, len(have), "timestamps").tolist())

    def save(
        self, path: Any, features: Any = ..., overwrite_permission: Any = "ADD_ONLY", *, filesystem: Any = None,
        compress_level: Any = None, temporal_selection: Any = None, **options: Any,  # noqa: ARG002
    ) -> None:  # fmt: skip
        """Write a folder that eo-learn 1.5 loads; as :func:`save_patch`."""
        of_this_machine(filesystem=filesystem)
        if temporal_selection is not None:
            raise InputError(
                "temporal_selection is not supported, because a folder is written as a whole; save all dates at once."
            )
        save_patch(self, path, features=features, overwrite_permission=overwrite_permission, **options)

    @staticmethod
    def load(
        path: Any, features: Any = ..., lazy_loading: bool = False, *, filesystem: Any = None, **options: Any
    ) -> "EOPatch":
        """Read a folder in any published form; as :func:`load_patch`."""
        of_this_machine(filesystem=filesystem)
        return load_patch(path, features=features, lazy_loading=lazy_loading, **options)


def load_patch(
    path: str | Path,
    *,
    features: Any = ...,
    lazy_loading: bool = False,
    load_timestamps: bool | str = "auto",
    temporal_selection: slice | Sequence[int] | Sequence[bool] | Callable[..., Any] | None = None,
) -> EOPatch:
    """Read a folder of eo-learn's, in any published form.

    Parameters
    ----------
    path, temporal_selection
        As of :func:`landweave.eolearn.folders.read_folder`.
    features
        Which features.
    lazy_loading
        Read each when it is touched.
    load_timestamps
        ``"auto"``: where all features, or one with time, are asked for.

    Raises
    ------
    InputError
        As of ``read_folder``, and for a feature that is not there.
    """
    content = read_folder(path, temporal_selection=temporal_selection, with_meta_info=names_kind(features, META))
    whole = EOPatch(bbox=content.bbox, timestamps=content.timestamps)
    for key, value in content.features.items():
        whole[key] = value
    patch = whole.copy(features, copy_timestamps=load_timestamps)
    if not lazy_loading:
        for key in patch.get_features():
            _ = patch[key]
    return patch


def save_patch(
    patch: EOPatch,
    path: str | Path,
    *,
    features: Any = ...,
    save_timestamps: bool | str = "auto",
    **options: Any,
) -> Path:
    """Write a folder that eo-learn 1.5 loads; it appears whole or not at all.

    Parameters
    ----------
    patch
        With a bbox.
    path, options
        As of :func:`landweave.eolearn.folders.write_folder`, which names the errors too.
    features
        Which features.
    save_timestamps
        ``"auto"``: where all features, or one with time, are saved.
    """
    if patch.bbox is None:
        raise InputError(f"{path}: the patch has no bbox, so it cannot be saved.")
    chosen = patch.copy(features, copy_timestamps=save_timestamps)
    values = {(str(kind), name): chosen[kind, name] for kind, name in chosen.get_features()}
    return write_folder(path, values, bbox=patch.bbox, timestamps=chosen.timestamps, **options)


def merged(one: EOPatch, other: EOPatch) -> EOPatch:
    """A patch with the features of both; InputError where they lie elsewhere, or have other dates or values."""
    if one.bbox is not None and other.bbox is not None and one.bbox != other.bbox:
        raise InputError(f"Patches of different boxes cannot be merged: {one.bbox} and {other.bbox}.")
    if one.timestamps is not None and other.timestamps is not None and one.timestamps != other.timestamps:
        raise InputError("Patches of different timestamps cannot be merged; choose common dates first.")
    new = EOPatch(
        bbox=one.bbox or other.bbox, timestamps=one.timestamps if one.timestamps is not None else other.timestamps
    )
    for patch in (one, other):
        for kind, name in patch.get_features():
            if (kind, name) in new and not same(new[kind, name], patch[kind, name]):
                raise InputError(f"{kind}/{name} has other values in the other patch; rename one of them.")
            new[kind, name] = patch[kind].held(name)
    return new


def at_steps(patch: EOPatch, steps: Sequence[int], features: Any = ...) -> EOPatch:
    """A new patch with some steps of time of the features named; those without time come whole."""
    have = patch.timestamps
    kept = None if have is None else [have[step] for step in steps]
    new = EOPatch(bbox=patch.bbox, timestamps=kept)
    for kind, name, _ in renamed_features(features, patch):
        value = patch[kind, name]
        if kind.is_temporal() and kind.is_array():
            value = value[list(steps)]
        elif kind.is_temporal():
            value = value[value[STAMP].isin(kept or [])]
        new[kind, name] = value
    return new


def _stacked(dataset: xr.Dataset, bands: tuple[str, ...]) -> np.ndarray:
    return np.stack([dataset[band].values for band in bands], axis=-1)


def _bands(name: str, depth: int, given: Sequence[str] | None) -> list[str]:
    if given is not None:
        if len(given) != depth:
            raise InputError(f"{name}: {len(given)} names are given for {depth} bands.")
        return list(given)
    return [name] if depth == 1 else [f"{name}_{number}" for number in range(depth)]
