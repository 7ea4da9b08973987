"""Raster files of this machine opened: which formats are read, and what is wrong with a file in words."""

import errno
import os
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from rasterio.env import ensure_env
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from landweave.errors import MACHINE, InputError

FORMATS = (
    "GTiff", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID", "PNG", "JPEG", "WEBP", "GIF", "BMP", "HFA", "ENVI", "EHdr",
    "AAIGrid", "GRASSASCIIGrid", "GSAG", "GSBG", "GS7BG", "SRTMHGT", "DTED", "USGSDEM", "RST", "SAGA", "PCRaster",
    "GRIB", "NITF",
)  # fmt: skip
"""GDAL's drivers of formats whose files hold their own pixels: read under any name."""

BY_ENDING = {".vrt": "VRT", ".nc": "netCDF"}
"""Formats that may name further files, or addresses: read under their own ending alone, so that no image from
elsewhere is one of them in disguise."""

MENDABLE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors of the system that concern the file alone; all others are the machine's."""

_DEPTH = 4
"""Virtual rasters of virtual rasters that are followed."""

_PIECE = 1 << 20


def open_raster(path: Path) -> Any:
    """A raster of this machine, opened by rasterio.

    Raises
    ------
    InputError
        For a file that is missing, is no raster of a known format, or is a virtual raster with a missing, a distant or
        a raw source.
    OSError
        Where the machine fails (too many open files, input/output error, ...), with the file's name.
    """
    return _open(path, 0)


def _open(path: Path, depth: int) -> Any:
    own = BY_ENDING.get(path.suffix.lower())
    try:
        file = _reader(path, [*FORMATS, *([own] if own else [])])
    except (RasterioError, UnicodeDecodeError) as error:
        # The latter: GDAL's message quotes damaged bytes of the file.
        raise refusal(path, error) from None
    if file.driver == "VRT":
        try:
            _check_sources(path, file, depth)
        except Exception:
            file.close()
            raise
    return file


@ensure_env  # type: ignore[untyped-decorator]
def _reader(path: Path, drivers: list[str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # As rasterio.open does it, which takes one driver only.
        return DatasetReader(path, driver=drivers)


def refusal(path: Path, error: Exception) -> Exception:
    """What to raise where GDAL cannot open or read a file of this machine: the file's fault, or the machine's."""
    text = _words(error, path)
    failed = _system_error(path, text)
    if failed is not None:
        return failed
    if path.is_dir():
        return InputError(f"{path}: a folder, and no raster file; name the files in it.")
    if "missing codec" in text:
        return InputError(f"{path}: not readable: {text}; write it again with another compression, such as deflate.")
    if "not recognized" in text or "not a supported" in text:
        if _head(path).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<VRTDataset"):
            return InputError(
                f"{path}: a virtual raster (VRT) under another name, which may read other files; if you trust it, "
                "give it the ending .vrt."
            )
        return InputError(
            f"{path}: not readable as a raster: the format is unknown or not among those that landweave reads; replace "
            "it, or convert it to GeoTIFF."
        )
    return InputError(f"{path}: not readable as a raster: {text}; the file may be damaged or truncated, replace it.")


def _words(error: Exception, path: Path) -> str:
    # "Read failed. See previous exception for details." has the reason as its cause.
    cause = error.__cause__ or error
    text = str(getattr(cause, "errmsg", cause)).strip().split("\n")[0].rstrip(".")
    for name in (f"'{path}'", str(path), path.name):
        # GDAL writes the name in several ways: before a colon, or before ", band 1: IReadBlock failed".
        text = text.removeprefix(name).lstrip(":, ").strip()
    return text or type(error).__name__


def _system_error(path: Path, text: str) -> Exception | None:
    """The error of the system that a plain read of the file meets, or that GDAL names."""
    for number in sorted(MACHINE):
        if os.strerror(number).lower() in text.lower():
            return OSError(number, os.strerror(number), str(path))
    try:
        with path.open("rb") as file:
            while file.read(_PIECE):
                pass
    except IsADirectoryError:
        return None
    except OSError as error:
        return system_error(path, error)
    return None


def system_error(path: Path, error: OSError) -> Exception:
    """An error of the system as one that names the file: InputError where the file is at fault, else OSError."""
    if error.errno == errno.ENOENT:
        return InputError(f"{path}: no such file.")
    if error.errno in MENDABLE:
        return InputError(f"{path}: not readable: {error.strerror}; check the name and the permissions.")
    return OSError(error.errno, error.strerror, str(path))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""


def _check_sources(path: Path, file: Any, depth: int) -> None:
    """Every source of a virtual raster is a raster of this machine that may be read, too."""
    if depth == _DEPTH:
        raise InputError(f"{path}: virtual rasters within virtual rasters; build one of the images themselves.")
    # As GDAL understood the file, and not as it is written.
    whole = ET.fromstring(file.tags(ns="xml:VRT")["xml:VRT"])  # noqa: S314 - written by GDAL
    for band in whole.iter("VRTRasterBand"):
        if band.get("subClass") not in {None, "VRTSourcedRasterBand", "VRTWarpedRasterBand"}:
            raise InputError(
                f"{path}: a virtual raster with a band of the kind {band.get('subClass')}, which may read any file; "
                "write its pixels as a GeoTIFF (gdal_translate)."
            )
    names = [(str(e.text or ""), e.get("relativeToVRT") == "1") for e in whole.iter("SourceFilename")]
    names += [(str(e.text or ""), e.get("relativeToVRT") == "1") for e in whole.iter("SourceDataset")]
    for name, relative in dict.fromkeys(names):
        if name.startswith("/vsi") or "://" in name:
            raise InputError(
                f"{path}: a source of the virtual raster is {name[:100]!r}; only files of this machine are read."
            )
        source = path.parent / name if relative else Path(name)
        if not source.exists():
            raise InputError(f"{path}: a source of the virtual raster is missing: {source}; restore it.")
        try:
            _open(source, depth + 1).close()
        except InputError as error:
            raise InputError(f"{path}: a source of the virtual raster cannot be read: {error}") from None
