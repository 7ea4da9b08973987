"""What drivers of vector files leave to others: complaints in one line, encodings, and GeoParquet."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from landweave.errors import InputError

PARQUET = frozenset({".parquet", ".geoparquet", ".pq"})
"""Suffixes of GeoParquet, which the GDAL of pyogrio does not read."""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Whatever a driver complains of becomes one line with the file's name."""
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
        cause = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"{path}: {what} is not readable as a vector file: {cause}.") from None


def likely_encoding(path: Path, layer: str, info: dict[str, Any], column: str | None) -> str | None:
    """UTF-8 where a shapefile's text is valid UTF-8 with letters beyond ASCII, though the file states another one."""
    import pyogrio

    if info["encoding"] in {None, "UTF-8"} or info["driver"] != "ESRI Shapefile":
        return None
    texts = [str(name) for name in info["fields"]]
    if column in info["fields"]:
        values = pyogrio.raw.read(path, layer=layer, columns=[column], read_geometry=False, encoding="latin-1")[3][0]
        texts += [value for value in values if isinstance(value, str)] if values.dtype == object else []
    foreign = {text for text in texts if not text.isascii()}
    try:
        for text in foreign:
            text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
    return "UTF-8" if foreign else None


def stamp(path: Path) -> tuple[int, int]:
    """When a file was last changed, and its size: what is known of it in this process holds as long as these do."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def parquet_frame(path: Path, _when: int, _size: int, *, what: str) -> tuple[Any, str]:
    """A GeoParquet file without heights, and its CRS as text, "" for none; read once a process: it has no index."""
    import geopandas as gpd

    with reading(path, what):
        frame = gpd.read_parquet(path).reset_index(drop=True)
        frame.geometry = frame.geometry.force_2d()
    return frame, "" if frame.crs is None else frame.crs.to_string()
