"""``landweave estimate accuracy``: what a labelled probability sample says of a map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.accuracy.design_based.estimates import MAPPED_TITLE, estimate
from landweave.errors import InputError
from landweave.legend import NONE, Legend
from landweave.maps.areas import Counted, MapGrid, count_classes
from landweave.patch.store import read_points, write_json, write_text
from landweave.patch.tables.places import PlaceKeys
from landweave.runs.estimate.grid_draw import plan_notes, unit_design
from landweave.runs.estimate.interpreters import alternate_figures, by_anyone, interpreter_figures, relabelled
from landweave.runs.estimate.labels import class_values
from landweave.runs.estimate.map import MapSource, find_map
from landweave.runs.estimate.map_assisted import DESIGN, add_assisted, check_estimator
from landweave.runs.estimate.map_column import (
    check_against,
    classes_in,
    column_of,
    names_of,
    strata_are_classes,
    unmapped_note,
)
from landweave.runs.estimate.sample_file import LABEL, LabelledSample, read_sample
from landweave.runs.estimate.strata_classes import (
    SAME,
    areas_on,
    check_against_map,
    check_numbers,
    check_same_names,
    classes_of_strata,
    names_of_strata,
    no_class,
    notes_without_map,
    shown_classes,
    size_note,
    swap_note,
    units_on,
)
from landweave.runs.project.plan import Plan
from landweave.runs.project.settings import Project, read_project

if TYPE_CHECKING:
    from landweave.runs.estimate.districts import Districts


@dataclass(frozen=True, kw_only=True)
class AccuracyRequest:
    """What ``landweave estimate accuracy`` was asked."""

    source: Path
    """The labelled sample, or a project that names one."""
    map: Path | None = None
    """The map to judge; default: the project's, or the one that the sample was drawn from."""
    legend: Path | None = None
    """Names of the classes, where neither map nor sample has them."""
    districts: Path | None = None
    """Polygons, for figures by district."""
    column: str | None = None
    """Column of their names."""
    district_layer: str | None = None
    """Layer of the districts, where their file has several."""
    label: str = LABEL
    """Column of the labels."""
    layer: str | None = None
    """Layer of the sample, where its file has several."""
    design: Path | None = None
    """The drawn file, where the labelled one lost its design."""
    drop_unlabelled: bool = False
    """Leave out units without a label."""
    map_column: str | None = None
    """Column of the map's classes, where there is no raster of the map."""
    estimator: str = DESIGN
    """One of :data:`landweave.runs.estimate.map_assisted.ESTIMATORS`."""
    interpreters: tuple[str, ...] = ()
    """Whose labels count: columns of labels, or people who gave verdicts."""


def estimate_request(request: AccuracyRequest) -> dict[str, Any]:
    """What :func:`estimate_project` or :func:`estimate_accuracy` gives for a request of the command line."""
    if request.source.suffix == ".toml" or request.source.is_dir():
        project = read_project(request.source)
        figures = estimate_project(project)
        if figures is None:
            raise InputError(
                f'{project.file}: no sample to estimate from; draw one, label it, and add [estimate] sample = "….gpkg".'
            )
        if request != AccuracyRequest(source=request.source):
            raise InputError(
                f"{project.file}: the project file sets all options but --output and --report; "
                "to give others, use a sample file."
            )
        return figures
    return estimate_accuracy(
        request.source, map_source=None if request.map is None else find_map(request.map, legend=request.legend),
        legend=request.legend, districts=request.districts, column=request.column, label=request.label,
        layer=request.layer, district_layer=request.district_layer, design=request.design,
        drop_unlabelled=request.drop_unlabelled, map_column=request.map_column,
        estimator=request.estimator, interpreters=request.interpreters,
    )  # fmt: skip


