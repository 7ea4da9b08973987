"""What drivers of vector files leave to others: complaints in one line, encodings, and GeoParquet."""

import codecs
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from landweave.errors import InputError, blame_machine

PARQUET = frozenset({".parquet", ".geoparquet", ".pq"})
"""Suffixes of GeoParquet, which the GDAL of pyogrio does not read."""


_POINTING = (b"<OGRVRTDataSource", b"<OGRWFSDataSource", b"<OGRCSWDataSource", b"gdal_streamed_alg")
"""How files begin that hold no shapes but name other files or addresses."""


CHANGED = "!\n\r\t"
"""Letters of a path that pyogrio changes: it looks for an archive before ``!``, and drops the others."""

VECTORS = frozenset({".gpkg", ".shp", ".geojson", ".json", ".fgb", ".kml", ".gml", ".sqlite", ".dxf"})
"""Suffixes of vector files."""


_SHEETS = frozenset({".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"})


def is_changed(path: Path) -> bool:
    """Whether the name of a file, or of its folders, would reach GDAL as another one."""
    return any(letter in str(path) for letter in CHANGED)


def refuse_changed(path: Path) -> None:
    """InputError for a file whose name GDAL would get as another one."""
    if is_changed(path):
        raise InputError(
            f"{str(path)!r}: GDAL's readers of vectors do not take '!', tabs and line ends as parts of a name; rename "
            "the file or the folder."
        )


def refuse_disguise(path: Path) -> None:
    """InputError for a file that makes GDAL read other files or addresses, under the name of an ordinary format."""
    if path.suffix.lower() in _SHEETS:
        raise InputError(
            f"{path}: a spreadsheet; save the sheet as CSV (in Excel: File, Save As, CSV UTF-8), and give that file."
        )
    if path.is_dir() or path.suffix.lower() == ".vrt":
        return
    try:
        with path.open("rb") as file:
            head = file.read(8192)
    except OSError as error:
        blame_machine(path, error)
        raise InputError(f"{path}: not readable: {error.strerror}; check the name and the permissions.") from None
    if any(word in head for word in _POINTING):
        raise InputError(
            f"{path}: a virtual file under another name, which may read other files; if you trust it, give it the "
            "ending .vrt."
        )


def refuse_incomplete(path: Path, *, columns: bool) -> None:
    """InputError for a shapefile without its index, or, where columns are needed, without its table."""
    if path.suffix.lower() != ".shp" or not path.is_file():
        return
    for ending, what in ((".shx", "the index of its shapes"), (".dbf", "the table of its columns")):
        here = any(path.with_suffix(way).exists() for way in (ending, ending.upper()))
        if not here and (columns or ending != ".dbf"):
            raise InputError(
                f"{path}: the shapefile is incomplete: {path.stem}{ending} ({what}) is missing; copy all files of its "
                "name into one folder."
            )


_KEYS = {"the reference": "reference.crs", "the sample": "estimate.crs"}
"""What is read, to the key of its CRS in a project."""


