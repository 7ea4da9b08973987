"""A folder of raster files, or a pattern of their names, as a source: dates, bands, masks, layers without time."""

import csv
import datetime
import glob
import io
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from landweave.errors import InputError
from landweave.patch.raster.header import Band, Header
from landweave.patch.tables.dates import looks_like_dates, read_moment
from landweave.runs.project.starter.found import ImagesFound, KeyLine, path_from, some_of, some_things
from landweave.runs.project.starter.grids import common_grid, headers_of
from landweave.runs.project.starter.names import NamedImage, NamesRead, plain_bands, read_names
from landweave.runs.project.starter.numbers import read_numbers_of
from landweave.sources.listing import list_pattern
from landweave.sources.patchwise.eopatch_choices import BAND_NAMES

ENDINGS = frozenset({".tif", ".tiff", ".jp2", ".img", ".vrt", ".png", ".jpg", ".jpeg", ".bil", ".dat"})
"""Endings of files that are looked at in a folder."""

TABLE = "images.csv"
"""Name of a table of images that is written beside the project file."""

NO_DATE = datetime.date(2000, 1, 1)
"""The date of images of which nobody says when they were taken: with one date any does."""

_TERRAIN = re.compile(r"dem|dtm|dsm|elev|srtm|slope|aspect|height|terrain", re.IGNORECASE)
_KNOWN = re.compile(
    r"NDVI|EVI2?|SAVI|MSAVI|NDWI|MNDWI|NDMI|NBR|NDBI|B(0?[1-9]|1[0-2]|8A)|SR_B\d+|VV|VH|RED|GREEN|BLUE|NIR|SWIR\d*",
    re.IGNORECASE,
)
_CLOUDS = re.compile(r"clm|cloud_?mask(_.*)?", re.IGNORECASE)
_DOUBTFUL = re.compile(r"cld|clouds?|cloud_?prob.*|fmask|qa\w*", re.IGNORECASE)
"""Probabilities, and codes of which not all mean clouds."""

