"""From `[source]` to the source of pixels."""

import datetime
from dataclasses import replace
from pathlib import Path

from landweave.errors import InputError
from landweave.features import s2cloudless
from landweave.features.recipe import Recipe
from landweave.features.series.rules import PLAIN, series_of, with_windows
from landweave.runs.project.area import area_of
from landweave.runs.project.masked_source import MaskedSource
from landweave.runs.project.settings import Project
from landweave.runs.project.source_settings import SourceSettings
from landweave.sources.patchwise.datasets import is_collection, open_collection
from landweave.sources.patchwise.eopatches import EOPatchSource, open_eopatches
from landweave.sources.protocol import Source


def open_source(project: Project, *, remember: bool = False) -> Source:
    """The source that ``[source]`` describes; ``remember`` as for :func:`make_plan`."""
    settings = project.source
    meaning = {} if settings.meaning is None else {str(settings.mask): settings.meaning}
    if settings.type == "simulated":
        from landweave.sources.simulated.source import SimulatedSource

        return SimulatedSource(size_km=settings.size_km, n_dates=settings.dates, seed=settings.seed)
    if settings.type == "stac" and is_collection(project.path(str(settings.url))):
        if meaning:
            raise InputError(
                f"{project.file}: source.mask_bits: masks of a data set are decided; remove mask_bits and mask_values."
            )
        return open_collection(
            project.path(str(settings.url)), needed=_needed(project), resampling=settings.method
        )  # fmt: skip
    if settings.type == "stac":
        from landweave.runs.project.archive import open_archive

        archive = open_archive(project, area_of(project), needed=_needed(project), remember=remember)
        return replace(archive, meaning=meaning)
    if settings.type == "eopatches":
        return replace(_open_eopatches(project), meaning=meaning)
    from landweave.sources.rasters import open_rasters

    rasters = open_rasters(
        root=project.file.parent, table=settings.table, pattern=settings.pattern, scale=settings.scale,
        offset=settings.offset, nodata=settings.nodata, bands=_spectral(project), mask=settings.mask,
        mask_above=settings.mask_above, resampling=settings.method,
    )  # fmt: skip
    return replace(rasters, meaning=meaning)


def masked(source: Source, settings: SourceSettings, sides: tuple[float, float]) -> tuple[Source, tuple[str, ...]]:
    """The source, with a cloud mask of its own where the rule looks at ground around; and what it makes.

    ``sides``: metres of a pixel along x and y.
    """
    pixels = round(settings.dilation / sides[1]), round(settings.dilation / sides[0])
    if settings.cloud_rule == "s2cloudless" or (any(pixels) and settings.cloud_rule != "none"):
        made = MaskedSource(source=source, settings=settings, dilation=pixels)
        return made, made.made
    return source, ()


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
            f"{project.file}: the patches have {masks[0]}, but [source] does not say whether to use it: set {use}, "
            'or clouds = "none".'
        )
    return source


def _spectral(project: Project) -> tuple[str, ...]:
    """Bands of the features and of the cloud detector."""
    detector = s2cloudless.BANDS if project.source.cloud_rule == "s2cloudless" else ()
    return tuple(dict.fromkeys((*unscaled_recipe(project, (0,)).source_bands, *detector)))


def _needed(project: Project) -> tuple[str, ...]:
    return (*_spectral(project), *project.source.mask_variables)


def unscaled_recipe(
    project: Project, days: tuple[int, ...], period: tuple[datetime.date, datetime.date] | None = None
) -> Recipe:
    """The recipe of ``[features]``, before scales are fitted; without a period with lines between observations."""
    settings = project.features
    try:
        return Recipe(
            bands=settings.bands,
            indices=settings.indices,
            custom=tuple(settings.custom.items()),
            static=tuple(Path(path).stem for path in settings.static),
            days=days,
            series=PLAIN if period is None else with_windows(series_of(settings.series), *period),
            rule=project.import_rule,
        )
    except InputError as error:
        raise InputError(f"{project.file}: {error}") from None