def estimate_accuracy(
    sample: str | Path,
    *,
    map_source: MapSource | None = None,
    legend: str | Path | None = None,
    districts: str | Path | None = None,
    column: str | None = None,
    district_layer: str | None = None,
    district_encoding: str | None = None,
    label: str = LABEL,
    layer: str | None = None,
    design: str | Path | None = None,
    drop_unlabelled: bool = False,
    encoding: str | None = None,
    places: PlaceKeys | None = None,
    map_column: str | None = None,
    estimator: str = DESIGN,
    interpreters: Sequence[str] = (),
) -> dict[str, Any]:
    """What a labelled sample says of a map: accuracies and areas with intervals.

    Parameters
    ----------
    sample, label, layer, design, drop_unlabelled, encoding, places
        As for :func:`landweave.runs.estimate.sample_file.read_sample`.
    map_source
        The map to be judged: the one that the sample was drawn from, or a later one on the same land, for which the
        strata are then those of the earlier map. None judges the strata themselves.
    legend
        Names of the classes, where neither map nor sample has them.
    districts, column, district_layer, district_encoding
        Polygons and the column of their names, for figures by district; their layer and encoding, see
        :func:`landweave.runs.estimate.districts.read_districts`.
    map_column
        The column of the sample with the map's classes, where there is no raster of the map. A sample from elsewhere is
        judged by its column ``map`` or ``map_class`` without being asked.
    estimator
        Of the areas: ``design`` (the sample and its strata), or ``difference`` or ``regression``, which start from the
        areas of the map's classes; see :func:`landweave.accuracy.design_based.assisted.assisted_areas`.
    interpreters
        Whose labels count: columns of labels, or people who gave verdicts in the browser. Of several the majority
        counts; a unit without one has no label. Default: the column ``label``.

    Returns
    -------
    dict
        What :func:`landweave.accuracy.design_based.estimates.estimate` gives, and ``title``, ``sample``, ``map``,
        ``map_column`` (the column that was judged, or None), ``strata_are_the_maps_classes``, ``mapped`` (``title`` and
        by class ``pixels`` and ``area_ha``), ``colors`` and
        ``notes``.
    """
    read = read_sample(
        sample, label=label, layer=layer, design=design, drop_unlabelled=drop_unlabelled, encoding=encoding,
        places=places, relabel=relabelled(Path(sample), interpreters) if interpreters else None,
    )  # fmt: skip
    if map_source is not None and map_column is not None:
        raise InputError(
            f"{read.path}: give the map to judge as a raster or as the column {map_column!r}, not as both."
        )
    check_estimator(estimator, raster=map_source is not None)
    found_column = column_of(read, map_column)
    judged = found_column if map_source is None else None
    names = names_of(read, [judged]) if judged and legend is None and not read.classes else _names(
        read, map_source, legend
    )  # fmt: skip
    zones = None
    if districts is not None:
        from landweave.runs.estimate.districts import read_districts

        grid = map_source.grid if map_source else None
        zones = read_districts(
            Path(districts), column, crs=grid.crs if grid else read.crs, layer=district_layer,
            near=GeoBox(grid.shape, grid.transform, grid.crs) if grid else None, encoding=district_encoding,
        )  # fmt: skip
    counted = count_classes(map_source.grid, zones=zones.shapes if zones else ()) if map_source else None
    if counted is not None:
        names |= {v: str(v) for v in counted.pixels if v not in names}
    reference = class_values(read, names)
    notes: list[str] = []
    sizes = read.areas
    if map_source is not None and counted is not None:
        mapped = _mapped(map_source.grid, read)
        same = None if read.fingerprint is None else counted.fingerprint == read.fingerprint and read.plan is None
        if read.called:
            sizes = areas_on(map_source.grid, read)
            notes += check_against_map(
                read, grid=map_source.grid, counted=counted, names=names, mapped=mapped, areas=sizes
            )
        if found_column is not None:
            notes += check_against(read, found_column, names, mapped)
    elif judged is not None:
        mapped = classes_in(read, judged, names)
        same = strata_are_classes(read, mapped, names)
        notes += [*unmapped_note(names, mapped, reference, judged), *(size_note(read) if read.called else [])]
    elif read.plan is not None:
        mapped, same = read.extra["mapped"], False
    else:
        mapped, same = classes_of_strata(read, names), True
        notes += notes_without_map(read, mapped, reference, names) if read.called else []
    drawn = unit_design(read, sizes)
    # A sample without strata of classes judges any map alike.
    alike = same if read.plan is None else True
    notes = [
        *_notes(read, mapped, same=alike, column=judged), *plan_notes(read, drawn), *notes, *read.design_notes,
        *swap_note(mapped, reference, names),
    ]  # fmt: skip
    place, areas = (None, None) if zones is None else (
        zones.of_points(read.x, read.y, crs=read.crs),
        zones.sizes(counted.zone_areas) if counted else {},
    )  # fmt: skip
    figures = estimate(
        read.stratum, mapped, reference, strata=read.strata, classes=names, areas=sizes,
        districts=place, district_areas=areas, design=None if read.plan is None else drawn,
        shown=shown_classes(read, mapped, names, counted=counted, same=same),
        district_strata=_strata_in(zones, counted, read, mapped, same=same) if zones and counted else None,
    )  # fmt: skip
    if counted is not None and estimator != DESIGN:
        notes += add_assisted(
            figures, drawn, mapped, reference, names=names, method=estimator, districts=place, whole=not same,
            areas={v: area / 1e4 for v, area in counted.areas.items()},
            district_areas=zones.classes(counted.zone_classes) if zones else None,
        )  # fmt: skip
    if zones is not None and counted is not None and same is False:
        notes.append("Areas of districts are those of the land that the map to be judged shows.")
    if place is not None and (place == "").any():
        notes.append(f"{int((place == '').sum())} sample units lie in no district; they count only for the whole.")
    relabel = by_anyone(Path(sample), interpreters)

    def agreement() -> dict[str, Any] | None:
        if relabel is None:
            return None
        judged_by_any = read_sample(
            sample, label=label, layer=layer, design=design, drop_unlabelled=True, encoding=encoding, places=places,
            relabel=relabel,
        )  # fmt: skip
        return interpreter_figures(judged_by_any, interpreters, unit_design(judged_by_any, judged_by_any.areas), names)

    return {
        "title": "Accuracy and area, estimated from a probability sample",
        "sample": read.path.name, "map": None if map_source is None else map_source.grid.path.name,
        "map_column": judged,
        "estimator": DESIGN,
        "interpreters": agreement(),
        "alternate": alternate_figures(read, mapped, reference, drawn, names),
        "strata_are_the_maps_classes": same,
        **figures,
        "mapped": None if counted is None else {
            "title": MAPPED_TITLE,
            "classes": {
                name: {"pixels": counted.pixels.get(v, 0), "area_ha": counted.areas.get(v, 0.0) / 1e4}
                for v, name in names.items()
            },
        },
        "colors": {names[v]: c for v, c in (map_source.colors if map_source else {}).items() if v in names},
        "notes": notes,
    }  # fmt: skip