_NO_BAND = re.compile(
    r"(.*_)?(clm|cld|scl|clouds?(_.*)?|is_?data|is_?valid|valid|data_?mask|mask|prob(ability)?|fmask|qa\w*|snow)",
    re.IGNORECASE,
)
_AIR = ("B01", "B09", "B10")
"""Bands of Sentinel-2 that see the air rather than the land."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    path: Path
    name: str
    day: datetime.date | None
    variable: str
    band: Band
    header: Header
    token: str | None


def look_at_rasters(
    root: Path,
    names: Sequence[str],
    *,
    folder: Path,
    wanted: Sequence[str] = (),
    leave: Collection[Path] = (),
    pattern: str | None = None,
) -> ImagesFound:
    """Find out what raster files show, by their names and headers and by a sample of their pixels.

    Parameters
    ----------
    root, names
        A folder, and paths in it, with ``/``.
    folder
        Of the project file.
    wanted
        Bands that a table of labelled series has: only these are used.
    leave
        Files that are no images: the reference.
    pattern
        The pattern of the names, where the user gives one with fields in braces.

    Raises
    ------
    InputError
        Where no file can be used, and where no image has a band of ``wanted``.
    """
    unwanted = {path.resolve() for path in leave}
    names = [name for name in names if (root / name).resolve() not in unwanted]
    headers, notes = headers_of(root, names)
    if not headers:
        raise InputError(f"{root}: no raster file here that can be read; {some_of(notes) or 'the folder is empty'}")
    read = read_names(list(headers)) if pattern is None else _read_pattern(root, pattern, headers)
    rows = [row for image in read.images for row in _rows(root, image, headers[image.name], wanted)]
    rows, static, more = _dated(_distinct(rows))
    notes += more
    unknown = _assumed(rows, notes)
    rows, mask_entries = _masks(rows)
    rows, more = _seen_often(rows)
    notes += more
    there = dict.fromkeys(row.variable for row in rows)
    if not mask_entries and any(map(_CLOUDS.fullmatch, there)):
        unknown.append("The cloud mask has no file on some dates, so it is not used; add them and set source.mask.")
    doubtful = [name for name in there if _DOUBTFUL.fullmatch(name)]
    if doubtful and not mask_entries:
        unknown.append(
            f"{some_of(doubtful)} may show clouds, but which numbers do is not known; to use it, set "
            'source.clouds = "mask", source.mask, and source.mask_above (per cent) or source.mask_bits (bits).'
        )
    bands = _bands(rows, wanted)
    used = [row for row in rows if row.variable in {*bands, *_mask_variables(mask_entries)}]
    numbers, doubts = read_numbers_of([(row.path, row.band.number, row.header) for row in _some(used, bands)])
    pattern = _pattern(root, read.pattern, used, folder)
    entries = (
        KeyLine(key="pattern", value=pattern, comment="names of the files, with {date} and {variable}")
        if pattern
        else KeyLine(key="table", value=TABLE, comment="a row for each image or band: date, variable, path, band")
    )
    days = tuple(sorted({row.day for row in used if row.day is not None and row.variable in bands}))
    grid = common_grid({row.name: row.header for row in used if row.variable in bands}.values())
    number = some_things(len({row.path for row in used}), "image")
    first = f"{number}, {grid.shape[1]} x {grid.shape[0]} pixels, {_crs_name(grid.crs)}"
    if any(row.day is None for row in used):
        unknown.append(f"No date in the names of the images; fill in the column date of {TABLE}.")
    return ImagesFound(
        source=(KeyLine(key="type", value="rasters", comment="raster files"), entries, *_undated(days), *numbers,
                *(mask_entries or [_no_mask()])),
        bands=bands, days=days, static=tuple(path_from(folder, root / name) for name in static),
        table=None if pattern else _table(used, folder), grids=(grid,), found=(first, *notes),
        open=(*unknown, *doubts),
    )  # fmt: skip


def _undated(days: Sequence[datetime.date]) -> list[KeyLine]:
    """The key by which a date that was invented here is never taken for one."""
    comment = f"the date in {TABLE} is invented; write the true one there and remove this line"
    return [KeyLine(key="undated", value=True, comment=comment)] if tuple(days) == (NO_DATE,) else []


def _read_pattern(root: Path, pattern: str, names: Collection[str]) -> NamesRead:
    images = [
        NamedImage(
            name=entry.path.relative_to(root).as_posix(), day=entry.moment and entry.moment.date(),
            variable=entry.variable,
        )
        for entry in list_pattern(root, pattern)
    ]  # fmt: skip
    return NamesRead(images=tuple(image for image in images if image.name in names), pattern=pattern)


def files_of(root: Path) -> list[str]:
    """Raster files in a folder and those below, by name."""
    found = (path for path in root.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    names = (path.relative_to(root).as_posix() for path in found)
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


def files_of_pattern(pattern: str) -> tuple[Path, list[str]]:
    """The folder of a pattern, and the files that it matches; fields in braces match anything."""
    wide = re.sub(r"\{[^{}]*\}", "*", pattern)
    parts = Path(wide).parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    root = Path(*parts[:fixed]) if fixed else Path()
    names = sorted(Path(name).relative_to(root).as_posix() for name in glob.glob(wide, recursive=True))  # noqa: PTH207
    return root, [name for name in names if (root / name).is_file()]


def _rows(root: Path, image: NamedImage, header: Header, wanted: Sequence[str]) -> Iterator[_Row]:
    path = root / image.name
    bands = header.images
    of_band = partial(_Row, path=path, name=image.name, header=header, token=image.variable)
    stem = Path(image.name).stem
    if image.day is None and all(band.name for band in bands) and looks_like_dates(band.name for band in bands):
        variable = re.sub(r"[_-]?\d*_?dates?$", "", stem)
        for band in bands:
            yield of_band(day=read_moment(band.name, str(path)).date(), variable=variable, band=band)
    elif len(bands) == 1:
        tokens = re.split(r"[_\-. /]+", image.name)
        known = next((token for token in tokens if token in wanted or _KNOWN.fullmatch(token)), None)
        variable = image.variable or known or bands[0].name or (stem if image.day is None else "band")
        yield of_band(day=image.day, variable=variable, band=bands[0])
    else:
        described = [band.name for band in bands]
        if not all(described) or len(set(described)) < len(described):
            described = list(
                BAND_NAMES.get(len(bands)) or [f"{image.variable or 'band'}_{band.number:02d}" for band in bands]
            )
        plain = plain_bands(described)
        for band, name in zip(bands, described, strict=True):
            yield of_band(day=image.day, variable=plain[name], band=band)


def _distinct(rows: Sequence[_Row]) -> list[_Row]:
    """Rows whose variables differ where their files' names do: products that have bands of the same names."""
    owners: dict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        owners[row.variable].add(row.token)
    twice = {name for name, tokens in owners.items() if len(tokens) > 1}
    several = {row.token for row in rows if row.variable in twice and len(row.header.images) > 1}
    return [
        replace(row, variable=f"{row.token}_{row.variable}")
        if row.token in several and row.token is not None and row.variable != row.token
        else row
        for row in rows
    ]


