"""What an EOPatch is made of: its box, and the features of one kind, checked when put in and read when touched."""

import datetime
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from landweave.eolearn.features import FeatureType
from landweave.errors import InputError
from landweave.patch.eopatch.features import AXES, DISCRETE

STAMP = "TIMESTAMP"
"""The column of dated vectors that says when."""


class Dated(Protocol):
    """What has timestamps, or None."""

    @property
    def timestamps(self) -> list[datetime.datetime] | None:
        """A moment for each step of time."""
        ...


@dataclass(frozen=True, init=False)
class BBox:
    """A box in a CRS; iterates over left, bottom, right, top.

    Parameters
    ----------
    bbox
        Left, bottom, right, top; x is longitude in ``EPSG:4326``.
    crs
        As text or number; sentinelhub's ``CRS`` serves too.

    >>> list(BBox((500000, 5000000, 500060, 5000040), "EPSG:32633"))
    [500000.0, 5000000.0, 500060.0, 5000040.0]
    """

    bbox: tuple[float, float, float, float]
    crs: str

    def __init__(self, bbox: Iterable[float], crs: Any) -> None:
        values = tuple(float(value) for value in bbox)
        if len(values) != 4 or not (np.isfinite(values).all() and values[0] < values[2] and values[1] < values[3]):
            raise InputError(f"bbox {values} must be left, bottom, right, top.")
        number = getattr(crs, "epsg", crs)
        try:
            known = CRS(f"EPSG:{number}" if isinstance(number, int) or str(number).isdigit() else str(number))
        except Exception:  # noqa: BLE001 - pyproj has many ways to say that a CRS is unknown
            raise InputError(f"{crs!r} is not a known CRS; write it as EPSG:32633.") from None
        object.__setattr__(self, "bbox", values)
        object.__setattr__(self, "crs", str(known))

    def __iter__(self) -> Iterator[float]:
        return iter(self.bbox)

    @property
    def geometry(self) -> Any:
        """The box as a shapely polygon."""
        import shapely

        return shapely.box(*self.bbox)

    def geobox(self, height: int, width: int) -> GeoBox:
        """The box divided into rows and columns."""
        left, bottom, right, top = self.bbox
        affine = Affine((right - left) / width, 0.0, left, 0.0, (bottom - top) / height, top)
        return GeoBox((height, width), affine, self.crs)


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A feature that is read when it is touched."""

    read: Callable[[], Any]
    """Gives it."""

    shown: str
    """What is known of it before."""


class Features(MutableMapping[str, Any]):
    """Name to feature, of one kind; checks what is put in, reads what is touched."""

    def __init__(self, kind: FeatureType, patch: Dated) -> None:
        self.kind = kind
        self._patch = patch
        self._held: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        try:
            held = self._held[name]
        except KeyError:
            there = ", ".join(self._held) or "none"
            raise KeyError(f"the patch has no feature {self.kind}/{name}; there are {there}") from None
        if isinstance(held, Unread):
            held = self._held[name] = checked(self.kind, name, held.read(), self._patch.timestamps)
        return held

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name or set(name) & set("./\\|;:\n\t"):
            raise InputError(f"{name!r} is not a valid feature name; use text without . / \\ | ; and :.")
        known = value if isinstance(value, Unread) else checked(self.kind, name, value, self._patch.timestamps)
        self._held[name] = known

    def __delitem__(self, name: str) -> None:
        del self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name}: {_shown(held)}" for name, held in sorted(self._held.items())) + "}"

    def held(self, name: str) -> Any:
        """As :meth:`__getitem__`, but what has not been read stays so."""
        return self._held[name]


def same(one: Any, other: Any) -> bool:
    """Whether two features hold the same; NaN is the same as NaN."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
    if hasattr(one, "geometry") and hasattr(other, "geometry"):
        return _same_tables(one, other)
    return bool(one == other)


def _same_tables(one: Any, other: Any) -> bool:
    # By values: files keep no row numbers, and moments to another fraction of a second.
    if list(one.columns) != list(other.columns) or len(one) != len(other) or one.crs != other.crs:
        return False
    shape = one.geometry.name
    return shape == other.geometry.name and all(
        one[column].to_wkb().tolist() == other[column].to_wkb().tolist()
        if column == shape
        else one[column]
        .astype(object)
        .reset_index(drop=True)
        .equals(other[column].astype(object).reset_index(drop=True))
        for column in one.columns
    )


def checked(kind: FeatureType, name: str, value: Any, moments: list[datetime.datetime] | None) -> Any:
    """A feature's value, or InputError where it does not suit its kind or, unless None, the timestamps."""
    where = f"{kind}/{name}"
    if kind in AXES:
        axes = AXES[kind]
        if not isinstance(value, np.ndarray) or value.ndim != len(axes):
            got = f"an array of {value.ndim} axes" if isinstance(value, np.ndarray) else type(value).__name__
            raise InputError(f"{where} is {got}; it must be an array of {len(axes)} axes ({', '.join(axes)}).")
        if axes[0] == "t" and moments is not None and len(value) != len(moments):
            raise InputError(f"{where} has {len(value)} dates, but the patch has {len(moments)} timestamps.")
        if kind in DISCRETE and value.dtype.kind not in "iub":
            raise InputError(f"{where} is {value.dtype}; {kind} must be whole numbers or true and false.")
    elif kind.is_vector():
        if not hasattr(value, "geometry"):
            raise InputError(f"{where} is {type(value).__name__}; it must be a GeoDataFrame.")
        if not hasattr(value, "columns"):
            value = value.to_frame("geometry")
        if kind.is_temporal() and STAMP not in value:
            raise InputError(f"{where} has no column {STAMP}; dated vectors need the date of each geometry.")
    return value


def of_this_machine(*, filesystem: Any = None, config: Any = None) -> None:
    """Refuse what eo-learn's users give for buckets and archives."""
    if filesystem is not None or config is not None:
        raise InputError("Only local folders are supported; leave filesystem and config out.")


def moment_of(value: Any) -> datetime.datetime:
    """A moment of a datetime, a date or ISO text."""
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time())
    try:
        return datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{value!r} is not a datetime; give a datetime, or text such as 2017-01-31T10:05:00."
        ) from None


def shape_text(shape: Sequence[int], dtype: Any) -> str:
    """What a user is shown of an array."""
    return f"array(shape={tuple(shape)}, dtype={dtype})"


def _shown(held: Any) -> str:
    if isinstance(held, Unread):
        return held.shown
    if isinstance(held, np.ndarray):
        return shape_text(held.shape, held.dtype)
    if hasattr(held, "columns"):
        return f"GeoDataFrame(columns={list(held.columns)}, length={len(held)}, crs={held.crs})"
    return repr(held) if len(repr(held)) <= 100 else type(held).__name__
