"""GeoPackages written whole or not at all, with the same bytes whenever they are written."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from landweave.patch.store import write_geopackage

if TYPE_CHECKING:
    import pandas as pd

_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""
"""As QGIS makes it."""

_NAMES = """
CREATE TABLE gpkg_data_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT,
  constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
INSERT INTO gpkg_extensions VALUES
  ('gpkg_data_columns', NULL, 'gpkg_schema', 'http://www.geopackage.org/spec121/#extension_schema', 'read-write')
"""
"""What names the columns for readers (OGC 12-128r19, F.9)."""


def write_layers(
    path: str | Path,
    layers: Sequence[tuple[str, "pd.DataFrame"]],
    *,
    moment: str = "2000-01-01",
    styles: Mapping[str, bytes] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Path:
    """Write a GeoPackage.

    Parameters
    ----------
    path
        Where; its parents are made.
    layers
        Name and content of each layer; a GeoDataFrame, or a DataFrame for a table without geometry.
    moment
        The date that the file says it was written on.
    styles
        Layer to its QGIS style, which the file then holds in a table ``layer_styles``.
    aliases
        Column of any layer to the name that GDAL and QGIS show for it.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    OSError
        Where the file cannot be written, for whatever reason: a full disk, a folder without permission.
    """
    import pyogrio

    def write(part: Path) -> None:
        with writing(path, part):
            for name, frame in layers:
                pyogrio.write_dataframe(frame, part, layer=name, driver="GPKG")
            if aliases:
                _add_aliases(part, layers, aliases)
            if styles:
                _add_styles(part, styles, moment)

    return write_geopackage(path, write, moment=moment)


def _add_aliases(path: Path, layers: Sequence[tuple[str, "pd.DataFrame"]], aliases: Mapping[str, str]) -> None:
    """Name the columns as the standard's extension for schemas has it."""
    rows = [
        (layer, str(column), aliases[str(column)], aliases[str(column)])
        for layer, frame in layers
        for column in frame.columns
        if str(column) in aliases
    ]
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?nolock=1", uri=True)) as file, file:
        for statement in _NAMES.split(";\n"):
            file.execute(statement)
        file.executemany(
            "INSERT INTO gpkg_data_columns (table_name, column_name, name, title) VALUES (?, ?, ?, ?)", rows
        )


def _add_styles(path: Path, styles: Mapping[str, bytes], moment: str) -> None:
    """Add the table in which QGIS looks for the style of a layer."""
    when = f"{moment}T00:00:00.000Z"
    # Nobody else knows the file yet, and some file systems have no locks.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?nolock=1", uri=True)) as file, file:
        file.execute(_STYLES)
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?, 0)",
            (when,),
        )
        for name, style in styles.items():
            (column,) = file.execute(
                "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (name,)
            ).fetchone()
            file.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) "
                "VALUES ('', '', ?, ?, ?, ?, '', 1, '', '', NULL, ?)",
                (name, column, name, style.decode(), when),
            )


@contextmanager
def writing(path: str | Path, part: Path) -> Iterator[None]:
    """What GDAL says of a disk that is full or may not be written becomes an OSError with the file's name.

    Parameters
    ----------
    path
        The file that is meant.
    part
        The one that is written, until it is whole.
    """
    try:
        yield
    except (RuntimeError, sqlite3.Error) as error:
        cause = str(error).replace(str(part), Path(path).name).splitlines()[0].rstrip(".")
        raise OSError(f"{path}: cannot be written: {cause}.") from None
