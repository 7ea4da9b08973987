"""Files of an archive's scenes. What the item leaves unsaid, the file says: band, numbers, mask, place."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from landweave.errors import InputError
from landweave.patch.align import pixel_offset
from landweave.patch.raster.header import Band, Header
from landweave.sources.pixels import UNKNOWN, header_at, read_coarse, read_codes
from landweave.sources.remote import is_remote, serve_s3_from
from landweave.sources.stac.catalogues import names_of
from landweave.sources.stac.radiometry import CIRRUS, VISIBLE, Check, check
from landweave.sources.stac.scenes import Asset, Scene
from landweave.sources.warping import touching
from landweave.sources.wire.files import FarFile, HeaderOnly, Need, Pixels, SmallCopy, begin_to_read

PER_CENT = 100
"""The most that a provider's probability of cloud or snow can be."""

_TOLERANCE = 0.01  # of a pixel
_UNTOLD_NODATA = 0.0
"""What means missing in archives of Sentinel-2, where neither the item nor the file says anything."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read an asset."""

    band: int
    """Number from 1."""

    scale: float
    """reflectance = number * scale + offset."""

    offset: float
    """Reflectance of number 0."""

    nodata: float | None
    """Number that means missing."""

    masked: bool
    """Whether what the file's own mask hides is missing, too."""

    grid: GeoBox
    """The pixel grid."""


def reading_of(asset: Asset, variable: str, header: Header) -> Reading:
    """How an asset is read: the item's words first, then the file's, then the usual ones of its archive.

    Raises
    ------
    InputError
        Where nobody says which of several bands it is, for complex numbers, and where nobody says where it is.
    """
    band = _band(asset, variable, header)
    header.check_numbers(band)
    scale, offset = asset.scale, asset.offset
    if not asset.told and band.has_scale:
        scale, offset = band.scale, band.offset
    elif not asset.told and band.is_float:
        scale, offset = 1.0, 0.0
    nodata = asset.nodata if asset.nodata is not None else band.nodata
    if nodata is None and not band.masked:
        nodata = _UNTOLD_NODATA
    return Reading(
        band=band.number, scale=scale, offset=offset, nodata=nodata, masked=band.masked, grid=_grid(asset, header)
    )


def place_of(asset: Asset) -> Path | str:
    """A file, or an address."""
    # Here, and not once at the start: a worker may be another process on another machine.
    if asset.endpoint and asset.href.startswith("s3://"):
        serve_s3_from(asset.endpoint)
    return asset.href if is_remote(asset.href) else Path(asset.href)


def read_how(scene: Scene, name: str) -> tuple[Path | str, Reading]:
    """Where a variable of a scene is, and how it is read; errors as for :func:`reading_of`."""
    place = place_of(scene.assets[name])
    return place, reading_of(scene.assets[name], name, header_at(place))


def codes_of(scene: Scene, name: str, geobox: GeoBox) -> np.ndarray:
    """Classes or per cents of a scene on a grid, uint8 (y, x), 0 outside; InputError for values that are neither."""
    place, how = read_how(scene, name)
    # Where nobody knows what is there, a probability says cloud; scene classes have a class for it.
    missing, most = (0, UNKNOWN) if name == "SCL" else (UNKNOWN, PER_CENT)
    return read_codes(place, how.band, how.grid, geobox, missing=missing, masked=how.masked, most=most)


def overview(scene: Scene, *, offset: float | None = None) -> Check:
    """Compare a scene's coarsest overview with its offset, or with another one; see :func:`.radiometry.check`."""
    shape: tuple[int, int] | None = None
    bands: dict[str, np.ndarray] = {}
    offsets = {}
    begin(scene, [*VISIBLE, "B08", CIRRUS, "SCL"])
    for name in (*VISIBLE, "B08", CIRRUS):
        if name not in scene.assets:
            continue
        place, how = read_how(scene, name)
        offsets[name] = how.offset if offset is None else offset
        numbers = read_coarse(place, shape, band=how.band)
        shape = shape or (numbers.shape[0], numbers.shape[1])
        missing = np.ma.getmaskarray(numbers) | (numbers.data == how.nodata)
        bands[name] = np.where(missing, np.nan, numbers.data.astype("float64") * how.scale + offsets[name])
    if not bands or shape is None:
        return Check(verdict="undecided", reason="no spectral band")
    classes = read_coarse(place_of(scene.assets["SCL"]), shape).data if "SCL" in scene.assets else None
    return check(bands, offset=offsets[next(iter(bands))], scene_classes=classes)


def begin(scene: Scene, names: Iterable[str], geobox: GeoBox | None = None) -> None:
    """Begin to read variables of a scene from a server, side by side; nothing is waited for.

    Parameters
    ----------
    scene, names
        What will be read; a variable that the scene does not have, and what is on this machine, is passed over.
    geobox
        The grid on which it will be read; None: the coarsest overview of the whole scene.
    """
    for name in names:
        asset = scene.assets.get(name)
        if asset is not None and is_remote(asset.href):
            begin_to_read(place_of(asset), partial(_need, asset, name, geobox))


def _need(asset: Asset, name: str, geobox: GeoBox | None, file: FarFile) -> Need:
    """What of a file will be read. Where this is wrong, the reader asks for what is missing."""
    try:
        how = reading_of(asset, name, file.header)
        if geobox is None:
            return SmallCopy(band=how.band)
        offset = pixel_offset(how.grid, geobox)
        (top, left), (height, width) = touching(how.grid, geobox) if offset is None else (offset, geobox.shape)
    except (InputError, RasterioError):
        return HeaderOnly()
    return Pixels(top=top, left=left, height=height, width=width, band=how.band)


def _band(asset: Asset, variable: str, header: Header) -> Band:
    bands = header.bands
    if isinstance(asset.band, int):
        if not 1 <= asset.band <= len(bands):
            raise InputError(f"{header.path}: no band {asset.band} (asset {asset.key}); it has {len(bands)}.")
        return bands[asset.band - 1]
    names = (asset.band,) if asset.band else names_of(variable)
    if len(header.images) == 1 and not asset.band:
        return header.images[0]
    found = [band for name in names if (band := header.named(name)) is not None]
    if len(found) != 1:
        there = ", ".join(band.name or str(band.number) for band in header.images[:8])
        raise InputError(
            f"{header.path}: asset {asset.key} has {len(header.images)} bands ({there}); name the one of {variable}: "
            f'bands.{variable} = "{asset.key}:{header.images[0].number if header.images else 1}".'
        )
    return found[0]


def _grid(asset: Asset, header: Header) -> GeoBox:
    """What the item tells, unless the file knows better: an item's own grid need not be that of all its bands."""
    told = asset.geobox
    if told is None or told.crs is None:
        return header.grid
    if not header.is_placed:
        if tuple(told.shape) != tuple(header.shape):
            return header.grid
        return told
    if header.crs is None:
        return GeoBox(header.shape, header.transform, told.crs)
    own = header.grid
    steps: Any = ~told.affine * own.affine
    corners = ((0, 0), (own.shape[1], own.shape[0]))
    shift = max(abs(a - b) for corner in corners for a, b in zip(corner, steps * corner, strict=True))
    same = told.shape == own.shape and shift < _TOLERANCE and own.crs.epsg in {None, told.crs.epsg}
    return told if same else own
