"""A layer of a GeoPackage that grows row by row: each change is a transaction of SQLite, safe beside other writers."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import shapely
from odc.geo.crs import CRS

from landweave.errors import InputError

BUSY = 10.0
"""Seconds to wait for another writer."""

_ENVELOPES = (0, 32, 48, 48, 64)
"""Bytes of a geometry's envelope by its kind (OGC 12-128r19, 2.1.3)."""

_EMPTY = 0x10

_TABLES = """
CREATE TABLE IF NOT EXISTS gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE IF NOT EXISTS gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), min_x DOUBLE, min_y DOUBLE,
  max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE IF NOT EXISTS gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL, m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', NULL);
INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', NULL);
PRAGMA application_id = 1196444487;
PRAGMA user_version = 10300
"""
"""What every GeoPackage has (OGC 12-128r19, annex C)."""

_FIRST_OWN_SRS = 100_000
"""Numbers of coordinate systems without a code of EPSG begin here, as GDAL's do."""


@contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction that writes: all of it is on the disk when the block ends, or nothing of it is.

    No write-ahead log is used: it needs shared memory, which network disks lack, and a copy of the file would miss it.

    Parameters
    ----------
    path
        A GeoPackage; it is made where it is missing.

    Raises
    ------
    InputError
        When the file is no GeoPackage, cannot be written, or another program holds it for more than half a minute.
    """
    with _complaining(path), closing(_opened(path, "rwc")) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        # The folder is synced too, so that a lost power supply cannot bring a finished journal back.
        file.execute("PRAGMA synchronous = EXTRA")
        file.execute("BEGIN IMMEDIATE")
        try:
            yield file
            file.execute("COMMIT")
        except BaseException:
            if file.in_transaction:
                file.execute("ROLLBACK")
            raise


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """What is committed, to be read; None where there is no file. Raises as :func:`changing`."""
    if not path.exists():
        yield None
        return
    # A journal that a killed writer left is rolled back by whoever reads next, so this may have to write.
    with _complaining(path), closing(_opened(path, "rw")) as file:
        yield file


def recover(path: Path) -> None:
    """Roll back what a killed writer left of a transaction: GDAL, which opens a file to read it only, could not."""
    if path.with_name(f"{path.name}-journal").exists():
        with reading(path) as file:
            if file is not None:
                file.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    try:
        file = sqlite3.connect(uri, uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError:
        if mode != "rw":
            raise
        file = sqlite3.connect(uri.replace("mode=rw", "mode=ro"), uri=True, timeout=BUSY, isolation_level=None)
    # Triggers of GDAL's spatial index name these functions, and SQLite compiles them with every update.
    file.create_function("ST_IsEmpty", 1, lambda blob: blob is None or bool(blob[3] & _EMPTY))
    for number, name in enumerate(("ST_MinX", "ST_MinY", "ST_MaxX", "ST_MaxY")):
        file.create_function(name, 1, partial(_bound, number))
    return file


def _bound(number: int, blob: Any) -> float:
    return float(shapely.bounds(shapely.from_wkb(wkb_of(blob)))[number])


@contextmanager
def _complaining(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "locked" in text:
            raise InputError(f"{path}: another program is writing to this file; close it there, and retry.") from None
        if isinstance(error, sqlite3.OperationalError):
            raise InputError(
                f"{path}: cannot be written ({text}); check the folder, its permissions and the free space."
            ) from None
        raise InputError(f"{path}: not a GeoPackage ({text}); give another file.") from None


def has_table(file: sqlite3.Connection, name: str) -> bool:
    """Whether the file has a table."""
    found = file.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))
    return found.fetchone() is not None


def make_layer(file: sqlite3.Connection, name: str, *, crs: str, columns: str, description: str) -> None:
    """Make a layer of any geometries, and all that a GeoPackage needs where the file is new; within a transaction.

    Parameters
    ----------
    file
        From :func:`changing`.
    name
        Of the layer.
    crs
        Of its geometries.
    columns
        Its other columns, as SQL.
    description
        For readers of the file.
    """
    for statement in _TABLES.split(";\n"):
        file.execute(statement)
    number = _srs(file, crs)
    file.execute(f'CREATE TABLE "{name}" (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom GEOMETRY, {columns})')
    file.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
        "VALUES (?, 'features', ?, ?, ?)",
        (name, name, description, number),
    )
    file.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'GEOMETRY', ?, 0, 0)", (name, number))


def crs_of(file: sqlite3.Connection, name: str) -> tuple[int, str]:
    """Number within the file, and definition (an authority's code, or WKT), of a layer's coordinate system."""
    number, organization, code, definition = file.execute(
        "SELECT s.srs_id, s.organization, s.organization_coordsys_id, s.definition FROM gpkg_geometry_columns AS g "
        "JOIN gpkg_spatial_ref_sys AS s ON s.srs_id = g.srs_id WHERE g.table_name = ?",
        (name,),
    ).fetchone()
    known = str(organization).upper() in {"EPSG", "ESRI"}
    return int(number), f"{str(organization).upper()}:{code}" if known else str(definition)


def _srs(file: sqlite3.Connection, crs: str) -> int:
    given = CRS(crs)
    wkt = given.to_wkt(version="WKT1_GDAL")
    if given.epsg is not None:
        file.execute(
            "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?, ?, 'EPSG', ?, ?, NULL)",
            (given.proj.name, given.epsg, given.epsg, wkt),
        )
        return int(given.epsg)
    for number, definition in file.execute("SELECT srs_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id > 0"):
        if definition == wkt:
            return int(number)
    free = max([_FIRST_OWN_SRS, *(n + 1 for (n,) in file.execute("SELECT MAX(srs_id) FROM gpkg_spatial_ref_sys"))])
    file.execute(
        "INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, 'NONE', ?, ?, NULL)", (given.proj.name, free, free, wkt)
    )
    return int(free)


def geometry(wkb: bytes, srs: int) -> bytes:
    """A geometry as a GeoPackage keeps it, from WKB and the number of its coordinate system.

    >>> wkb_of(geometry(b"any", 4326))
    b'any'
    """
    return b"GP\0\1" + struct.pack("<i", srs) + wkb


def wkb_of(blob: Any) -> bytes:
    """The WKB within a geometry of a GeoPackage."""
    content = bytes(blob)
    return content[8 + _ENVELOPES[content[3] >> 1 & 7] :]
