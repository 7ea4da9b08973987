"""Which band of which file shows what, and how its numbers are read: the user's words first, then the file's own."""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.model import REFLECTANCE_SCALE
from landweave.patch.raster.header import Band, Header
from landweave.patch.summary import listed
from landweave.patch.tables.dates import read_moment
from landweave.sources.listing import ListedFile


@dataclass(frozen=True, kw_only=True)
class RasterLayer:
    """One band of one file: one variable at one moment."""

    path: Path
    """The file."""

    band: int
    """Number from 1."""

    variable: str
    """What it shows."""

    moment: datetime
    """When it was taken, UTC."""

    scale: float
    """Reflectance per digital number."""

    offset: float
    """Reflectance of digital number 0."""

    nodata: float | None
    """Digital number that means missing; NaN always does."""

    grid: GeoBox
    """The file's own pixel grid."""

    masked: bool = False
    """Whether what the file's own mask hides is missing, too."""


@dataclass(frozen=True, kw_only=True)
class ProjectNumbers:
    """What the project says of all files; None where it says nothing."""

    scale: float | None = None
    """Reflectance per digital number."""

    offset: float | None = None
    """Reflectance of digital number 0."""

    nodata: float | None = None
    """Digital number that means missing."""


class Disagreements:
    """Where the user's words go before a file's own: counted, to be reported in sentences."""

    def __init__(self) -> None:
        self._files: dict[str, list[Path]] = defaultdict(list)

    def add(self, what: str, path: Path) -> None:
        """Count a file."""
        if path not in self._files[what]:
            self._files[what].append(path)

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each kind of disagreement."""
        return tuple(
            f"{paths[0].name}{f' and {len(paths) - 1} more files' if len(paths) > 1 else ''}: {what}."
            for what, paths in sorted(self._files.items())
        )


def bands_of(
    entry: ListedFile, header: Header, bands: Sequence[str] | None, notes: Disagreements
) -> list[tuple[Band, str, datetime]]:
    """Bands of a file, the variables that they show, and when they were taken.

    Raises
    ------
    InputError
        Where neither the user nor the file says what a band shows, or when it was taken.
    """
    images = header.images
    if entry.moment is None:
        if entry.variable is None:
            raise InputError(f"{entry.where} has neither a date nor {{variable}}; add one of them, or use a table.")
        return [
            (band, entry.variable, read_moment(band.name, f"{entry.path}, description of band {band.number}"))
            for band in images
        ]
    if entry.band is not None:
        band = _chosen(entry, header)
        return [(band, entry.variable or band.name or entry.band, entry.moment)]
    if entry.variable is not None:
        found = images[0] if len(images) == 1 else header.named(entry.variable)
        if found is not None:
            return [(found, entry.variable, entry.moment)]
        raise InputError(
            f"{entry.path}: {len(images)} bands ({_described(images)}); use a table, and give the band of "
            f"{entry.variable} in its column band."
        )
    named = [band for band in header.bands if band.name and not band.alpha]
    if named:
        for band in named:
            if bands is None or band.name in bands:
                header.named(band.name)
        for band in images:
            if not band.name:
                notes.add(f"band {band.number} has no description and is left out", entry.path)
        return [(band, band.name, entry.moment) for band in named]
    # A fourth band of bytes is called alpha by GDAL where nobody says what it is.
    for candidates in (images, header.bands):
        if bands is not None and len(candidates) == len(bands):
            return [(band, name, entry.moment) for band, name in zip(candidates, bands, strict=True)]
    raise InputError(
        f"{entry.path}: its {len(images)} bands have no descriptions, so their variables are unknown; "
        "put {variable} into the pattern or use a table."
    )


def _chosen(entry: ListedFile, header: Header) -> Band:
    text = str(entry.band)
    number = int(text) if re.fullmatch(r"\d+", text) else -1
    band = header.named(text) if number < 0 else None
    if band is not None:
        return band
    if not 1 <= number <= len(header.bands):
        raise InputError(
            f"{entry.path}: no band {text!r} (named in {entry.where}); it has {len(header.bands)} "
            f"({_described(header.bands)})."
        )
    return header.bands[number - 1]


def _described(bands: Sequence[Band]) -> str:
    return ", ".join(band.name or f"band {band.number}" for band in bands[:8]) + (", ..." if len(bands) > 8 else "")


def layer_of(
    entry: ListedFile, header: Header, used: tuple[Band, str, datetime], numbers: ProjectNumbers, *,
    masked: bool, notes: Disagreements,
) -> RasterLayer:  # fmt: skip
    """A band with scale, offset and nodata.

    Parameters
    ----------
    entry, header
        What the user and the file say.
    used
        The band, its variable and its moment.
    numbers
        What the project says of all files: after the table's row, before the file.
    masked
        Whether the file's mask counts.
    notes
        Counts where the file says otherwise.

    Raises
    ------
    InputError
        For complex numbers, and where the user gives a scale that is not the file's, but not the offset.
    """
    band, variable, moment = used
    header.check_numbers(band)
    scale, offset = _scale(entry, band, numbers, notes)
    nodata = _first(entry.nodata, numbers.nodata, band.nodata)
    if nodata is not None and band.nodata is not None and not _same(nodata, band.nodata):
        notes.add(f"nodata {nodata:g} is used, as you give it; the file says {band.nodata:g}", entry.path)
    if nodata is not None and not _holds(band.dtype, nodata):
        notes.add(f"nodata {nodata:g} cannot occur in numbers of the type {band.dtype}", entry.path)
    return RasterLayer(
        path=entry.path, band=band.number, variable=variable, moment=moment, scale=scale, offset=offset, nodata=nodata,
        grid=header.grid, masked=masked and band.masked,
    )  # fmt: skip


def _scale(entry: ListedFile, band: Band, numbers: ProjectNumbers, notes: Disagreements) -> tuple[float, float]:
    given, shift = _first(entry.scale, numbers.scale), _first(entry.offset, numbers.offset)
    usual = 1.0 if band.is_float else REFLECTANCE_SCALE
    own = band.scale if band.has_scale else usual
    if given is not None and shift is None and band.offset:
        if band.scale != 1.0 and not _same(given, band.scale):
            raise InputError(
                f"{entry.path}: the file says scale {band.scale:g} and offset {band.offset:g}, but you give scale "
                f"{given:g} alone; give the offset too, which is 0 if the file is wrong."
            )
        return given, band.offset
    scale, offset = _first(given, own), _first(shift, band.offset)
    assert scale is not None
    assert offset is not None
    if band.has_scale and not (_same(scale, band.scale) and _same(offset, band.offset)):
        notes.add(
            f"scale {scale:g} and offset {offset:g} are used, as you give them; the file says {band.scale:g} and "
            f"{band.offset:g}",
            entry.path,
        )
    return scale, offset


def gaps(layers: Sequence[RasterLayer], classes: Sequence[str]) -> list[str]:
    """Bands that have no file on a date on which others have one: the band is missing there, in a sentence."""
    days: dict[date, set[str]] = {}
    for layer in layers:
        if layer.variable not in classes:
            days.setdefault(layer.moment.date(), set()).add(layer.variable)
    every = sorted(set().union(*days.values())) if days else []
    gaps = [f"{name} on {day}" for day in sorted(days) for name in every if name not in days[day]]
    return [f"Bands without a file on a date, missing there: {listed(gaps)}."] if gaps else []


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9) or (math.isnan(one) and math.isnan(other))


def _holds(dtype: str, number: float) -> bool:
    kind: Any = np.dtype(dtype)
    if kind.kind == "f":
        return True
    return bool(float(number).is_integer() and np.iinfo(kind).min <= number <= np.iinfo(kind).max)


def _first(*values: float | None) -> float | None:
    return next((float(value) for value in values if value is not None), None)
