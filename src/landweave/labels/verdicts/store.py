"""Verdicts of people who looked at places: kept in a GeoPackage, one transaction a verdict, undone one by one."""

import datetime
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shapely

from landweave.errors import InputError
from landweave.labels.verdicts.geopackage import changing, crs_of, geometry, has_table, make_layer, reading, wkb_of

LAYER = "verdicts"
SAMPLE = "sample"
"""The queue of a probability sample: accuracy is estimated from it, so it never trains a map."""

UNDONE = 2
"""In the column ``superseded`` of a verdict that was taken back; 1 where a later one counts."""

IN_FILE = "(file)"
"""The interpreter of labels that stood in a sample before anyone judged it here."""

MOST_NOTE, MOST_NAME = 2000, 100
"""Letters of a note, and of an interpreter's name."""

_COLUMNS = (
    "uid TEXT NOT NULL UNIQUE, key TEXT NOT NULL, queue TEXT NOT NULL, interpreter TEXT NOT NULL, class TEXT, "
    "alternate TEXT, unsure INTEGER NOT NULL, note TEXT NOT NULL, judged_at TEXT NOT NULL, "
    "superseded INTEGER NOT NULL, reference_class TEXT, reference_code TEXT, suggested_class TEXT, area_ha REAL"
)
_TOLD = ("reference_class", "reference_code", "suggested_class", "area_ha")
_READ = f"uid, key, queue, interpreter, class, alternate, unsure, note, judged_at, geom, {', '.join(_TOLD)}"
_SELECT = f"SELECT {_READ} FROM verdicts WHERE superseded = 0 ORDER BY fid"  # noqa: S608 - all of it is written above
_INSERT = f"INSERT INTO verdicts ({_READ}, superseded) VALUES ({', '.join('?' * 14)}, 0)"  # noqa: S608 - as above


@dataclass(frozen=True, kw_only=True)
class JudgedPlace:
    """A place that is judged: a doubtful piece of the reference, or a unit of a sample."""

    key: str
    """Its name, the same in each run: from its outline, or the number of a sample's unit."""
    queue: str
    """Which list it comes from: ``compare``, ``label_errors`` or ``sample``."""
    shape: bytes
    """Outline or point as WKB, in the coordinate system of the file of verdicts."""
    told: Mapping[str, Any]
    """``reference_class``, ``reference_code``, ``suggested_class``, ``area_ha``, as far as they are known."""


