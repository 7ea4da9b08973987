"""Files of an archive's scenes. What the item leaves unsaid, the file says: band, numbers, mask, place."""

import hashlib
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, pixel_offset
from landweave.patch.raster.header import Band, Header
from landweave.patch.raster.mask_bits import NO_DATA, VALID, MaskBits
from landweave.sources.files.far import FarFile, begin_to_read
from landweave.sources.files.needs import HeaderOnly, Need, Pixels, SmallCopy
from landweave.sources.files.opened import header_at
from landweave.sources.pixels import UNKNOWN, read_coarse, read_codes
from landweave.sources.remote import is_remote, serve_s3_from
from landweave.sources.stac.catalogues import CLASSES, names_of
from landweave.sources.stac.radiometry import CIRRUS, VISIBLE, Check, check
from landweave.sources.stac.scenes import Asset, Scene
from landweave.sources.warping.warp import touching

PER_CENT = 100
"""The most that a provider's probability of cloud or snow can be."""

CLEAR = 254
"""Valid by a mask whose meaning is known, until scenes are fused."""
_HEAD = 65_536
_PIECES, _PIECE = 16, 1024

_KNOWN = 8192
"""Assets of which it is remembered how they are read, and files whose heads are."""

_COARSE_CLOCK = 3.0
"""Seconds for which whole seconds of a file's time may hide a second change."""

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


def difference(asset: Asset, variable: str, header: Header) -> str:
    """Where item and file say different things of nodata, scale or offset, and which of them is used; else empty.

    InputError as for :func:`reading_of`. A file without scale and offset says nothing of them.
    """
    band = _band(asset, variable, header)
    found = []
    if asset.nodata is not None and band.nodata is not None and not _same(asset.nodata, band.nodata):
        found.append(f"nodata is {asset.nodata:g} in the item (used) and {band.nodata:g} in the file")
    # What the baseline implies of an offset is the item's word too, though the file's goes before it.
    spoken = asset.told or asset.offset != 0
    if spoken and band.has_scale:
        who = ("item (used)", "file") if asset.told else ("item", "file (used)")
        for name in ("scale", "offset"):
            item, file = getattr(asset, name), getattr(band, name)
            if not _same(item, file):
                found.append(f"{name} is {item:g} in the {who[0]} and {file:g} in the {who[1]}")
    return ", ".join(found)


def differences(scene: Scene, names: Iterable[str]) -> dict[str, str]:
    """Variable to :func:`difference`, where there is one; errors as for :func:`read_how`."""
    told = {
        name: difference(scene.assets[name], name, header_at(place_of(scene.assets[name])))
        for name in names
        if name in scene.assets and name not in CLASSES
    }
    return {name: text for name, text in told.items() if text}


def place_of(asset: Asset) -> Path | str:
    """A file, or an address."""
    # Here, and not once at the start: a worker may be another process on another machine.
    if asset.endpoint and asset.href.startswith("s3://"):
        serve_s3_from(asset.endpoint)
    return asset.href if is_remote(asset.href) else Path(asset.href)


_readings: dict[tuple[str, str], tuple[Asset, Header, Reading]] = {}
_heads: dict[tuple[str, int, int, int, int], bytes] = {}


def read_how(scene: Scene, name: str) -> tuple[Path | str, Reading]:
    """Where a variable of a scene is, and how it is read; errors as for :func:`reading_of`."""
    asset = scene.assets[name]
    place = place_of(asset)
    header = header_at(place)
    known = _readings.get((asset.href, name))
    # A header is another one where the file was replaced.
    if known is None or known[0] is not asset or known[1] is not header:
        known = _readings[asset.href, name] = (asset, header, reading_of(asset, name, header))
        while len(_readings) > _KNOWN:
            _readings.pop(next(iter(_readings)), None)
    return place, known[2]


def head_of(path: str) -> bytes:
    """Digest of the head of a file, its size, and pieces all along it, since uncompressed blocks keep their size.

    It is remembered for as long as the file's size and times stay: each patch on a file asks for it again.
    """
    try:
        facts = os.stat(path)  # noqa: PTH116 - asked for every file of every patch
        key = (path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
        if key in _heads:
            return _heads[key]
        head = _read_head(path, facts.st_size)
    except OSError:
        return b"absent"
    # Some file systems count whole seconds: within one, a second change would look like the first.
    if facts.st_mtime_ns % 1_000_000_000 or time.time() - facts.st_mtime > _COARSE_CLOCK:
        _heads[key] = head
        while len(_heads) > _KNOWN:
            _heads.pop(next(iter(_heads)), None)
    return head


def _read_head(path: str, size: int) -> bytes:
    with Path(path).open("rb") as file:
        parts = [file.read(_HEAD), str(size).encode()]
        for number in range(1, _PIECES + 1):
            file.seek(max(size * number // _PIECES - _PIECE, 0))
            parts.append(file.read(_PIECE))
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()


def codes_of(scene: Scene, name: str, geobox: GeoBox, *, meaning: MaskBits | None = None) -> np.ndarray:
    """Classes or per cents of a scene on a grid, uint8 (y, x), 0 outside; InputError for values that are neither.

    With ``meaning``: its codes, but for 0 where the scene has no data and :data:`CLEAR` where it is valid, so that the
    next scene may say more; :func:`from_marked` ends that.
    """
    place, how = read_how(scene, name)
    # Where nobody knows what is there, a probability says cloud; scene classes have a class for it.
    missing, most = (0, UNKNOWN) if name == "SCL" else (UNKNOWN, PER_CENT)
    codes = read_codes(
        place, how.band, how.grid, geobox, missing=missing, masked=how.masked, most=most, meaning=meaning
    )  # fmt: skip
    if meaning is None:
        return codes
    inside = nearest_pixels(how.grid, geobox)[2]
    return np.where(inside & (codes == VALID), CLEAR, np.where(codes == NO_DATA, 0, codes)).astype("uint8")


def from_marked(codes: np.ndarray) -> np.ndarray:
    """Codes of :class:`.MaskBits` from those of several scenes as :func:`codes_of` gives them; uint8, same shape."""
    return np.where(codes == CLEAR, VALID, np.where(codes == 0, NO_DATA, codes)).astype("uint8")


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6) or (math.isnan(one) and math.isnan(other))


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