def _dated(rows: Sequence[_Row]) -> tuple[list[_Row], list[str], list[str]]:
    """Rows with a date, layers without time, and sentences on files that are left out."""
    bare = [row for row in rows if row.day is None]
    if len(bare) == len(rows):
        if all(n == 1 for n in Counter(row.variable for row in rows).values()):
            return [replace(row, day=NO_DATE) for row in rows], [], []
        return list(rows), [], []
    names = list(dict.fromkeys(row.name for row in bare))
    static = [name for name in names if _TERRAIN.search(Path(name).stem) and sum(r.name == name for r in bare) == 1]
    others = [name for name in names if name not in static]
    notes = [f"layers without time: {some_of(static)}"] if static else []
    notes += [f"left out: no date in the name of {some_of(others)}"] if others else []
    return [row for row in rows if row.day is not None], static, notes


def _seen_often(rows: Sequence[_Row]) -> tuple[list[_Row], list[str]]:
    """Rows of variables that have images on at least half of the dates, and a sentence on the others."""
    days: dict[str, set[datetime.date | None]] = defaultdict(set)
    for row in rows:
        days[row.variable].add(row.day)
    most = max(map(len, days.values()))
    rare = [name for name, its in days.items() if 2 * len(its) < most]
    notes = [f"left out: images on fewer than half of the {most} dates: {some_of(rare)}"] if rare else []
    return [row for row in rows if row.variable not in rare], notes


def _assumed(rows: Sequence[_Row], notes: list[str]) -> list[str]:
    """What is taken for granted of dates and names of bands, in sentences."""
    unknown = []
    if {row.day for row in rows} == {NO_DATE}:
        notes.append("one date; the files do not say which")
        unknown.append(
            f"The date of the images is not known and is written as {NO_DATE}; with one date it does not matter."
        )
    bare = next((row for row in rows if len(row.header.images) > 1 and not row.band.name), None)
    if bare is not None and len(bare.header.images) in BAND_NAMES:
        unknown.append(
            f"{bare.name}: its {len(bare.header.images)} bands have no names and are taken for Sentinel-2's "
            f"({bare.variable}, ...); correct the column variable of {TABLE} if they are others."
        )
    elif bare is not None:
        unknown.append(
            f"{bare.name}: its {len(bare.header.images)} bands have no names; write them, and their dates if they "
            f"differ, into the columns variable and date of {TABLE}, and the names into features.bands."
        )
    return unknown