def crs_of(path: Path, stated: str, given: str | None, what: str) -> str:
    """The CRS that a file states, else the one that the user gives; InputError where both are absent or differ."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if "Undefined" in stated.split(",", maxsplit=1)[0]:
        stated = ""
    if given is None:
        if not stated:
            advice = f", or set {_KEYS[what]}" if what in _KEYS else ""
            raise InputError(f"{path}: {what} has no coordinate reference system; assign one to it{advice}.")
        return stated
    try:
        known = CRS(given)
    except CRSError:
        raise InputError(f"{path}: crs = {given!r} is unknown; write it as EPSG:32633.") from None
    if stated and CRS(stated) != known:
        name = stated if len(stated) < 20 else CRS(stated).name
        raise InputError(f"{path}: {what} states the CRS {name}, but crs = {given!r}; remove the one that is wrong.")
    return stated or str(known.to_string())


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Whatever a driver complains of becomes one line with the file's name; OSError where the machine is at fault."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Measured", category=UserWarning)
            yield
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: the text is not in the encoding that the file states ({error.encoding}); set encoding, such as "
            'encoding = "cp1252".'
        ) from None
    except LookupError as error:
        raise InputError(f"{path}: {str(error).strip(chr(39))}; give an encoding such as utf-8 or cp1252.") from None
    except Exception as error:  # noqa: BLE001 - drivers fail in many ways
        blame_machine(path, error)
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        # GDAL's advice on drivers is for programmers.
        cause = cause.partition("; It might help")[0].removeprefix(f"'{path}' ").rstrip(".")
        raise InputError(f"{path}: {what} is not readable as a vector file: {cause}.") from None


@dataclass(frozen=True, kw_only=True)
class TextOf:
    """How the text of a layer is read."""

    encoding: str | None = None
    """The encoding; None: as the driver reads it."""

    taken_for: str | None = None
    """Encoding that the driver takes the text for, where it is read by the driver and decoded again here."""

    note: str = ""
    """A sentence where an encoding was assumed and the text has letters that depend on it."""

    def decoded(self, text: Any) -> Any:
        """What the driver answered, as it was meant; anything but text stays as it is."""
        if self.taken_for is None or self.encoding is None or not isinstance(text, str) or text.isascii():
            return text
        return text.encode(self.taken_for).decode(self.encoding)

    def encoded(self, text: str) -> str:
        """The name of a column as the driver knows it."""
        if self.taken_for is None or self.encoding is None or text.isascii():
            return text
        return text.encode(self.encoding).decode(self.taken_for)


def text_of(path: Path, layer: str, info: dict[str, Any], *, encoding: str | None, column: str | None) -> TextOf:
    """How to read a layer's text.

    A shapefile may not state its encoding, and is then taken for ISO 8859-1. Text that is valid UTF-8 with letters
    beyond ASCII is UTF-8 all the same: in another encoding it would make no words.

    Parameters
    ----------
    path, layer, info
        The file, its layer, and what ``pyogrio.read_info`` says of it.
    encoding
        What the user says.
    column
        Whose values are looked at, beside the names of all columns.
    """
    import pyogrio

    stated = info["encoding"]
    if stated in {None, "UTF-8"} or info["driver"] != "ESRI Shapefile":
        return TextOf(encoding=encoding)
    if encoding is not None:
        codecs.lookup(encoding)
        return TextOf(encoding=encoding, taken_for=stated)
    texts = [str(name) for name in info["fields"]]
    if column in texts:
        values = pyogrio.raw.read(path, layer=layer, columns=[column], read_geometry=False)[3][0]
        texts += [value for value in values.tolist() if isinstance(value, str)]
    foreign = {text for text in texts if not text.isascii()}
    try:
        for text in foreign:
            text.encode(stated).decode("utf-8")
    except UnicodeError:
        if path.with_suffix(".cpg").exists():
            return TextOf()
        return TextOf(
            note=f"{path.name} does not state the encoding of its text, which is read as {stated}; where letters are "
            "wrong, set encoding."
        )
    return TextOf(encoding="utf-8", taken_for=stated) if foreign else TextOf()


def stamp(path: Path) -> tuple[int, int]:
    """When a file was last changed, and its size: what is known of it in this process holds as long as these do."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def is_geoparquet(path: Path) -> bool:
    """Whether a Parquet file says that it has geometries; one that cannot be read is taken for it, to be refused."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return b"geo" in (pq.read_schema(path).metadata or {})
    except (pa.ArrowInvalid, OSError):
        return True


@lru_cache(maxsize=2)
def parquet_frame(path: Path, _when: int, _size: int, *, what: str) -> tuple[Any, str]:
    """A GeoParquet file without heights, and its CRS as text, "" for none; read once a process: it has no index."""
    import geopandas as gpd

    with reading(path, what):
        frame = gpd.read_parquet(path).reset_index(drop=True)
        frame.geometry = frame.geometry.force_2d()
    return frame, "" if frame.crs is None else frame.crs.to_string()
