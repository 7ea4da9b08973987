"""From settings to things: the source, the legend, the reference, the cells, the recipe."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odc.geo.crs import CRS

from landweave.errors import InputError
from landweave.features import s2cloudless
from landweave.features.clouds import snow_bands
from landweave.features.indices import is_import_path, load_function
from landweave.features.recipe import Recipe, target_days
from landweave.legend import Legend
from landweave.patch.grid import Cell
from landweave.runs.cutting import area_of, cells_of, pixel_metres
from landweave.runs.project import Project
from landweave.sources.eopatches import EOPatchSource, open_eopatches
from landweave.sources.pixels import opened
from landweave.sources.protocol import Source
from landweave.sources.stored import is_collection, open_collection
from landweave.training.blocks import QUARTERS, WHOLE

if TYPE_CHECKING:
    from landweave.reference.reading import Reference


CLOUD_MASK, CLOUD_PROBABILITY = "cloud_mask", "cloud_probability"
"""Variables that are made where a cloud mask looks at its neighbourhood; see :mod:`landweave.runs.observing`."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a worker needs to know about a run: settings opened and checked."""

    project: Project
    folder: Path
    """The output folder."""
    source: Source
    legend: Legend
    reference: Any
    """A :class:`landweave.reference.reading.Reference`, or None."""
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

    @property
    def days(self) -> tuple[int, ...]:
        """Whole days from the period's start to each date."""
        return tuple((day_of(date) - self.start).days for date in self.dates)

    @property
    def variables(self) -> tuple[str, ...]:
        """What is kept of each date: bands, then what masks are made of, then masks that were made."""
        return (*self.recipe.source_bands, *self.mask_variables, *self.made_variables)

    @property
    def mask_variables(self) -> tuple[str, ...]:
        """The variables that decide validity, beside the bands."""
        needed = self.source_masks
        extra = snow_bands(self.project.source.cloud_rule, self.source.variables, snow=self.project.source.snow)
        return (*needed, *(name for name in extra if name not in {*needed, *self.recipe.source_bands}))

    @property
    def source_masks(self) -> tuple[str, ...]:
        """The variables by which the cloud rule, or the masking of snow, judges."""
        return _mask_variables(self.project)

    @property
    def made_variables(self) -> tuple[str, ...]:
        """Masks that are made before they are kept, since they look at ground around the patch."""
        rule = self.project.source.cloud_rule
        if rule == "s2cloudless":
            return (CLOUD_MASK, CLOUD_PROBABILITY)
        return (CLOUD_MASK,) if self.dilation_pixels and rule != "none" else ()

    @property
    def categorical(self) -> tuple[str, ...]:
        """Variables of codes or per cents, uint8."""
        return (*self.source.categorical, *self.made_variables)

    @property
    def masks_decide(self) -> bool:
        """Whether masks alone tell the most that can be valid of a date, so that its bands may be left unread."""
        rule = self.project.source.cloud_rule
        return rule == "scl" or (rule == "mask" and "SCL" in self.mask_variables)

    @property
    def thresholds(self) -> dict[int, float]:
        """Class value to threshold."""
        return {self.legend.value_of(name): t for name, t in self.project.model.thresholds.items()}

    @property
    def dilation_pixels(self) -> int:
        """Halo of the cloud mask, pixels."""
        return round(self.project.source.dilation / self.pixel_metres)


def day_of(moment: datetime.date) -> datetime.date:
    """The day of a date; of a second pass of a day, which is a ``datetime``, its day."""
    return moment.date() if isinstance(moment, datetime.datetime) else moment


