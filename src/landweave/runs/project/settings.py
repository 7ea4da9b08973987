"""The project file: its keys, their defaults, and the errors for wrong ones."""

import datetime
import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator, model_validator

from landweave.errors import InputError, parsed
from landweave.features.series.rules import LINEAR, series_of
from landweave.import_rule import ImportRule
from landweave.patch.summary import Shown
from landweave.patch.tables.dates import read_day
from landweave.runs.project.label_settings import (
    DistrictSettings,
    EstimateSettings,
    ReferenceSettings,
    TrainingSettings,
)
from landweave.runs.project.source_settings import Fraction, Settings, SourceSettings
from landweave.runs.project.view_settings import PlaceSettings, ViewSettings

_OURS = {"file", "allow_code"}
"""Fields of a project that are not keys of its file."""


def _as_date(value: object) -> object:
    if isinstance(value, str):
        return read_day(value, "the date")
    if isinstance(value, datetime.datetime):
        raise ValueError(f"{value} has a time of day; write YYYY-MM-DD")  # noqa: TRY004 - pydantic tells ValueError
    return value


Day = Annotated[datetime.date, BeforeValidator(_as_date)]


class SubsetSettings(Settings):
    """A block of patches to try first."""

    center: tuple[float, float]
    """Longitude and latitude, degrees."""
    size: str = "3x3"
    """Columns by rows."""


class AreaSettings(Settings):
    """Where."""

    aoi: str | None = None
    """Any vector file; absent: ``bounds``, or the extent of the imagery."""
    layer: str | None = None
    """Layer of ``aoi``, where it has several."""
    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north, in ``bounds_crs``."""
    bounds_crs: str = "EPSG:4326"
    buffer: float = Field(500.0, ge=0)
    """Metres added around ``aoi`` or ``bounds``."""
    resolution: float = Field(10.0, gt=0)
    """Metres; for ``crs = "native"`` the imagery's own pixel size holds."""
    patch_size: int = Field(500, ge=8)
    """Pixels along a patch's side."""
    crs: str | None = None
    """``utm``, ``native`` or any CRS; default: native for rasters, utm for archives."""
    subset: SubsetSettings | None = None

    @model_validator(mode="after")
    def _one_area(self) -> Self:
        if self.layer and not self.aoi:
            raise ValueError("layer is a layer of aoi; name the file with aoi")
        if self.aoi and self.bounds:
            raise ValueError("aoi and bounds exclude each other; keep one")
        if self.bounds and not all(map(math.isfinite, self.bounds)):
            raise ValueError(f"bounds {list(self.bounds)} must be four numbers")
        return self


class PeriodSettings(Settings):
    """When; both ends belong to the period. Absent: first to last date of the imagery."""

    start: Day | None = None
    end: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}")
        return self


