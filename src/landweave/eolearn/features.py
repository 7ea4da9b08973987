"""The ten kinds of feature and meta information, and the ways in which eo-learn's users name features."""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from landweave.errors import InputError
from landweave.patch.eopatch.features import AXES, DISCRETE, META, VECTORS

KINDS = (*AXES, *VECTORS, META)
"""Names of the kinds, as folders have them."""


class FeatureType(enum.StrEnum):
    """A kind of feature; equal to its name in lower case, so that ``"data"`` serves as well."""

    DATA = "data"
    MASK = "mask"
    SCALAR = "scalar"
    LABEL = "label"
    VECTOR = "vector"
    DATA_TIMELESS = "data_timeless"
    MASK_TIMELESS = "mask_timeless"
    SCALAR_TIMELESS = "scalar_timeless"
    LABEL_TIMELESS = "label_timeless"
    VECTOR_TIMELESS = "vector_timeless"
    META_INFO = "meta_info"

    def is_array(self) -> bool:
        """Whether features of the kind are arrays."""
        return self in AXES

    def is_vector(self) -> bool:
        """Whether they are tables of geometries."""
        return self in VECTORS

    def is_temporal(self) -> bool:
        """Whether they have a step for each timestamp."""
        return self != META and not self.endswith("_timeless")

    def is_timeless(self) -> bool:
        """Whether they have none."""
        return self.endswith("_timeless")

    def is_image(self) -> bool:
        """Whether they are arrays with rows and columns."""
        return "yx" in AXES.get(self, "")

    def is_spatial(self) -> bool:
        """Whether they are images or vectors."""
        return self.is_image() or self.is_vector()

    def is_discrete(self) -> bool:
        """Whether they are whole numbers, or true and false."""
        return self in DISCRETE

    def ndim(self) -> int | None:
        """Number of axes; None where they are no arrays."""
        return len(AXES[self]) if self in AXES else None


Renamed = tuple[FeatureType, str, str]
"""Kind, name and new name."""


def renamed_features(features: Any, patch: Any = None, *, kinds: Collection[str] | None = None) -> list[Renamed]:
    """Features, as eo-learn's users write them, one by one.

    Parameters
    ----------
    features
        A pair ``(FeatureType.DATA, "BANDS")``; a triple with a new name; a kind, or ``(kind, ...)``, for all of it;
        ``...`` for all features; a dictionary of kinds to names, pairs of names, or ``...``; a sequence of these.
    patch
        An :class:`landweave.eolearn.patch.EOPatch`, which must hold them; needed where names are left open.
    kinds
        The only ones allowed.

    Raises
    ------
    InputError
        For what is none of these, a kind that is not allowed, and a feature that the patch lacks.

    >>> renamed_features({FeatureType.DATA: ["BANDS", ("NDVI", "INDEX")]})[1]
    (<FeatureType.DATA: 'data'>, 'NDVI', 'INDEX')
    """
    allowed = KINDS if kinds is None else kinds
    found: list[Renamed] = []
    for kind, name, new in _listed(features):
        if kind is None:
            wanted = [FeatureType(one) for one in KINDS if one in allowed]
        elif kind in allowed:
            wanted = [kind]
        else:
            raise InputError(f"Features of type {kind} are not accepted here; use {', '.join(allowed)}.")
        if name is not None:
            if patch is not None and (wanted[0], name) not in patch:
                there = ", ".join(f"{one}/{other}" for one, other in patch.get_features()) or "none"
                raise InputError(f"The patch has no feature {wanted[0]}/{name}; there are {there}.")
            found.append((wanted[0], name, new or name))
        elif patch is None:
            raise InputError(f"{features!r} names no features; give their names.")
        else:
            found += [(one, other, other) for one in wanted for other in patch[one]]
    return found


def names_kind(features: Any, kind: str) -> bool:
    """Whether features of a kind can be among those that ``features`` names; InputError where it names nothing."""
    return any(one is None or one == kind for one, _, _ in _listed(features))


def one_feature(features: Any, *, kinds: Collection[str] | None = None) -> tuple[FeatureType, str]:
    """Kind and name of the only feature that ``features`` names; as :func:`renamed_features`."""
    return one_renamed_feature(features, kinds=kinds)[:2]


def one_renamed_feature(features: Any, *, kinds: Collection[str] | None = None) -> Renamed:
    """Kind, name and new name of the only feature that ``features`` names; as :func:`renamed_features`."""
    found = renamed_features(features, kinds=kinds)
    if len(found) != 1:
        raise InputError(f"{features!r} names {len(found)} features but one is needed.")
    return found[0]


def plain_features(features: Any, *, kinds: Collection[str] | None = None) -> list[tuple[FeatureType, str]]:
    """Kinds and names, without new ones; as :func:`renamed_features`."""
    return [(kind, name) for kind, name, _ in renamed_features(features, kinds=kinds)]


class FeatureParser:
    """Finds features in a patch that is not there yet; what eo-learn's own tasks keep of their arguments.

    Parameters
    ----------
    features
        As for :func:`renamed_features`.
    allowed_feature_types
        ``...``: all; some kinds; or a function that says of a kind whether it may be used.
    """

    def __init__(self, features: Any, allowed_feature_types: Any = ...) -> None:
        self.features, allowed = features, allowed_feature_types
        self.kinds: list[FeatureType] | None = None
        if callable(allowed):
            self.kinds = [kind for kind in FeatureType if allowed(kind)]
        elif allowed is not ...:
            self.kinds = [FeatureType(getattr(kind, "value", kind)) for kind in allowed]
        list(_listed(features))

    def get_features(self, eopatch: Any = None) -> list[tuple[FeatureType, str]]:
        """Kinds and names."""
        return [(kind, name) for kind, name, _ in self.get_renamed_features(eopatch)]

    def get_renamed_features(self, eopatch: Any = None) -> list[Renamed]:
        """Kinds, names and new names."""
        return renamed_features(self.features, eopatch, kinds=self.kinds)


_Listed = tuple[FeatureType | None, str | None, str | None]


def _listed(features: Any) -> Iterable[_Listed]:
    if features is ...:
        yield None, None, None
    elif isinstance(features, str):
        yield _kind(features), None, None
    elif isinstance(features, Mapping):
        for kind, names in features.items():
            yield from _of_kind(_kind(kind), names)
    elif isinstance(features, tuple) and _is_single(features):
        yield from _of_kind(_kind(features[0]), features[1] if len(features) == 2 else [features[1:]])
    elif isinstance(features, Sequence):
        for part in features:
            yield from _listed(part)
    else:
        raise InputError(f'{features!r} is not a feature; write (FeatureType.DATA, "BANDS").')


def _is_single(features: tuple[Any, ...]) -> bool:
    names = features[1:]
    return (
        isinstance(features[0], str)
        and 1 <= len(names) <= 2
        and (names == (...,) or all(isinstance(name, str) and not isinstance(name, FeatureType) for name in names))
    )


def _of_kind(kind: FeatureType, names: Any) -> Iterable[_Listed]:
    if names is ...:
        yield kind, None, None
        return
    for name in [names] if isinstance(names, str) else names:
        if isinstance(name, str):
            yield kind, name, None
        elif isinstance(name, tuple) and len(name) == 2 and all(isinstance(part, str) for part in name):
            yield kind, cast("str", name[0]), cast("str", name[1])
        else:
            raise InputError(f"{name!r} is neither a feature name of type {kind} nor a pair of names.")


def _kind(kind: str) -> FeatureType:
    try:
        return FeatureType(kind)
    except ValueError:
        raise InputError(f"{kind!r} is not a feature type; there are {', '.join(KINDS)}.") from None