def estimate_project(project: Project | Plan | str | Path) -> dict[str, Any] | None:
    """The design-based estimate of a project's map, from the sample that ``[estimate] sample`` names.

    Returns
    -------
    dict or None
        As :func:`estimate_accuracy`, by district where the project has ``[districts]``; None where it names no sample.

    Raises
    ------
    InputError
        When the sample is missing, not wholly labelled, or cannot be used.
    """
    if isinstance(project, Plan):
        project = project.project
    elif not isinstance(project, Project):
        project = read_project(project)
    settings = project.estimate
    if settings is None:
        return None
    sample = project.path(settings.sample)
    if not sample.exists():
        raise InputError(
            f"{project.file}: estimate.sample: no such file {sample}; make one with `landweave estimate draw`."
        )
    districts = project.districts
    return estimate_accuracy(
        sample, map_source=find_map(project.file), label=settings.label, layer=settings.layer,
        drop_unlabelled=settings.drop_unlabelled, encoding=settings.encoding, places=settings.places,
        districts=None if districts is None else project.path(districts.path),
        column=None if districts is None else districts.column,
        district_layer=None if districts is None else districts.layer,
        district_encoding=None if districts is None else districts.encoding,
    )  # fmt: skip


def sample_print(plan: Plan) -> str:
    """Fingerprint of the labelled sample that a project names; "" where it names none, or none is there yet."""
    from landweave.engine.fingerprint import fingerprint_of

    settings = plan.project.estimate
    path = None if settings is None else plan.project.path(settings.sample)
    return fingerprint_of(path) if path is not None and path.exists() else ""