@dataclass(frozen=True, kw_only=True)
class PlaceVerdict:
    """What one interpreter says of one place."""

    uid: str
    """Given by whoever sends it: sent twice, it counts once."""
    interpreter: str
    name: str | None
    """The class; None where the interpreter is unsure and names none."""
    alternate: str | None = None
    """A second class that it may be."""
    unsure: bool = False
    note: str = ""
    judged_at: str = ""
    """Moment, UTC, ISO 8601."""
    place: JudgedPlace


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A column of another layer of the same file that is to hold the label on which all interpreters agree."""

    table: str
    id: str
    """Column of the numbers that are the places' keys."""
    column: str
    spelled: Mapping[str, str] = field(default_factory=dict)
    """Labels that may have been typed in elsewhere, in small letters, to the class that each means."""

    @property
    def table_sql(self) -> str:
        """The layer's name, quoted."""
        return _quoted(self.table)

    @property
    def id_sql(self) -> str:
        """The name of the column of numbers, quoted."""
        return _quoted(self.id)

    @property
    def column_sql(self) -> str:
        """The name of the column to be filled, quoted."""
        return _quoted(self.column)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class VerdictFile:
    """A GeoPackage with the layer ``verdicts``; other layers stay as they are, but for the column to be filled.

    Parameters
    ----------
    path
        The file; it is made by the first verdict.
    crs
        Coordinate system of a new layer.
    filled
        What to fill in beside.
    """

    def __init__(self, path: Path, *, crs: str, filled: Filled | None = None) -> None:
        self.path, self._crs, self._filled = path, crs, filled

    @property
    def crs(self) -> str:
        """Coordinate system of the outlines."""
        with reading(self.path) as file:
            return crs_of(file, LAYER)[1] if file is not None and has_table(file, LAYER) else self._crs

    def put(self, verdict: PlaceVerdict) -> None:
        """Keep a verdict; an earlier one of the same interpreter on the same place is superseded.

        When this returns, the verdict is on the disk.
        """
        place = verdict.place
        with changing(self.path) as file:
            if not has_table(file, LAYER):
                make_layer(file, LAYER, crs=self._crs, columns=_COLUMNS, description="Verdicts of interpreters")
            if file.execute("SELECT 1 FROM verdicts WHERE uid = ?", (verdict.uid,)).fetchone():
                return
            self._keep_label(file, place)
            mine = (place.key, verdict.interpreter)
            file.execute("UPDATE verdicts SET superseded = 1 WHERE key = ? AND interpreter = ?", mine)
            _insert(file, verdict)
            self._fill(file, place.key)

    def undo(self, interpreter: str, uid: str) -> None:
        """Take back a verdict; one that it superseded counts again. Nothing happens where it is taken back already."""
        with changing(self.path) as file:
            if not has_table(file, LAYER):
                return
            own = (interpreter, uid)
            query = "SELECT key FROM verdicts WHERE interpreter = ? AND uid = ? AND superseded < ?"
            found = file.execute(query, (*own, UNDONE)).fetchone()
            if found is None:
                return
            one = file.execute(f"SELECT {_READ} FROM verdicts WHERE interpreter = ? AND uid = ?", own)  # noqa: S608 - ours
            self._keep_label(file, _verdict(one.fetchone()).place)
            # The row stays: agreement is counted on what was said first, or undoing would show what others said.
            file.execute("UPDATE verdicts SET superseded = ? WHERE interpreter = ? AND uid = ?", (UNDONE, *own))
            file.execute(
                "UPDATE verdicts SET superseded = 0 WHERE fid = "
                "(SELECT MAX(fid) FROM verdicts WHERE key = ? AND interpreter = ? AND superseded < ?)",
                (found[0], interpreter, UNDONE),
            )
            self._fill(file, found[0])

    def current(self) -> list[PlaceVerdict]:
        """The verdicts that count, one of an interpreter on a place, oldest first."""
        return read_verdicts(self.path)

    def rows(self) -> list[tuple[str, str, str | None]]:
        """Place's key, interpreter and class (None for unsure) of the verdicts that count, oldest first."""
        with reading(self.path) as file:
            if file is None or not has_table(file, LAYER):
                return []
            query = "SELECT key, interpreter, class FROM verdicts WHERE superseded = 0 ORDER BY fid"
            return [(key, who, name) for key, who, name in file.execute(query)]

    def first_rows(self) -> list[tuple[str, str, str | None]]:
        """As :meth:`rows`, but what each interpreter said first of each place, also where it was taken back."""
        with reading(self.path) as file:
            if file is None or not has_table(file, LAYER):
                return []
            query = "SELECT key, interpreter, class FROM verdicts ORDER BY fid"
            first: dict[tuple[str, str], str | None] = {}
            for key, who, name in file.execute(query):
                first.setdefault((key, who), name)
        return [(key, who, name) for (key, who), name in first.items()]

    def _keep_label(self, file: sqlite3.Connection, place: JudgedPlace) -> None:
        """A label that was typed in elsewhere, before or meanwhile, takes part as a verdict, so that none is lost."""
        f = self._filled
        if f is None:
            return
        query = f"SELECT {f.column_sql} FROM {f.table_sql} WHERE CAST({f.id_sql} AS TEXT) = ?"  # noqa: S608 - quoted
        found = file.execute(query, (place.key,)).fetchone()
        label = "" if found is None or found[0] is None else str(found[0]).strip()
        name = f.spelled.get(label.casefold(), label)
        rows = file.execute("SELECT class FROM verdicts WHERE key = ? AND superseded = 0", (place.key,)).fetchall()
        if not label or name == agreed([known for (known,) in rows]):
            return
        own = (place.key, IN_FILE)
        before = file.execute("SELECT COUNT(*) FROM verdicts WHERE key = ? AND interpreter = ?", own).fetchone()[0]
        file.execute("UPDATE verdicts SET superseded = 1 WHERE key = ? AND interpreter = ?", own)
        uid = f"{IN_FILE} {place.key}" + (f" {before}" if before else "")
        _insert(file, PlaceVerdict(uid=uid, interpreter=IN_FILE, name=name, place=place))

    def _fill(self, file: sqlite3.Connection, key: str) -> None:
        f = self._filled
        if f is None:
            return
        rows = file.execute("SELECT class FROM verdicts WHERE key = ? AND superseded = 0", (key,)).fetchall()
        label = agreed([name for (name,) in rows])
        query = f"UPDATE {f.table_sql} SET {f.column_sql} = ? WHERE CAST({f.id_sql} AS TEXT) = ?"  # noqa: S608 - quoted
        file.execute(query, (label, key))


