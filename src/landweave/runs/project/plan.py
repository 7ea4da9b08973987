"""From settings to things: the source, the legend, the reference, the cells, the recipe."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odc.geo.crs import CRS

from landweave.engine.lock import spare_locks
from landweave.errors import InputError
from landweave.features import s2cloudless
from landweave.features.clouds import snow_bands
from landweave.features.indices import is_import_path, load_function
from landweave.features.recipe import Recipe, target_days
from landweave.labels.codes_of_raster import chosen_band
from landweave.labels.units import QUARTERS, WHOLE
from landweave.legend import Legend
from landweave.patch.align import bounds_of, outline_bounds, pixel_sides
from landweave.patch.grid import Cell
from landweave.patch.raster.files import open_raster
from landweave.patch.summary import Shown, listed, span
from landweave.runs import layout
from landweave.runs.project.area import cells_of, pixel_metres
from landweave.runs.project.imports import check_imports
from landweave.runs.project.one_a_day import one_a_day
from landweave.runs.project.settings import Project
from landweave.runs.project.source import masked, open_source, unscaled_recipe
from landweave.sources.files.opened import header_at
from landweave.sources.pixels import static_header
from landweave.sources.protocol import Source, day_of

if TYPE_CHECKING:
    from landweave.labels.reference import Reference

MOST_MAP_PIXELS = 1e11
"""Pixels of a map: 3,000 km by 3,000 km at 10 m."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan(Shown):
    """All that a worker needs to know about a run: settings opened and checked."""

    project: Project
    folder: Path
    """The output folder."""
    source: Source
    made_variables: tuple[str, ...]
    """Those that the source makes: masks that know ground around what is read."""
    legend: Legend
    reference: Any
    """A :class:`landweave.labels.reference.Reference`, or None."""
    dates: tuple[datetime.date, ...]
    """Acquisition dates within the period."""
    start: datetime.date
    end: datetime.date
    """The period, both ends inclusive."""
    recipe: Recipe
    """Scales of custom and static layers not fitted yet."""
    cut: int
    """1: units of split and folds are patches; 2: their quarters."""
    pixel_metres: float
    """Side of a pixel, metres."""
    corrections: tuple[Any, ...] = ()
    """Of the reference, by verdicts: each a :class:`landweave.labels.verdicts.corrections.Correction`."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "project": self.project.name,
            "folder": self.folder,
            "source": type(self.source).__name__,
            "period": f"{self.start} to {self.end}",
            "dates": span(self.dates),
            "classes": listed(list(self.legend.names.values()), 10),
            "features": len(self.recipe.feature_names),
        }

    @property
    def days(self) -> tuple[int, ...]:
        """Whole days from the period's start to each date."""
        return tuple((day_of(date) - self.start).days for date in self.dates)

    @property
    def undated(self) -> str | None:
        """A sentence where one step holds all dates, so that features are those of the dates; None for a series."""
        span, step = self.days[-1] - self.days[0], self.project.features.step_days
        if self.project.source.undated:
            return DATE_UNKNOWN
        if span >= step:
            return None
        first = day_of(self.dates[0])
        if span == 0:
            return (
                f"There is one date, {first}: the features are those of this date, and nothing is interpolated in time."
            )
        return (
            f"All {len(set(self.days))} dates, {first} to {day_of(self.dates[-1])}, are within one step of {step} "
            "days: the features are those of each date."
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """What is kept of each date: bands, then what masks are made of, then masks that were made."""
        return (*self.recipe.source_bands, *self.mask_variables, *self.made_variables)

    @property
    def mask_variables(self) -> tuple[str, ...]:
        """The variables that decide validity, beside the bands."""
        needed = self.project.source.mask_variables
        extra = snow_bands(self.project.source.cloud_rule, self.source.variables, snow=self.project.source.snow)
        return (*needed, *(name for name in extra if name not in {*needed, *self.recipe.source_bands}))

    @property
    def masks_decide(self) -> bool:
        """Whether masks alone tell the most that can be valid of a date, so that its bands may be left unread."""
        rule = self.project.source.cloud_rule
        return rule in {"scl", "coded"} or (rule == "mask" and "SCL" in self.mask_variables)

    @property
    def thresholds(self) -> dict[int, float]:
        """Class value to threshold."""
        return {self.legend.value_of(name): t for name, t in self.project.model.thresholds.items()}


MOST_CLASSES = 255
"""What a byte can hold, without the 0 for none."""

DATE_UNKNOWN = "The date of the images is not known: the date in their table only stands in for it (source.undated)."

_SYSTEM = ("/proc", "/sys", "/dev/fd", "/dev/pts", "/dev/mqueue")
"""Folders of the operating system, which look writable to an administrator."""


def make_plan(project: Project, *, remember: bool = False) -> tuple[Plan, list[Cell]]:
    """Open everything that a project names.

    Parameters
    ----------
    project
        From :func:`landweave.runs.project.settings.read_project`.
    remember
        Keep what an archive's search found in the output folder.

    Returns
    -------
    plan, cells
        The plan, and the patches in the order of their names.

    Raises
    ------
    InputError
        For anything that cannot be opened or does not fit together; nothing has been written then.
    """
    check_imports(project)
    system = next((place for place in _SYSTEM if project.folder.resolve().is_relative_to(place)), None)
    if system is not None:
        raise InputError(f"{project.file}: output is in {system}, where no file can be kept; set another folder.")
    spare_locks(_may_lack_locks(project))
    source = one_a_day(open_source(project, remember=remember))
    dates, start, end = _observed(project, source)
    recipe = _recipe(project, source, _target_days(project, dates, start, end), (start, end))
    cells = cells_of(project, source)
    _check_static(project, cells)
    # In the middle: of degrees, pixels differ in size from patch to patch.
    middle = cells[len(cells) // 2]
    source, made = masked(source, project.source, pixel_sides(middle.geobox))
    from landweave.labels.reference import check_overlap

    reference, legend = _reference_and_legend(project)
    if reference is not None:
        check_overlap(reference, [cell.geobox for cell in cells])
    points = reference is not None and reference.kind == "points"
    plan = Plan(
        project=project, folder=project.folder, source=source, made_variables=made, legend=legend, reference=reference,
        dates=tuple(dates), start=start, end=end, recipe=recipe,
        cut=QUARTERS if points or len(cells) < 2 else WHOLE, pixel_metres=pixel_metres(middle),
        corrections=_corrections(project, legend),
    )  # fmt: skip
    _check_thresholds(project, legend)
    _check_map_crs(project, cells)
    return plan, cells


def _may_lack_locks(project: Project) -> list[Path]:
    """Files that lie where GeoPackages are read or written."""
    given = [part and part.path for part in (project.reference, project.districts)]
    paths = [project.path(path) for path in (*given, project.area.aoi) if path]
    return [project.file, (project.folder / layout.LEDGER).with_suffix(".lock"), *paths]


def _observed(project: Project, source: Source) -> tuple[list[datetime.date], datetime.date, datetime.date]:
    dates = source.dates(project.period.start, project.period.end)
    if project.source.exclude and not source.scenes:
        found, dates = dates, _without(project, dates)
        if found and not dates:
            raise InputError(f"{project.file}: source.exclude leaves out all {len(found)} dates of the period.")
    if not dates:
        have = source.dates(None, None)
        span = f"the imagery covers {have[0]} to {have[-1]}" if have else "the imagery has no dates"
        raise InputError(
            f"{project.file}: no date in the period {project.period.start} to {project.period.end}; {span}."
        )
    if project.source.undated and len({day_of(date) for date in dates}) > 1:
        raise InputError(
            f"{project.file}: source.undated = true, but {project.source.table} has several dates; remove this key."
        )
    return dates, project.period.start or day_of(dates[0]), project.period.end or day_of(dates[-1])


def _without(project: Project, dates: list[datetime.date]) -> list[datetime.date]:
    """Dates without those that the project excludes; an archive has left out its scenes already."""
    unwanted, days = set(project.source.exclude), {str(day_of(date)) for date in dates}
    start, end = str(project.period.start or ""), str(project.period.end or "9999")
    strange = sorted(entry for entry in unwanted - days if start <= entry <= end)
    if strange:
        raise InputError(
            f"{project.file}: source.exclude: {strange[0]} is not a date of the imagery; there are "
            f"{', '.join(sorted(days)[:5])}{', …' if len(days) > 5 else ''}."
        )
    return [date for date in dates if str(day_of(date)) not in unwanted]


def _target_days(
    project: Project, dates: list[datetime.date], start: datetime.date, end: datetime.date
) -> tuple[int, ...]:
    """Days since ``start`` that features are made for: every step, or the dates themselves if one step holds all."""
    observed = sorted({(day_of(date) - start).days for date in dates})
    regular = target_days(start, end, project.features.step_days)
    # A step that holds all dates may have no target day between them, and no pixel any feature.
    return tuple(observed) if observed[-1] - observed[0] < project.features.step_days else regular


def _recipe(
    project: Project, source: Source, days: tuple[int, ...], period: tuple[datetime.date, datetime.date]
) -> Recipe:
    settings = project.features
    recipe = unscaled_recipe(project, days, period)
    try:
        recipe.check_source(source.variables)
    except InputError as error:
        raise InputError(f"{project.file}: {error}") from None
    rule = project.source.cloud_rule
    own = project.source.mask
    wanted = {"mask": own, "decided": own, "coded": own, "scl": "SCL"}.get(rule)
    if wanted and wanted not in source.variables:
        shown = "mask" if rule == "coded" else rule
        raise InputError(
            f'{project.file}: clouds = "{shown}" needs the variable {wanted}, which is missing in the imagery; '
            f"it has {', '.join(source.variables)}."
        )
    if rule == "s2cloudless":
        _check_detector(project, source)
    for name, expression in recipe.custom:
        if is_import_path(expression):
            try:
                load_function(expression, recipe.rule)
            except InputError as error:
                raise InputError(f"{project.file}: features.custom.{name}: {error}") from None
    truth = project.reference.truth if project.reference else None
    for path in settings.static:
        static_header(project.path(path))
    if truth:
        header = header_at(project.path(truth))
        header.check_numbers(header.bands[0], "land cover")
        with open_raster(project.path(truth)) as file:
            mend = "give a raster with one band of land cover"
            chosen_band(file, project.path(truth), None, what="reference.truth", mend=mend)
    return recipe


def _check_static(project: Project, cells: list[Cell]) -> None:
    """InputError for a layer without time that no patch meets."""
    for path in project.features.static:
        grid = static_header(project.path(path)).grid
        own = outline_bounds(grid, grid.crs)
        if not any(_overlap(outline_bounds(cell.geobox, grid.crs), own) for cell in cells):
            bounds = ", ".join(f"{bound:g}" for bound in own)
            raise InputError(
                f"{project.path(path)}: the static layer ({bounds} in its own CRS) does not overlap any patch; "
                "check its location and its CRS, or remove it from features.static."
            )


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    # Where a patch has no place in the layer's CRS the bounds are NaN, and NaN meets nothing.
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _check_detector(project: Project, source: Source) -> None:
    lacking = [name for name in s2cloudless.BANDS if name not in source.variables]
    if lacking:
        raise InputError(
            f'{project.file}: clouds = "s2cloudless" needs Sentinel-2 L1C with {", ".join(s2cloudless.BANDS)}; the '
            f'imagery has no {", ".join(lacking)}: use an L1C collection, or clouds = "scl", "mask" or "none".'
        )
    try:
        s2cloudless.model_file()
    except InputError as error:
        raise InputError(f"{project.file}: {error}") from None


def _reference_and_legend(project: Project) -> "tuple[Reference | None, Legend]":
    from landweave.labels.reference import read_reference, reference_codes

    if project.reference:
        settings = project.reference
        reference = read_reference(
            project.path(settings.path), column=settings.column, layer=settings.layer, encoding=settings.encoding,
            band=settings.band, places=settings.places,
        )  # fmt: skip
        if settings.legend:
            return reference, Legend.read(project.path(settings.legend))
        codes = reference_codes(reference)
        if len(codes) > MOST_CLASSES:
            what = f"reference.column = {reference.column!r}" if reference.column else "the reference"
            raise InputError(
                f"{reference.path}: {what} has {len(codes)} different values, such as {', '.join(codes[:3])}, and a "
                f"map at most {MOST_CLASSES} classes; name a column of classes, or join codes in a legend."
            )
        return reference, Legend.from_labels(codes)
    if project.training:
        if project.training.legend:
            return None, Legend.read(project.path(project.training.legend))
        from landweave.labels.series import read_series

        return None, Legend.from_labels(read_series(**training_paths(project)).labels)
    if project.model.path:
        from landweave.classifier.model import Model

        return None, Legend.of_names(Model.load(project.path(project.model.path)).class_names)
    raise InputError(f"{project.file}: add a [reference]: `landweave simulate` writes one.")


def _corrections(project: Project, legend: Legend) -> tuple[Any, ...]:
    settings = project.reference
    # A view opens a project before the first verdict is given; a run complains of a missing file.
    if settings is None or settings.verdicts is None or not project.path(settings.verdicts).exists():
        return ()
    from landweave.labels.verdicts.corrections import read_corrections

    return read_corrections(project.path(settings.verdicts), legend)


def training_paths(project: Project) -> dict[str, Any]:
    """Arguments of ``read_series`` for ``[training]``."""
    settings = project.training
    assert settings is not None
    from landweave.labels.series import samples_path

    table = project.path(settings.table)
    samples = samples_path(table, project.path(settings.samples) if settings.samples else None)
    return {"table": table, "samples": samples, "label": settings.label}


def _check_thresholds(project: Project, legend: Legend) -> None:
    for name in project.model.thresholds:
        try:
            legend.value_of(name)
        except InputError as error:
            raise InputError(f"{project.file}: model.thresholds: {error}") from None


def _check_map_crs(project: Project, cells: list[Cell]) -> None:
    settings = project.map
    try:
        crs = cells[0].geobox.crs if settings.crs is None else CRS(settings.crs)
    except Exception:  # noqa: BLE001 - pyproj has many ways to say that a CRS is unknown
        raise InputError(f"{project.file}: map.crs = {settings.crs!r} is unknown; write it as EPSG:3035.") from None
    if crs.geographic and settings.resolution is not None and settings.resolution > 1:
        raise InputError(f"{project.file}: map.resolution = {settings.resolution:g} is in degrees, as map.crs is.")
    if settings.resolution is not None:
        left, bottom, right, top = bounds_of((cell.geobox for cell in cells), crs)
        pixels = (right - left) * (top - bottom) / settings.resolution**2
        if pixels > MOST_MAP_PIXELS:
            unit = "degrees" if crs.geographic else "the unit of the map's CRS, mostly metres"
            raise InputError(
                f"{project.file}: map.resolution = {settings.resolution:g} is in {unit}, and makes a map of "
                f"{pixels:.3g} pixels; give a coarser one."
            )
