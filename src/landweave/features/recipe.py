"""The recipe: which layers become which features, on which days, in which int16 units."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from landweave.errors import InputError
from landweave.features.indices import INDICES, NORM, check_names, expression_bands, index_bands, index_formula
from landweave.features.series.rules import (
    DAY_SCALE,
    LINEAR,
    MOST_DAYS,
    ON_DAYS,
    PLAIN,
    SEASON_OUTPUTS,
    SPREADS,
    Series,
    read_series,
)
from landweave.import_rule import ImportRule
from landweave.patch.model import REFLECTANCE_SCALE
from landweave.patch.summary import Shown, listed

NORMALISED_SCALE = 1e-4

NORM_SCALE = 2e-4

_KEYS = ("bands", "indices", "custom", "static", "days", "scales")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of features: a band, index, custom expression, or a layer without time."""

    name: str
    """As it begins the features' names."""

    kind: str
    """``"band"``, ``"index"``, ``"custom"`` or ``"static"``."""

    expression: str | None
    """The formula of an index or custom layer."""

    scale: float
    """Size of one int16 unit; NaN while :func:`fit_scales` has not set it."""

    offset: float
    """The value stored as 0."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One feature of the layers with time."""

    name: str
    """The feature's name."""

    layer: Layer | None
    """What it is made of; None for a count of observations."""

    rule: str
    """The rule of ``[features] series`` that makes it."""

    day: int | None
    """Target day, or the first day of the window; None where a feature stands for the whole period."""

    kind: str
    """``"value"`` of the layer, ``"spread"`` of its values, ``"day"``, ``"count"`` or ``"integral"``."""

    @property
    def units(self) -> tuple[float, float]:
        """(scale, offset) of the int16 numbers, in physical units."""
        if self.kind == "day":
            return DAY_SCALE, 0.0
        if self.layer is None:
            return 1.0, 0.0
        wide = MOST_DAYS if self.kind == "integral" else 1
        return self.layer.scale * wide, self.layer.offset if self.kind == "value" else 0.0


