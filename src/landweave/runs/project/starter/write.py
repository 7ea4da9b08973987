"""`landweave init`: a project file and a legend, filled in with what is found in the files that are given."""

import datetime
import math
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from landweave.errors import InputError
from landweave.legend import Legend
from landweave.patch.align import DEGREE
from landweave.patch.store import write_text
from landweave.patch.summary import listed
from landweave.patch.tables.places import PlaceKeys
from landweave.runs.project.settings import make_project
from landweave.runs.project.starter.archive import Bounds, Period, look_at_archive
from landweave.runs.project.starter.found import ImagesFound, KeyLine, LabelsFound, toml_value
from landweave.runs.project.starter.images import look_at_images
from landweave.runs.project.starter.labels import look_at_reference, look_at_series
from landweave.runs.project.starter.rasters import TABLE
from landweave.runs.project.starter.text import counted, legend_text, patch_entry, patch_size_of, project_text

PROJECT, LEGEND = "landweave.toml", "legend.toml"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What `landweave init` is given; None where nothing."""

    images: str | None = None
    """A folder, a file or a pattern."""

    reference: Path | None = None
    """Polygons, points, a raster or EOPatches."""

    points: Path | None = None
    """Labelled points, as a table or a vector file."""

    table: Path | None = None
    """Labelled series."""

    stac: str | None = None
    """A catalogue."""

    bounds: Bounds | None = None
    """West, south, east, north, degrees."""

    period: Period = (None, None)
    """First and last day."""

    column: str | None = None
    """The column of classes."""

    x: str | None = None
    """Column of longitude or easting of a table of points."""

    y: str | None = None
    """Column of latitude or northing."""

    crs: str | None = None
    """CRS of a table of points."""

    force: bool = False
    """Overwrite the files of an earlier call."""


def start_project(folder: Path, given: Given | None = None) -> list[str]:
    """Write ``landweave.toml``, ``legend.toml`` and, where images follow no pattern, ``images.csv`` into a folder.

    Returns
    -------
    list of str
        Lines for the user: what was found, what could not be found out, what was written, and the next command.

    Raises
    ------
    InputError
        Where one of the files exists and ``force`` is not given; for options that exclude each other; and where what
        is given cannot be read. Nothing is written then.
    """
    given = given or Given()
    _check_options(given)
    _check_free(folder, (PROJECT, LEGEND), force=given.force)
    labels_path = given.reference or given.points
    series = look_at_series(given.table, folder=folder, column=given.column) if given.table else None
    images = _images(folder, given, series)
    labels = series
    if labels_path is not None:
        grids = images.grids if images is not None else ()
        keys = PlaceKeys(x=given.x, y=given.y, crs=given.crs)
        labels = look_at_reference(labels_path, folder=folder, column=given.column, keys=keys, grids=grids)
        _check_kind(given, labels)
    area, unknown = _area(given, images, labels)
    period, more = _period(given, images)
    name = folder.resolve().name or "my-map"
    text = project_text(name, images=images, labels=labels, area=area, period=period)
    classes = legend_text(labels)
    files = {folder / PROJECT: text, folder / LEGEND: classes}
    if images is not None and images.table is not None:
        _check_free(folder, (TABLE,), force=given.force)
        files[folder / TABLE] = images.table
    _check(folder, text, classes)
    for path, content in files.items():
        write_text(path, content)
    lines = _found(images, labels, period if images is not None else None)
    lines += [f"note:      {line}" for line in [*_open(given, images, labels), *unknown, *more]]
    lines += [f"Wrote {path}" for path in files]
    ready = images is not None and labels is not None
    return [*lines, f"Next: {'' if ready else f'edit {folder / PROJECT}, then '}landweave check {folder}"]


def _check_options(given: Given) -> None:
    pairs = (("images", "stac"), ("reference", "points"), ("reference", "table"), ("points", "table"))
    for one, other in pairs:
        if getattr(given, one) is not None and getattr(given, other) is not None:
            raise InputError(f"init: --{one} and --{other} exclude each other; give one of them.")
    if (given.x is None) != (given.y is None):
        raise InputError("init: --x and --y belong together; give both.")
    if given.bounds is not None:
        west, south, east, north = given.bounds
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise InputError(
                f"init: --bounds {','.join(f'{bound:g}' for bound in given.bounds)} must be west, south, "
                "east, north in degrees."
            )


def _check_free(folder: Path, names: tuple[str, ...], *, force: bool) -> None:
    for path in (folder / name for name in names):
        if path.exists() and not force:
            raise InputError(f"{path} exists already; choose another folder, or overwrite it with --force.")


def _check_kind(given: Given, labels: LabelsFound) -> None:
    if given.points is not None and labels.unit != "points":
        raise InputError(f"{given.points}: --points needs points, and this file has {labels.unit}; use --reference.")


def _check(folder: Path, text: str, classes: str) -> None:
    """What is written must be a sound project."""
    make_project(tomllib.loads(text), file=folder / PROJECT, text=text)
    with tempfile.TemporaryDirectory() as place:
        write_text(Path(place) / LEGEND, classes)
        Legend.read(Path(place) / LEGEND)


def _images(folder: Path, given: Given, series: LabelsFound | None) -> ImagesFound | None:
    wanted = series.bands if series is not None else ()
    if given.stac is not None:
        return look_at_archive(given.stac, folder=folder, bounds=given.bounds, period=given.period)
    if given.images is None:
        return None
    leave = [path for path in (given.reference, given.points, given.table) if path is not None]
    return look_at_images(
        given.images, folder=folder, wanted=wanted, leave=leave, bounds=given.bounds, period=given.period
    )


def _area(given: Given, images: ImagesFound | None, labels: LabelsFound | None) -> tuple[list[KeyLine], list[str]]:
    if given.bounds is not None:
        where = KeyLine(key="bounds", value=list(given.bounds), comment="west, south, east, north, degrees")
        sized = images is None or images.grids
        return [where, *([] if sized else _patch_size(given.bounds))], []
    if images is None or images.grids:
        return [], []
    if labels is not None and labels.bounds is not None:
        # Outwards, so that nothing is cut off.
        west, south, east, north = labels.bounds
        bounds = [
            *(math.floor(n * 1e5) / 1e5 for n in (west, south)),
            *(math.ceil(n * 1e5) / 1e5 for n in (east, north)),
        ]
        where = KeyLine(key="bounds", value=bounds, comment="west, south, east, north: those of the reference")
        return [where, *_patch_size(labels.bounds)], []
    if images.days:
        return [], []
    return [], ["No area is given; set area.aoi or area.bounds."]


def _patch_size(bounds: Bounds) -> list[KeyLine]:
    """Of an area of an archive, whose pixels are 10 m."""
    west, south, east, north = bounds
    across = math.cos(math.radians((south + north) / 2))
    shape = tuple(max(1, round(degrees * DEGREE / 10)) for degrees in (north - south, across * (east - west)))
    return [patch_entry(patch_size_of(shape))]


def _period(given: Given, images: ImagesFound | None) -> tuple[tuple[datetime.date, datetime.date] | None, list[str]]:
    start, end = given.period
    days = images.days if images is not None else ()
    if days:
        return (start or days[0], end or days[-1]), []
    if start is not None and end is not None:
        return (start, end), []
    if images is None:
        return None, []
    last = (start or end or datetime.datetime.now(datetime.UTC).date().replace(month=1, day=1)).year
    last -= start is None and end is None
    return (
        (start or datetime.date(last, 1, 1), end or datetime.date(last, 12, 31)),
        [f"The period is not given in full and is set to {last}; correct [period]."],
    )


def _found(
    images: ImagesFound | None, labels: LabelsFound | None, period: tuple[datetime.date, datetime.date] | None
) -> list[str]:
    lines = []
    if images is not None:
        lines += [f"images:    {images.found[0]}", *(f"           {line}" for line in images.found[1:])]
        if images.days:
            undated = any(entry.key == "undated" for entry in images.source)
            days = "not known" if undated else f"{images.days[0]} to {images.days[-1]}"
            lines.append(f"dates:     {len(images.days)}, {days}")
        elif period is not None:
            lines.append(f"period:    {period[0]} to {period[1]}")
        lines.append(f"bands:     {listed(list(images.bands), 15)}")
        said = {entry.key: entry for entry in images.source}
        if "scale" in said and "nodata" in said:
            nodata = "none" if "none" in said["nodata"].comment else toml_value(said["nodata"].value)
            lines.append(f"numbers:   scale {toml_value(said['scale'].value)}, missing {nodata}")
        lines.append(f"clouds:    {said['clouds'].value if 'clouds' in said else 'none'}")
    if labels is not None:
        lines += [f"labels:    {labels.found[0]}", *(f"           {line}" for line in labels.found[1:])]
        lines.append(f"codes:     {counted(labels.codes, labels.names, labels.ignored)}")
    return lines


def _open(given: Given, images: ImagesFound | None, labels: LabelsFound | None) -> list[str]:
    lines = [*(images.open if images is not None else ()), *(labels.open if labels is not None else ())]
    if images is None:
        lines.append("No images are given (--images or --stac); fill in [source].")
        if given.table is not None:
            lines.append(f"To judge the table without images: landweave evaluate {given.table}")
    useful = [] if labels is None else [code for code in labels.codes if code not in labels.ignored]
    if len(useful) == 1:
        lines.append(f"All labels are of one class ({useful[0]}); a map needs two, so add labels of another class.")
    if labels is None:
        lines.append("No labels are given (--reference, --points or --table); fill in [reference] and legend.toml.")
    return lines
