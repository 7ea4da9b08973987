"""Places that interpreters work through: those of a comparison or of the list of label errors, or a sample's units."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from odc.geo.crs import CRS

from landweave.errors import InputError
from landweave.labels.verdicts.geopackage import has_table, reading
from landweave.labels.verdicts.store import SAMPLE, Filled, JudgedPlace, VerdictFile, crs_of_verdicts, read_verdicts
from landweave.legend import Legend
from landweave.patch.align import to_crs
from landweave.patch.vectors.layers import open_layer, read_features
from landweave.runs import layout
from landweave.runs.estimate.sample_file import DESIGN, LABEL, LAYER, PIXELS
from landweave.runs.results.compare import comparison_of
from landweave.runs.results.run import FinishedRun

if TYPE_CHECKING:
    import geopandas

PLACES = "places"
"""The queue of doubtful places of the reference."""

AUDIT = "audit"
"""Of the list of label errors those that were drawn at random."""

DEFAULT_FILE = "verdicts.gpkg"
"""Beside the project file, since verdicts are the user's work and no output of a run."""

_TOLD = ("reference_class", "reference_code", "suggested_class", "area_ha")


@dataclass(frozen=True, kw_only=True)
class QueuedPlace:
    """A place that waits for a verdict, or has one."""

    id: str
    """Its name for the page, which shows nothing of what is known of it."""
    place: JudgedPlace
    lon: float
    lat: float
    """A point within, degrees."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What is to be judged, in order."""

    name: str
    """``compare``, ``label_errors`` or ``sample``."""
    places: tuple[QueuedPlace, ...]
    file: VerdictFile
    """Where verdicts are kept."""
    crs: str
    """Of the outlines, and of the file."""


def open_queue(run: FinishedRun, which: str, *, file: str | Path | None = None) -> Queue:
    """The places to be judged, and the file of verdicts.

    Parameters
    ----------
    run
        The finished run that is looked at.
    which
        ``places``: those of ``landweave compare`` where a comparison is up to date, else the list of label errors.
        ``audit``: the entries of the list of label errors that were drawn at random, in the order of the draw.
        ``sample``: the units of ``[estimate] sample``; or the path of a GeoPackage by ``landweave estimate draw``.
    file
        Where verdicts on places go; default: ``[reference] verdicts``, else ``verdicts.gpkg`` beside the project file.
        Verdicts on a sample stay in its own file.

    Raises
    ------
    InputError
        When there is no such list or sample, or the file cannot be used.
    """
    if which in {PLACES, AUDIT}:
        return _queue_of_places(run, _file_of_verdicts(run, file), audit=which == AUDIT)
    if file is not None:
        raise InputError("--verdicts-file is for --verdicts places or audit; verdicts on a sample stay in its file.")
    project = run.plan.project
    if which == SAMPLE:
        if project.estimate is None:
            raise InputError(f"{project.file}: there is no [estimate] sample; give the sample's file to --verdicts.")
        return _queue_of_sample(project.path(project.estimate.sample), run.plan.legend, label=project.estimate.label)
    path = Path(which)
    if path.suffix.lower() != ".gpkg":
        raise InputError(
            f"--verdicts {which}: give places, audit, sample, or a .gpkg file by `landweave estimate draw`."
        )
    own = project.estimate is not None and project.path(project.estimate.sample) == path.resolve()
    label = project.estimate.label if own and project.estimate else LABEL
    return _queue_of_sample(path, run.plan.legend, label=label)


def _file_of_verdicts(run: FinishedRun, file: str | Path | None) -> Path:
    project = run.plan.project
    if file is not None:
        path = Path(file)
    else:
        settings = project.reference
        path = project.path(settings.verdicts if settings and settings.verdicts else DEFAULT_FILE)
    if path.suffix.lower() != ".gpkg" or not path.resolve().parent.is_dir():
        raise InputError(f"{path}: give the name of a .gpkg file in a folder that exists, for the verdicts.")
    return path


def _queue_of_places(run: FinishedRun, path: Path, *, audit: bool = False) -> Queue:
    import geopandas as gpd

    if run.plan.reference is None:
        raise InputError(f"{run.plan.project.file}: no [reference] whose places could be judged.")
    if not audit and comparison_of(run) is not None:
        name, source, layer = "compare", run.folder / layout.COMPARISON_PLACES, "places"
    else:
        name, source, layer = "label_errors", run.folder / layout.LABEL_ERRORS, "label_errors"
    if not source.exists():
        raise InputError(f"{source}: the list of doubtful places is missing; make it with `landweave run`.")
    with reading(path) as content:
        if content is not None and has_table(content, DESIGN):
            raise InputError(f"{path}: this is a sample; keep verdicts on places in a file of their own.")
    frame = gpd.read_file(source, layer=layer)
    if audit:
        frame = drawn_to_audit(frame)
    file = VerdictFile(path, crs=frame.crs.to_string())
    verdicts = read_verdicts(path)
    if any(verdict.place.queue == SAMPLE for verdict in verdicts):
        raise InputError(f"{path}: this file has verdicts on a sample; keep those on places in a file of their own.")
    found = {place.key: place for place in places_of(name, frame, file.crs)}
    # What was judged stays in the queue after a run has corrected it, so that it can be judged again.
    for verdict in verdicts if not audit else ():
        found.setdefault(verdict.place.key, verdict.place)
    return Queue(name=name, places=_placed(list(found.items()), file.crs), file=file, crs=file.crs)