def agreed(names: Iterable[str | None]) -> str | None:
    """The class that all who name one name; None where nobody does, or two differ.

    >>> agreed(["forest", None, "forest"])
    'forest'
    >>> agreed(["forest", "water"]) is None
    True
    """
    found = {name for name in names if name is not None}
    return found.pop() if len(found) == 1 else None


def certain(verdicts: Sequence[PlaceVerdict]) -> str | None:
    """The class of a place for training: all name it, nobody is unsure or names an alternate; else None."""
    if any(v.unsure or v.alternate is not None for v in verdicts):
        return None
    return agreed(v.name for v in verdicts)


def read_verdicts(path: Path) -> list[PlaceVerdict]:
    """The verdicts of a file that count, oldest first; none where there is no file.

    Raises
    ------
    InputError
        When the file is no GeoPackage, or its layer ``verdicts`` is not one of ours.
    """
    with reading(path) as file:
        if file is None or not has_table(file, LAYER):
            return []
        try:
            rows = file.execute(_SELECT).fetchall()
        except sqlite3.OperationalError as error:
            raise InputError(
                f"{path}: its layer {LAYER!r} was not written by `landweave view --verdicts` ({error}); give another "
                "file."
            ) from None
    return [_verdict(row) for row in rows]


def crs_of_verdicts(path: Path) -> str | None:
    """Coordinate system of a file's verdicts; None where it has none."""
    with reading(path) as file:
        return crs_of(file, LAYER)[1] if file is not None and has_table(file, LAYER) else None


def _verdict(row: Sequence[Any]) -> PlaceVerdict:
    uid, key, queue, interpreter, name, alternate, unsure, note, judged_at, geom, *told = row
    place = JudgedPlace(key=key, queue=queue, shape=wkb_of(geom), told=dict(zip(_TOLD, told, strict=True)))
    return PlaceVerdict(
        uid=uid, interpreter=interpreter, name=name, alternate=alternate, unsure=bool(unsure), note=note,
        judged_at=judged_at, place=place,
    )  # fmt: skip


def _insert(file: sqlite3.Connection, verdict: PlaceVerdict) -> None:
    place = verdict.place
    srs, _ = crs_of(file, LAYER)
    moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    row = (
        verdict.uid, place.key, place.queue, verdict.interpreter, verdict.name, verdict.alternate, int(verdict.unsure),
        verdict.note, moment, geometry(place.shape, srs), *(place.told.get(name) for name in _TOLD),
    )  # fmt: skip
    file.execute(_INSERT, row)
    left, bottom, right, top = shapely.bounds(shapely.from_wkb(place.shape)).tolist()
    # Readers take the extent from here, and find nothing outside of it.
    file.execute(
        "UPDATE gpkg_contents SET last_change = strftime('%Y-%m-%dT%H:%M:%fZ','now'), "
        "min_x = MIN(IFNULL(min_x, ?1), ?1), min_y = MIN(IFNULL(min_y, ?2), ?2), "
        "max_x = MAX(IFNULL(max_x, ?3), ?3), max_y = MAX(IFNULL(max_y, ?4), ?4) WHERE table_name = ?5",
        (left, bottom, right, top, LAYER),
    )