class FeatureSettings(Settings):
    """Pixels to features."""

    bands: tuple[str, ...] = ("B02", "B03", "B04", "B08", "B11", "B12")
    indices: tuple[str, ...] = ("ndvi", "ndwi", "norm")
    step_days: int = Field(16, ge=1)
    series: tuple[str | dict[str, Any], ...] = (LINEAR,)
    """Rules by which observations become features: names, or tables of a rule and its parameters."""
    min_valid_fraction: Fraction = 0.0
    static: tuple[str, ...] = ()
    custom: dict[str, str] = Field(default_factory=dict)

    @field_validator("series")
    @classmethod
    def _known_rules(cls, series: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        try:
            series_of(series)
        except InputError as error:
            raise ValueError(str(error).removeprefix("[features] series: ")) from None
        return series

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [*self.bands, *self.indices, *self.custom, *(Path(path).stem for path in self.static)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} occurs twice in bands, indices, custom and static layers")
        if not (self.bands or self.indices or self.custom):
            raise ValueError("there are no features: name at least one band, index or custom expression")
        return self


PER_CLASS = 20_000
"""Training pixels of each class where ``[sampling]`` has no rule."""


class SamplingSettings(Settings):
    """How training pixels are drawn; exactly one of the first three holds."""

    per_class: int | None = Field(None, ge=1)
    """Pixels of each class, as evenly over the patches as they allow (default 20000)."""
    fraction: float | None = Field(None, gt=0, le=1)
    """Share of the labelled pixels."""
    per_patch: int | None = Field(None, ge=1)
    """Labelled pixels of each patch."""
    test_pixels: int = Field(200_000, ge=1)
    """At most so many test pixels, a uniform draw of the test patches' labelled pixels."""
    seed: int = Field(42, ge=0)

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        given = [name for name in ("per_class", "fraction", "per_patch") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} exclude each other; keep one")
        return self

    @property
    def rule(self) -> dict[str, Any]:
        """The one rule in force, as keyword argument."""
        for name in ("per_class", "fraction", "per_patch"):
            if getattr(self, name) is not None:
                return {name: getattr(self, name)}
        return {"per_class": PER_CLASS}


class ModelSettings(Settings):
    """The classifier."""

    type: str = "lightgbm"
    params: dict[str, Any] = Field(default_factory=dict)
    test_fraction: float = Field(0.2, gt=0, lt=1)
    folds: int = Field(5, ge=2, le=50)
    prior: Literal["area", "balanced"] = "area"
    refit: bool = True
    calibration: Literal["none", "temperature"] = "temperature"
    path: str | None = None
    thresholds: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    reject_below: Fraction | None = None


class MapSettings(Settings):
    """The mosaic."""

    crs: str | None = None
    resolution: float | None = Field(None, gt=0)
    trust: bool = False
    """Write ``trust.tif``."""
    trust_level: float = Field(0.9, ge=0.5, le=0.999)
    """How often the set of classes of a pixel shall hold the reference's class."""

    def of_mosaic(self) -> dict[str, Any]:
        """The keys that decide ``map.tif``, as JSON values."""
        return self.model_dump(mode="json", include={"crs", "resolution"})


class Project(Shown, Settings):
    """One project file, checked; paths are still as written, see :meth:`path`."""

    name: str = Field(min_length=1)
    output: str | None = None
    area: AreaSettings = AreaSettings()
    period: PeriodSettings = PeriodSettings()
    source: SourceSettings
    features: FeatureSettings = FeatureSettings()
    reference: ReferenceSettings | None = None
    training: TrainingSettings | None = None
    sampling: SamplingSettings = SamplingSettings()
    model: ModelSettings = ModelSettings()
    map: MapSettings = MapSettings()
    districts: DistrictSettings | None = None
    estimate: EstimateSettings | None = None
    places: tuple[PlaceSettings, ...] = ()
    view: ViewSettings = ViewSettings()
    file: Path = Field(exclude=True)
    """The project file; paths in it are relative to its folder."""
    allow_code: bool = Field(default=False, exclude=True)
    """Import whatever the file names. Said by whoever opens the file, never by the file."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "name": self.name,
            "file": self.file,
            "output": self.folder,
            "source": self.source.type,
            "period": f"{self.period.start or 'first date'} to {self.period.end or 'last date'}",
            "model": self.model.path or self.model.type,
        }

    @field_validator("places")
    @classmethod
    def _places_once(cls, value: tuple[PlaceSettings, ...]) -> tuple[PlaceSettings, ...]:
        names = [place.name for place in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two places are called {twice[0]!r}; give each its own name")
        return value

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        if self.reference and self.training:
            raise ValueError("[reference] and [training] exclude each other; keep one")
        if not (self.reference or self.training or self.model.path or self.source.type == "simulated"):
            raise ValueError("no labels and no model: add [reference], [training] table or [model] path")
        return self

    def path(self, written: str) -> Path:
        """A path of the project file, absolute."""
        return (self.file.parent / written).resolve()

    @property
    def folder(self) -> Path:
        """The output folder, absolute."""
        return self.path(self.output or f"out/{self.name}")

    @property
    def import_rule(self) -> ImportRule:
        """Whose functions and classes the file may name."""
        return ImportRule(folder=self.file.parent, anything=self.allow_code)


def read_project(path: str | Path, *, allow_code: bool = False) -> Project:
    """Read and check a project file.

    Parameters
    ----------
    path
        A TOML file, or a folder that holds ``landweave.toml``.
    allow_code
        Import any function or class that the file names, not only those of scikit-learn, XGBoost, LightGBM, landweave
        and modules beside the file. An import path can start any program: set it for files that you trust.

    Raises
    ------
    InputError
        Where the file is missing, is not TOML, or holds an unknown key or a value of the wrong kind: one line
        that names file, line and key, and the nearest known key.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "landweave.toml"
    _check_name(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such project file; `landweave init` writes a template.") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path}: not a text file: {error}.") from None
    try:
        content = parsed(tomllib.loads, text)
    except ValueError as error:
        raise InputError(f"{path}: not valid TOML: {error}.{_hint(str(error), text)}") from None
    return make_project(content, file=path, text=text, allow_code=allow_code)


def _hint(error: str, text: str) -> str:
    """What people mean by a line that TOML does not understand, where that is known."""
    found = re.search(r"at line (\d+)", error)
    lines = text.splitlines()
    line = lines[int(found[1]) - 1] if found and int(found[1]) <= len(lines) else ""
    hints = {
        r"=\s*\d{1,2}[./]\d{1,2}[./]\d{2,4}": "Write dates as 2023-12-31.",
        r"=\s*\d+,\d": "Write numbers with a point, such as 10.5.",
        r'=\s*"[^"]*\\': "Write paths with / or in single quotes.",
    }
    return next((f" {hint}" for pattern, hint in hints.items() if re.search(pattern, line)), "")


def _check_name(path: Path) -> None:
    """Refuse folders whose names readers of vectors change: they look for an archive at ``!``, and drop line ends."""
    place = str(path.absolute().parent)
    for letter in "!\n\r\t":
        if letter in place:
            raise InputError(
                f"{place!r}: the folder's name contains {letter!r}, which GDAL's readers of vectors do not take as a "
                "part of a name; rename the folder."
            )


def make_project(content: dict[str, Any], *, file: Path, text: str = "", allow_code: bool = False) -> Project:
    """Check the content of a project file; ``text`` gives line numbers to the complaints."""
    for key in _OURS & content.keys():
        raise InputError(f"{file}:{_line_of(text, (key,))} unknown key {key!r}.")
    try:
        return Project(**content, file=file.resolve(), allow_code=allow_code)
    except ValidationError as error:
        # A misspelt key also leaves its own missing: the slip is told first.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise InputError(_explain(first, file, text)) from None


def _explain(error: Any, file: Path, text: str) -> str:
    location = tuple(part for part in error["loc"] if not (isinstance(part, str) and "[" in part))
    key = ".".join(str(part) for part in location)
    where = f"{file}:{_line_of(text, location)}"
    if error["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}."
        return f"{where} unknown key {key!r}; {hint}"
    if error["type"] == "missing":
        return f"{where} {key!r} is missing; add it."
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("the date: ").rstrip(".")
    given = error.get("input")
    told = not isinstance(given, str | int | float | bool) or repr(given) in message
    shown = "" if told else f" (given: {given!r})"
    return f"{where} {key + ': ' if key else ''}{message}{shown}."


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    model: Any = Project
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return [name for name in model.model_fields if name not in _OURS]


def _line_of(text: str, location: tuple[Any, ...]) -> int:
    """Line of a key, else of its table, else 1; good enough to look there."""
    names = [part for part in location if isinstance(part, str)]
    # Of several [[places]], the one that is meant; -1 before the first.
    entry, meant = -1, location[1] if len(location) > 1 and isinstance(location[1], int) else None
    best, table = 1, ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            table = header[1]
            entry += bool(names) and table == names[0] and line.lstrip().startswith("[[")
            if names and meant in {None, entry} and table == ".".join(names[: len(table.split("."))]):
                best = number
            continue
        key = re.match(r"\s*([A-Za-z0-9_.\-\"']+)\s*=", line)
        if key and (meant is None or entry in {-1, meant}):
            full = [*filter(None, table.split(".")), *key[1].replace('"', "").replace("'", "").split(".")]
            if names and (full == names or full == names[: len(full)]):
                return number
    return best