def write_figures(figures: Mapping[str, Any], *, output: Path | None = None, report: Path | None = None) -> None:
    """Write figures as JSON, and an accuracy estimate as one HTML page."""
    for path in (output, report):
        if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
            raise InputError(f"{path}: give the name of a file in a folder that exists.")
    if output is not None:
        write_json(output, figures, ensure_ascii=False)
    if report is not None:
        from landweave.report.estimate import render_estimate

        write_text(report, render_estimate(figures))


def _names(read: LabelledSample, map_source: MapSource | None, legend: str | Path | None) -> dict[int, str]:
    if legend is not None:
        names = Legend.read(legend).names
    elif map_source is not None and map_source.names:
        names = dict(map_source.names)
    elif read.classes:
        return dict(read.classes)
    else:
        check_numbers(read, {})
        return names_of_strata(read, values=map_source is not None)
    check_same_names(read, names, judged=map_source is not None)
    return names


def _strata_in(
    zones: "Districts", counted: Counted, read: LabelledSample, mapped: np.ndarray, *, same: bool | None
) -> dict[str, dict[int, tuple[float, float]]] | None:
    """Units and hectares of each stratum by district, where the strata are the classes of the map; else None."""
    key_of = {value: value for value in read.strata}
    if not same:
        pairs = set(zip(mapped.tolist(), read.stratum.tolist(), strict=True))
        key_of = dict(pairs)
        alike = (
            read.plan is None and len(pairs) == len(key_of) == len(read.strata) and set(key_of) == set(counted.areas)
        )
        if not alike or any(
            abs(read.strata[key].area * 1e4 - counted.areas[value]) > SAME * counted.areas[value]
            for value, key in key_of.items()
        ):
            return None
    return {
        name: {key_of[value]: cell for value, cell in classes.items() if value in key_of}
        for name, classes in zones.classes(counted.zone_classes).items()
    }


def _mapped(grid: MapGrid, read: LabelledSample) -> np.ndarray:
    """The map's class at each unit; InputError where a unit lies outside the map."""
    from landweave.patch.align import to_crs

    units_on(grid, read)
    return no_class(
        read_points(grid.path, *to_crs(read.x, read.y, source=read.crs, target=grid.crs)).astype("int64"), grid
    )


def _notes(read: LabelledSample, mapped: np.ndarray, *, same: bool | None, column: str | None = None) -> list[str]:
    notes = []
    if same is False and column is not None:
        notes.append(
            f"The map is judged by the column {column!r}; its classes are not the strata, so the estimators of Stehman "
            "(2014) are used."
        )
    elif same is False:
        notes.append(
            "The map is not the one that the sample was drawn from; the strata are those of the earlier map, so the "
            "estimators of Stehman (2014) are used, and the figures speak of the land that it had classified."
        )
    if same is None:
        notes.append("Which map the sample was drawn from is not known; the strata are taken as they are given.")
    if (mapped == NONE).any():
        notes.append(f"{int((mapped == NONE).sum())} sample units have no class on the map; they count as wrong.")
    if read.left_out:
        notes.append(
            f"{read.left_out} drawn units have no label and were left out, as if they were missing at random within "
            "their strata; if they were not, the figures are biased."
        )
    return notes