def drawn_to_audit(frame: "geopandas.GeoDataFrame") -> "geopandas.GeoDataFrame":
    """The entries of a list of label errors that were drawn at random, in the order of the draw.

    Raises
    ------
    InputError
        For a list from before lists were audited.
    """
    if "audit" not in frame:
        raise InputError("The list of label errors is of an older version; make it again with `landweave run`.")
    return frame[frame["audit"] > 0].sort_values("audit", kind="stable").reset_index(drop=True)


def places_of(name: str, frame: "geopandas.GeoDataFrame", crs: str) -> Iterable[JudgedPlace]:
    """The rows of a list as places, with outlines in the CRS of the verdicts; keys are of the list's own outlines."""
    own = shapely.normalize(frame.geometry.to_numpy())
    moved = frame.geometry.to_crs(crs).to_numpy()
    rows = frame[[column for column in _TOLD if column in frame]].to_dict("records")
    for shape, there, row in zip(own, moved, rows, strict=True):
        key = hashlib.sha256(shapely.to_wkb(shape)).hexdigest()[:16]
        told = {column: value for column, value in row.items() if _is_known(value)}
        yield JudgedPlace(key=key, queue=name, shape=shapely.to_wkb(there), told=told)


def _is_known(value: Any) -> bool:
    return isinstance(value, str) or (value is not None and math.isfinite(value))


def _queue_of_sample(path: Path, legend: Legend, *, label: str) -> Queue:
    if not path.exists():
        raise InputError(f"{path}: no such sample; draw one with `landweave estimate draw`.")
    with reading(path) as content:
        drawn = content is not None and all(has_table(content, name) for name in (LAYER, PIXELS, DESIGN))
        columns = content.execute(f"PRAGMA table_info({LAYER})").fetchall() if content is not None else []
    is_text = any(name == label and str(kind).upper().startswith("TEXT") for _, name, kind, *_ in columns)
    if not drawn:
        raise InputError(f"{path}: not a sample by `landweave estimate draw`; verdicts need its pixels' outlines.")
    layer = open_layer(path, what="the sample", layer=LAYER)
    if label not in layer.columns:
        raise InputError(f"{path}: no column {label!r} for the labels; it has {', '.join(layer.columns)}.")
    outlines = open_layer(path, what="the sample", layer=PIXELS)
    units = read_features(outlines, columns=["id"])
    if not is_text:
        raise InputError(f"{path}: the column {label!r} is not of text; verdicts fill in names of classes.")
    known = crs_of_verdicts(path)
    if known is not None and CRS(known) != CRS(outlines.crs):
        raise InputError(
            f"{path}: its layer 'verdicts' is in {known}, but the sample is in {outlines.crs}; project this layer to "
            "the CRS of the sample, or remove it if its verdicts are of another sample."
        )
    filled = Filled(table=LAYER, id="id", column=label, spelled=_spelled(legend))
    file = VerdictFile(path, crs=outlines.crs, filled=filled)
    crs = file.crs
    pairs = []
    for number, shape in zip(units.values[0].tolist(), units.shapes, strict=True):
        key = str(number)
        place = JudgedPlace(key=key, queue=SAMPLE, shape=shapely.to_wkb(shape), told={})
        pairs.append((hashlib.sha256(f"unit {key}".encode()).hexdigest()[:16], place))
    return Queue(name=SAMPLE, places=_placed(pairs, crs), file=file, crs=crs)


def _spelled(legend: Legend) -> dict[str, str]:
    """Names and, where no class is called by a number, values of classes, as `estimate accuracy` reads them."""
    names = {c.name.casefold(): c.name for c in legend.classes}
    numbers = {} if any(name.isdecimal() for name in names) else {str(c.value): c.name for c in legend.classes}
    return {**numbers, **names}


def _placed(pairs: "list[tuple[str, JudgedPlace]]", crs: str) -> tuple[QueuedPlace, ...]:
    if not pairs:
        return ()
    inside = shapely.point_on_surface(shapely.from_wkb([place.shape for _, place in pairs]))
    lon, lat = to_crs(shapely.get_x(inside), shapely.get_y(inside), source=crs, target="EPSG:4326")
    places = zip(pairs, np.round(lon, 7).tolist(), np.round(lat, 7).tolist(), strict=True)
    return tuple(QueuedPlace(id=name, place=place, lon=x, lat=y) for (name, place), x, y in places)


def outline(queue: Queue, place: QueuedPlace) -> dict[str, Any]:
    """Outline of a place as a GeoJSON geometry in degrees."""
    shape = shapely.transform(
        shapely.from_wkb(place.place.shape),
        lambda xy: np.column_stack(to_crs(xy[:, 0], xy[:, 1], source=queue.crs, target="EPSG:4326")),
    )
    return dict(shapely.geometry.mapping(shape))