def _masks(rows: Sequence[_Row]) -> tuple[list[_Row], list[KeyLine]]:
    """The rows, and the keys by which clouds are masked."""
    there = list(dict.fromkeys(row.variable for row in rows))
    scl = next((name for name in there if name.upper() == "SCL"), None)
    if scl is not None:
        rows = [replace(row, variable="SCL") if row.variable == scl else row for row in rows]
        return list(rows), [KeyLine(key="clouds", value="scl", comment="Sentinel-2's scene classes: the variable SCL")]
    days = {name: {row.day for row in rows if row.variable == name} for name in there}
    seen = set().union(*(its for name, its in days.items() if not _NO_BAND.fullmatch(name)))
    # A mask that lacks a date cannot say what counts there.
    masks = sorted(
        (name for name in there if _CLOUDS.fullmatch(name) and days[name] >= seen), key=lambda name: (len(name), name)
    )
    if not masks:
        return list(rows), []
    return list(rows), [
        KeyLine(key="clouds", value="mask", comment="by a mask among the images"),
        KeyLine(key="mask", value=masks[0], comment="masked where this variable is not 0"),
    ]


def _mask_variables(entries: Sequence[KeyLine]) -> set[str]:
    keys = {entry.key: str(entry.value) for entry in entries}
    return {keys["mask"]} if "mask" in keys else {"SCL"} & {keys.get("clouds", "").upper()}


def _no_mask() -> KeyLine:
    return KeyLine(key="clouds", value="none", comment="no cloud mask was found; scl | mask | s2cloudless | none")


def _bands(rows: Sequence[_Row], wanted: Sequence[str]) -> tuple[str, ...]:
    there = list(dict.fromkeys(row.variable for row in rows))
    if wanted:
        both = tuple(name for name in there if name in wanted)
        if not both:
            raise InputError(
                f"The table of series has the bands {some_of(list(wanted))}, the images have {some_of(there)}: none in "
                "common; give the columns of the table the names of the images' bands."
            )
        return both
    bands = [name for name in there if not _NO_BAND.fullmatch(name)]
    bands = sorted(bands, key=lambda name: list(BAND_NAMES[13]).index(name) if name in BAND_NAMES[13] else 99)
    land = [name for name in bands if name not in _AIR]
    return tuple(land or bands or there)


def _some(rows: Sequence[_Row], bands: Collection[str]) -> list[_Row]:
    chosen = [row for row in rows if row.variable in bands]
    step = max(1, len(chosen) // 6)
    return chosen[::step][:7]


def _pattern(root: Path, pattern: str | None, rows: Sequence[_Row], folder: Path) -> str | None:
    """The pattern for the project file, where it finds exactly these files, dates and variables."""
    place = path_from(folder, root)
    if pattern is None or glob.has_magic(place) or "{" in place or any(row.day in {None, NO_DATE} for row in rows):
        return None
    if "{variable}" not in pattern and all(len(row.header.images) == 1 for row in rows):
        known = {row.variable for row in rows}
        parts = re.split(r"([_\-. /]+)", pattern)
        at = [i for i, part in enumerate(parts) if part in known]
        if len(known) != 1 or not at:
            return None
        parts[at[-1]] = "{variable}"
        pattern = "".join(parts)
    full = f"{place}/{pattern}" if place != "." else pattern
    try:
        listed = list_pattern(root.resolve(), pattern)
    except InputError:
        return None
    found = {(entry.path.resolve(), entry.moment and entry.moment.date(), entry.variable) for entry in listed}
    if all(len(row.header.images) == 1 for row in rows):
        meant = {(row.path.resolve(), row.day, row.variable) for row in rows}
        return full if {entry for entry in found if entry[2] in {row.variable for row in rows}} == meant else None
    named = all(row.band.name == row.variable for row in rows)
    meant_files = {(row.path.resolve(), row.day, None) for row in rows}
    return full if named and found == meant_files else None


def _table(rows: Sequence[_Row], folder: Path) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["date", "variable", "path", "band"])
    for row in sorted(rows, key=lambda row: (row.day or NO_DATE, row.name, row.band.number)):
        band = row.band.number if len(row.header.bands) > 1 else ""
        writer.writerow([row.day or "", row.variable, path_from(folder, row.path), band])
    return text.getvalue()


def _crs_name(crs: Any) -> str:
    return f"EPSG:{crs.epsg}" if crs.epsg else "in a CRS of their own"