@dataclass(frozen=True, kw_only=True, repr=False)
class Recipe(Shown):
    """How pixels become features.

    Raises
    ------
    InputError
        For an unknown index, a custom layer outside the language, a layer named twice, or days that do not rise.

    Examples
    --------
    >>> recipe = Recipe(bands=("B04", "B08"), indices=("ndvi",), days=(0, 16))
    >>> recipe.feature_names
    ('B04_d000', 'B08_d000', 'ndvi_d000', 'B04_d016', 'B08_d016', 'ndvi_d016')
    """

    bands: tuple[str, ...]
    """Bands that are features themselves."""

    indices: tuple[str, ...] = ()
    """Names of :data:`landweave.features.indices.INDEX_NAMES`."""

    custom: tuple[tuple[str, str], ...] = ()
    """(name, expression); an expression is arithmetic over bands, or an import path ``package.module:function``."""

    static: tuple[str, ...] = ()
    """Names of the layers without time."""

    days: tuple[int, ...]
    """Target days since the period's start, rising."""

    series: tuple[Series, ...] = PLAIN
    """The rules by which observations become features; one line between observations, where nothing else is asked."""

    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    """Layer to (scale, offset) of its int16 units, where they are not the fixed ones."""

    rule: ImportRule = field(default=ImportRule(), compare=False)
    """Whose functions custom layers may call; no part of what the recipe says, and not in its JSON."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "bands": listed(self.bands, 13),
            "indices": listed(self.indices),
            "custom": listed([name for name, _ in self.custom]),
            "static": listed(self.static),
            "days": listed(self.days, 3),
            **({} if self.series == PLAIN else {"series": listed([one.rule for one in self.series])}),
            "features": len(self.feature_names),
        }

    def __post_init__(self) -> None:
        names = [*self.bands, *self.indices, *(name for name, _ in self.custom), *self.static]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"[features] has two layers named {twice[0]!r}; give every layer its own name.")
        if not names or "" in names:
            raise InputError("[features] has no layer, or one without a name; name bands, indices or custom layers.")
        if any(later <= earlier for earlier, later in zip(self.days, self.days[1:], strict=False)):
            raise InputError(f"The target days {self.days} must be strictly increasing.")
        if not self.days and len(names) > len(self.static):
            raise InputError("The recipe has no target day; is the period's end before its start?")
        for index in self.indices:
            index_bands(index, self.bands)
            if index == NORM and not self.bands:
                raise InputError('Index "norm" needs bands, and [features] bands is empty; name some.')
        for name, expression in self.custom:
            _say_where(f"[features] custom.{name}", lambda text=expression: expression_bands(text))
        self._check_series()
        for name, (scale, offset) in self.scales.items():
            if not (math.isfinite(scale) and math.isfinite(offset) and scale > 0):
                raise InputError(
                    f"Layer {name!r} has scale {scale} and offset {offset}; they must be numbers, scale > 0."
                )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers with time, in the order bands, indices, custom."""
        return (
            *(self._layer(name, "band", None) for name in self.bands),
            *(self._layer(name, "index", index_formula(name)) for name in self.indices),
            *(self._layer(name, "custom", expression) for name, expression in self.custom),
        )

    @property
    def static_layers(self) -> tuple[Layer, ...]:
        """Layers without time."""
        return tuple(self._layer(name, "static", None) for name in self.static)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Features of the layers with time: rule by rule, then day by day, statistic by statistic, layer by layer."""
        return tuple(column for one in self.series for column in self.columns_of(one))

    def columns_of(self, series: Series) -> tuple[Column, ...]:
        """The features of one rule."""
        return tuple(self._columns(series))

    @property
    def dated(self) -> int:
        """Number of features of the layers with time: the first columns, before those of ``static``."""
        return len(self.columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Date by date, all layers of a date in their order (``ndvi_d016``), the layers without time last."""
        return (*(column.name for column in self.columns), *self.static)

    @property
    def feature_units(self) -> tuple[tuple[float, float], ...]:
        """(scale, offset) of each feature's int16 numbers, in the order of ``feature_names``."""
        return (
            *(column.units for column in self.columns),
            *((layer.scale, layer.offset) for layer in self.static_layers),
        )

    @property
    def feature_layers(self) -> tuple[str, ...]:
        """What each feature is made of; ``observations`` where it counts them."""
        return (*("observations" if c.layer is None else c.layer.name for c in self.columns), *self.static)

    @property
    def source_bands(self) -> tuple[str, ...]:
        """Bands that must be read: the recipe's, then those that indices and custom layers need besides."""
        names = dict.fromkeys(self.bands)
        for index in self.indices:
            names |= dict.fromkeys(index_bands(index, self.bands))
        for _, expression in self.custom:
            names |= dict.fromkeys(expression_bands(expression))
        return tuple(names)

    def check_source(self, variables: Sequence[str]) -> None:
        """Refuse a source that lacks a band; the message says what needs it and lists what there is."""
        there = ", ".join(variables)
        for band in self.bands:
            if band not in variables:
                raise InputError(f"[features] bands names {band!r}; the source has {there}.")
        for index in self.indices:
            for band in index_bands(index, self.bands):
                if band not in variables:
                    raise InputError(
                        f"[features] index {index!r} needs band {band!r}; the source has {there}. "
                        "Leave it out or write it as a custom layer."
                    )
        for name, expression in self.custom:
            _say_where(f"[features] custom.{name}", lambda text=expression: check_names(text, variables))

    def with_scales(self, scales: Mapping[str, tuple[float, float]]) -> "Recipe":
        """The recipe with the (scale, offset) of some layers set; others keep theirs."""
        return replace(self, scales={**self.scales, **scales})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values in a fixed order; equal recipes give equal text."""
        return {
            "bands": list(self.bands),
            "indices": list(self.indices),
            "custom": [list(pair) for pair in self.custom],
            "static": list(self.static),
            "days": list(self.days),
            **({} if self.series == PLAIN else {"series": [one.to_json() for one in self.series]}),
            "scales": {name: list(self.scales[name]) for name in sorted(self.scales)},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | str, *, rule: ImportRule | None = None) -> "Recipe":
        """The way back from :meth:`to_json`, from its values or their text; ``rule`` as the field.

        Raises
        ------
        InputError
            When the content is no recipe.
        """
        if isinstance(content, str):
            try:
                content = json.loads(content)
            except ValueError as error:
                raise InputError(f"The recipe is not valid JSON: {error}.") from None
        if not isinstance(content, Mapping) or set(content) - {"series"} != set(_KEYS):
            found = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
            raise InputError(f"The recipe must have exactly the keys {', '.join(_KEYS)}; it has {found}.")
        scales = content["scales"]
        if not isinstance(scales, Mapping) or not all(map(_is_pair_of_numbers, scales.values())):
            raise InputError(f"The recipe's scales must be layer: [scale, offset], not {scales!r}.")
        custom = content["custom"]
        if not isinstance(custom, list) or not all(_is_list_of(pair, str) and len(pair) == 2 for pair in custom):
            raise InputError(f"The recipe's custom must be a list of [name, expression], not {custom!r}.")
        for key, kind in (("bands", str), ("indices", str), ("static", str), ("days", int)):
            if not _is_list_of(content[key], kind):
                raise InputError(f"The recipe's {key} must be a list of {kind.__name__}, not {content[key]!r}.")
        return cls(
            bands=tuple(content["bands"]),
            indices=tuple(content["indices"]),
            custom=tuple((name, expression) for name, expression in custom),
            static=tuple(content["static"]),
            days=tuple(content["days"]),
            series=read_series(content["series"]) if "series" in content else PLAIN,
            scales={name: (float(scale), float(offset)) for name, (scale, offset) in scales.items()},
            rule=rule or ImportRule(),
        )

    def _columns(self, series: Series) -> Iterator[Column]:
        rule, layers = series.rule, self.layers
        if rule in ON_DAYS:
            for target in self.days:
                for layer in layers:
                    name = f"{layer.name}{ON_DAYS[rule]}_d{target:03d}"
                    yield Column(name=name, layer=layer, rule=rule, day=target, kind="value")
        elif rule in {"composite", "metrics"}:
            for first, _ in series.windows:
                day = first if len(series.windows) > 1 else None
                end = "" if day is None else f"_d{day:03d}"

                for statistic in series["statistics"]:
                    kind = "spread" if statistic in SPREADS else "value"
                    if statistic == "count":
                        yield Column(name=f"observations_count{end}", layer=None, rule=rule, day=day, kind="count")
                        continue
                    for layer in layers:
                        yield Column(name=f"{layer.name}_{statistic}{end}", layer=layer, rule=rule, day=day, kind=kind)
        elif rule == "harmonic":
            waves = [f"{wave}{k}" for k in range(1, series["order"] + 1) for wave in ("cos", "sin")]
            for part in ("mean", *waves, "rmse"):
                kind = "value" if part == "mean" else "spread"
                for layer in layers:
                    yield Column(name=f"{layer.name}_harmonic_{part}", layer=layer, rule=rule, day=None, kind=kind)
        else:
            kinds = dict(zip(SEASON_OUTPUTS, ("day", "day", "day", "spread", "integral"), strict=True))
            (layer,) = (layer for layer in layers if layer.name == series["layer"])
            for output, kind in kinds.items():
                yield Column(name=f"{layer.name}_{output}", layer=layer, rule=rule, day=None, kind=kind)

    def _check_series(self) -> None:
        if not self.series:
            raise InputError(f"[features] series is empty; name at least the rule {LINEAR}.")
        names = [layer.name for layer in self.layers]
        for one in self.series:
            if one.rule in {"composite", "metrics"} and not one.windows:
                raise InputError(f"The rule {one.rule} has no windows; they come from the period.")
            if one.rule == "phenology" and one["layer"] not in names:
                raise InputError(
                    f"[features] series: phenology is about the layer {one['layer']!r}, which is none of "
                    f"{', '.join(names)}; name one of them with layer, or add it to the features."
                )
        features = self.feature_names
        if self.series != PLAIN and len(set(features)) < len(features):
            twice = next(name for name in features if features.count(name) > 1)
            raise InputError(
                f"[features] series makes the feature {twice!r} twice; name each rule, statistic and window once."
            )

    def _layer(self, name: str, kind: str, expression: str | None) -> Layer:
        if name in self.scales:
            scale, offset = self.scales[name]
        else:
            scale, offset = _fixed_scale(name, kind), 0.0
        return Layer(name=name, kind=kind, expression=expression, scale=scale, offset=offset)


def target_days(start: date, end: date, step: int) -> tuple[int, ...]:
    """Days k * step since ``start`` with start + k * step <= end, both ends inclusive.

    >>> len(target_days(date(2017, 1, 1), date(2017, 12, 31), 16))
    23
    """
    if step < 1:
        raise InputError(f"step_days = {step} is too small; it must be at least 1.")
    if end < start:
        raise InputError(f"The period ends ({end}) before it starts ({start}); swap them.")
    return tuple(range(0, (end - start).days + 1, step))


def _fixed_scale(name: str, kind: str) -> float:
    if kind == "band":
        return REFLECTANCE_SCALE
    if kind == "index" and name == NORM:
        return NORM_SCALE
    if kind == "index" and isinstance(INDICES[name], tuple):
        return NORMALISED_SCALE
    return math.nan


def _say_where(where: str, check: Any) -> None:
    try:
        check()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(v, kind) and not isinstance(v, bool) for v in value)


def _is_pair_of_numbers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    )