def make_plan(project: Project, *, remember: bool = False) -> tuple[Plan, list[Cell]]:
    """Open everything that a project names.

    Parameters
    ----------
    project
        From :func:`landweave.runs.project.read_project`.
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
    source = open_source(project, remember=remember)
    dates, start, end = _observed(project, source)
    recipe = _recipe(project, source, start, end)
    cells = cells_of(project, source)
    from landweave.reference.reading import check_overlap

    reference, legend = _reference_and_legend(project)
    if reference is not None:
        check_overlap(reference, [cell.geobox for cell in cells])
    points = reference is not None and reference.kind == "points"
    plan = Plan(
        project=project, folder=project.folder, source=source, legend=legend, reference=reference,
        dates=tuple(dates), start=start, end=end, recipe=recipe,
        cut=QUARTERS if points or len(cells) < 2 else WHOLE, pixel_metres=pixel_metres(cells[0]),
    )  # fmt: skip
    _check_thresholds(project, legend)
    _check_map_crs(project)
    return plan, cells


def open_source(project: Project, *, remember: bool = False) -> Source:
    """The source that ``[source]`` describes; ``remember`` as for :func:`make_plan`."""
    settings = project.source
    if settings.type == "simulated":
        from landweave.sources.simulated.source import SimulatedSource

        return SimulatedSource(size_km=settings.size_km, n_dates=settings.dates, seed=settings.seed)
    if settings.type == "stac" and is_collection(project.path(str(settings.url))):
        return open_collection(
            project.path(str(settings.url)), needed=_needed(project), resampling=settings.method
        )  # fmt: skip
    if settings.type == "stac":
        from landweave.runs.archive import open_archive

        return open_archive(project, area_of(project), needed=_needed(project), remember=remember)
    if settings.type == "eopatches":
        return _open_eopatches(project)
    from landweave.sources.rasters import open_rasters

    return open_rasters(
        root=project.file.parent, table=settings.table, pattern=settings.pattern, scale=settings.scale,
        offset=settings.offset, nodata=settings.nodata, bands=_spectral(project), mask=settings.mask,
        resampling=settings.method,
    )  # fmt: skip


def _open_eopatches(project: Project) -> EOPatchSource:
    settings = project.source
    source = open_eopatches(
        path=project.path(str(settings.path)), bands_feature=settings.bands_feature, band_names=settings.band_names,
        scale=settings.scale, offset=settings.offset, nodata=settings.nodata, data_mask=settings.data_mask,
        needed=_needed(project), resampling=settings.method,
    )  # fmt: skip
    masks = [name for name in ("SCL", "CLM") if name in source.categorical]
    if settings.clouds is None and settings.mask is None and masks:
        use = 'clouds = "scl"' if masks[0] == "SCL" else 'clouds = "mask" and mask = "CLM"'
        raise InputError(
            f"{project.file}: the patches hold {masks[0]}, but [source] does not say whether to use it: write {use}, "
            'or clouds = "none".'
        )
    return source


def _observed(project: Project, source: Source) -> tuple[list[datetime.date], datetime.date, datetime.date]:
    dates = source.dates(project.period.start, project.period.end)
    if not dates:
        have = source.dates(None, None)
        span = f"the imagery reaches from {have[0]} to {have[-1]}" if have else "the imagery has no date at all"
        raise InputError(
            f"{project.file}: no date inside the period {project.period.start} to {project.period.end}; {span}."
        )
    return dates, project.period.start or day_of(dates[0]), project.period.end or day_of(dates[-1])


def _mask_variables(project: Project) -> tuple[str, ...]:
    settings = project.source
    if settings.cloud_rule in {"mask", "decided"} and settings.mask:
        return (settings.mask,)
    return ("SCL",) if settings.cloud_rule == "scl" or settings.snow == "mask" else ()


def _spectral(project: Project) -> tuple[str, ...]:
    """Bands of the features and of the cloud detector."""
    detector = s2cloudless.BANDS if project.source.cloud_rule == "s2cloudless" else ()
    return tuple(dict.fromkeys((*_unscaled_recipe(project, (0,)).source_bands, *detector)))


def _needed(project: Project) -> tuple[str, ...]:
    return (*_spectral(project), *_mask_variables(project))


def _recipe(project: Project, source: Source, start: datetime.date, end: datetime.date) -> Recipe:
    settings = project.features
    recipe = _unscaled_recipe(project, target_days(start, end, settings.step_days))
    try:
        recipe.check_source(source.variables)
    except InputError as error:
        raise InputError(f"{project.file}: {error}") from None
    rule = project.source.cloud_rule
    wanted = {"mask": project.source.mask, "decided": project.source.mask, "scl": "SCL"}.get(rule)
    if wanted and wanted not in source.variables:
        raise InputError(
            f'{project.file}: clouds = "{rule}" needs the variable {wanted}, which the imagery does not have; '
            f"it has {', '.join(source.variables)}."
        )
    if rule == "s2cloudless":
        _check_detector(project, source)
    for _, expression in recipe.custom:
        if is_import_path(expression):
            load_function(expression)
    truth = project.reference.truth if project.reference else None
    for path in (*settings.static, *([truth] if truth else [])):
        with opened(project.path(path)):
            pass
    return recipe


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


def _unscaled_recipe(project: Project, days: tuple[int, ...]) -> Recipe:
    settings = project.features
    try:
        return Recipe(
            bands=settings.bands,
            indices=settings.indices,
            custom=tuple(settings.custom.items()),
            static=tuple(Path(path).stem for path in settings.static),
            days=days,
        )
    except InputError as error:
        raise InputError(f"{project.file}: {error}") from None


def _reference_and_legend(project: Project) -> "tuple[Reference | None, Legend]":
    from landweave.reference.reading import read_reference, reference_codes

    if project.reference:
        settings = project.reference
        reference = read_reference(project.path(settings.path), column=settings.column, layer=settings.layer)
        if settings.legend:
            return reference, Legend.read(project.path(settings.legend))
        return reference, Legend.from_labels(reference_codes(reference))
    if project.training:
        if project.training.legend:
            return None, Legend.read(project.path(project.training.legend))
        from landweave.training.series import read_series

        return None, Legend.from_labels(read_series(**training_paths(project)).labels)
    if project.model.path:
        from landweave.classifier.model import Model

        return None, Legend.of_names(Model.load(project.path(project.model.path)).class_names)
    raise InputError(f"{project.file}: add a [reference]: `landweave simulate` writes a register to learn from.")


def training_paths(project: Project) -> dict[str, Any]:
    """Arguments of ``read_series`` for ``[training]``."""
    settings = project.training
    assert settings is not None
    from landweave.training.series import samples_path

    table = project.path(settings.table)
    samples = samples_path(table, project.path(settings.samples) if settings.samples else None)
    return {"table": table, "samples": samples, "label": settings.label}


def _check_thresholds(project: Project, legend: Legend) -> None:
    for name in project.model.thresholds:
        try:
            legend.value_of(name)
        except InputError as error:
            raise InputError(f"{project.file}: model.thresholds: {error}") from None


def _check_map_crs(project: Project) -> None:
    settings = project.map
    if settings.crs is None:
        return
    try:
        crs = CRS(settings.crs)
    except Exception:  # noqa: BLE001 - pyproj has many ways to say that a CRS is unknown
        raise InputError(f"{project.file}: map.crs = {settings.crs!r} is not known; write it as EPSG:3035.") from None
    if crs.geographic and settings.resolution is not None and settings.resolution > 1:
        raise InputError(f"{project.file}: map.resolution = {settings.resolution:g} is in degrees, as map.crs is.")
