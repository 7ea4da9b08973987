"""What was made, from which settings and inputs: is it still fresh?

Knows nothing of the trade: keys, fingerprints and files only. Only the main process opens it.
"""

import errno
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from landweave.engine.fingerprint import file_stamp, fingerprint_of
from landweave.engine.lock import LedgerError, Lock, has_locks
from landweave.errors import named

DONE, FAILED = "done", "failed"

FORM = 2
"""Number of the file's form, in SQLite's ``user_version``. Form 1, which said 0, knew no versions."""

_PATIENCE = 60
"""Seconds to wait for another process that reads or writes the file."""

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, state TEXT, inputs TEXT, files TEXT, info TEXT);
CREATE TABLE IF NOT EXISTS prints (path TEXT PRIMARY KEY, stamp TEXT, print TEXT);
CREATE TABLE IF NOT EXISTS versions (number INTEGER PRIMARY KEY, content TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS made_by (key TEXT PRIMARY KEY, number INTEGER);
CREATE TRIGGER IF NOT EXISTS unknown AFTER INSERT ON entries BEGIN DELETE FROM made_by WHERE key = NEW.key; END;
"""
"""Versions have tables of their own, as many entries share them. The trigger is for software that knows form 1 only and
writes entries: they are then of unknown versions, and not of those that made them before."""

_INSERT = "INSERT OR REPLACE INTO entries (key, state, inputs, files, info) VALUES (?, ?, ?, ?, ?)"

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}
_MACHINE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_IOERR: errno.EIO, sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_CANTOPEN: errno.EIO, sqlite3.SQLITE_READONLY: errno.EROFS,
}  # fmt: skip
"""SQLite's words for faults of the machine, in those of the operating system."""

_UNWRITABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


NOT_MADE = "not made yet"
"""Why what was never tried must be made."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing made or failed."""

    key: str
    """Such as ``fetch/x0000y0001`` or ``train``."""

    state: str
    """``done`` or ``failed``."""

    inputs: dict[str, str]
    """Name of each setting or input to its fingerprint."""

    files: dict[str, str]
    """Path of each output, relative to the ledger's folder, to its fingerprint."""

    info: dict[str, Any]
    """The small record that the work returned; of a failure ``error`` (its last line) and ``log``."""


class Ledger:
    """The ledger of one output folder, an SQLite file with one writer.

    Parameters
    ----------
    folder
        The output folder; made if absent. The file is ``ledger.sqlite``.
    exclusive
        False only to look: the ledger may then belong to a run under way.
    check_files
        Read every file again. Without, a file whose size, times and inode are those that it had when it was last read
        is not read.
    versions
        Name to version of the software that works now; kept with each entry that is made.

    Raises
    ------
    BusyError
        When another process holds this ledger. A lock that a dead process left, here or on another machine, is taken
        over.
    LedgerError
        When the folder cannot be written, the ledger is damaged, or a newer landweave wrote it.
    OSError
        Where the machine fails: a full disk, no more files to open. It names the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        exclusive: bool = True,
        check_files: bool = False,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.folder = path, path.parent
        self._versions = json.dumps(dict(versions or {}), sort_keys=True)
        self._file: Any = None
        self._lock: Lock | None = None
        self._check_files = check_files
        self._prints: dict[str, tuple[str, str]] = {}
        try:
            if exclusive:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = Lock(path.with_suffix(".lock"))
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            raise LedgerError(f"{self.folder}: cannot write to the output folder: {error.strerror}.") from None
        try:
            self._open("rwc" if exclusive else "ro")
        except sqlite3.DatabaseError as error:
            self.close()
            raise self._unusable(error) from None
        except BaseException:
            self.close()
            raise

    def _unusable(self, error: sqlite3.Error) -> LedgerError | OSError:
        path, code = self.path, getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if self._lock is None and path.with_name(f"{path.name}-journal").exists():
            return LedgerError(f"{path}: a run was cut off while it wrote; `landweave run` sets it right.")
        if code in _DAMAGED:
            return LedgerError(f"{path}: cannot be used ({error}): damaged; delete it, and everything is made again.")
        if code in _MACHINE:
            number = _MACHINE[code]
            try:
                # SQLite does not say why it could not open a file.
                with path.open("rb"):
                    pass
            except OSError as reason:
                number = reason.errno or number
            return OSError(number, os.strerror(number), str(path))
        return LedgerError(f"{path}: cannot be used ({error}); end other programs that use it, and run again.")

    def _open(self, mode: str) -> None:
        if mode != "ro":
            # An empty file is a new ledger; it must be there to be asked about locks.
            with named(self.path):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666))
        # Where there are none, the folder's own lock, which is held, keeps other writers away.
        # The lock is asked, as closing the ledger itself would end the locks that SQLite has on it in this process.
        there = [path for path in (self.path.with_suffix(".lock"), self.path) if path.exists()]
        locks = not there or has_locks(there[0])
        uri = f"{self.path.resolve().as_uri()}?mode={mode}{'' if locks else '&nolock=1'}"
        self._file = sqlite3.connect(uri, uri=True, timeout=_PATIENCE)
        form = int(self._file.execute("PRAGMA user_version").fetchone()[0])
        if form > FORM:
            raise LedgerError(
                f"{self.path}: written by a newer landweave (form {form}; this one knows up to {FORM}); "
                "use that version, or another output folder."
            )
        if mode == "ro":
            self._file.execute("SELECT count(*) FROM entries")
            if not self._has("prints"):
                self._check_files = True  # the ledger of an older version
            return
        # Every commit reaches the disk before the next step begins; no write-ahead log, which network file
        # systems do not carry.
        self._file.execute("PRAGMA journal_mode=DELETE")
        self._file.execute("PRAGMA synchronous=FULL")
        self._file.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={FORM}; COMMIT;")

    def _has(self, table: str) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self._file.execute(query, (table,)).fetchone() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the ledger."""
        if self._file is not None:
            # What was read is worth remembering, but no reason to fail.
            with suppress(sqlite3.Error, LedgerError), self._file:
                self._remember()
            self._file.close()
        if self._lock is not None:
            self._lock.close()

    def get(self, key: str) -> Entry | None:
        """What is known of ``key``, or None."""
        rows = self._rows("SELECT key, state, inputs, files, info FROM entries WHERE key = ?", key)
        return self._entry(rows[0]) if rows else None

    def versions(self) -> dict[str, dict[str, str]]:
        """Keys that were made to the versions of the software that made them; an empty one where that is unknown."""
        if not self._has("made_by"):
            # One dictionary for all, as below: whoever counts entries by their versions goes by it.
            unknown: dict[str, str] = {}
            return {key: unknown for (key,) in self._rows("SELECT key FROM entries WHERE state = ?", DONE)}
        rows = self._rows(
            "SELECT entries.key, made_by.number FROM entries LEFT JOIN made_by USING (key) WHERE state = ?", DONE
        )
        contents = {number: self._json(text, "versions") for number, text in self._rows("SELECT * FROM versions")}
        contents[None] = {}
        return {key: contents.get(number, contents[None]) for key, number in rows}

    def adopt(self, versions: Mapping[str, str]) -> int:
        """Take entries whose versions are unknown for made by these; how many there were."""
        unknown = "SELECT key FROM entries WHERE state = ? AND key NOT IN (SELECT key FROM made_by)"
        keys = [row[0] for row in self._rows(unknown, DONE)]
        self.check()
        try:
            with self._file:
                number = self._number(json.dumps(dict(versions), sort_keys=True))
                self._file.executemany("INSERT INTO made_by VALUES (?, ?)", [(key, number) for key in keys])
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return len(keys)

    def _number(self, versions: str) -> int:
        self._file.execute("INSERT OR IGNORE INTO versions (content) VALUES (?)", (versions,))
        row = self._file.execute("SELECT number FROM versions WHERE content = ?", (versions,)).fetchone()
        return int(row[0])

    def _entry(self, row: tuple[str, str, str, str, str]) -> Entry:
        key, state, *parts = row
        inputs, files, info = (self._json(part, key) for part in parts)
        return Entry(key=key, state=state, inputs=inputs, files=files, info=info)

    def _json(self, text: Any, key: str) -> dict[str, Any]:
        try:
            content = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise LedgerError(
                f"{self.path}: cannot be used (the row of {key!r} is no JSON object): damaged; delete it, and "
                "everything is made again."
            )
        return content

    def entries(self, prefix: str = "") -> list[Entry]:
        """All entries whose key begins with ``prefix``, sorted by key."""
        rows = self._rows("SELECT key, state, inputs, files, info FROM entries ORDER BY key")
        return [self._entry(row) for row in rows if row[0].startswith(prefix)]

    def done(
        self, key: str, *, inputs: Mapping[str, str], files: Iterable[str | Path], info: Mapping[str, Any]
    ) -> Entry:
        """Record that ``key`` was made; the outputs' fingerprints are taken here."""
        prints = {str(path): self.print_of(self.folder / path) for path in files}
        return self._write(Entry(key=key, state=DONE, inputs=dict(inputs), files=prints, info=dict(info)))

    def let_go(self, key: str, path: str) -> None:
        """Do not ask any more for one of the files of ``key``."""
        entry = self.get(key)
        if entry is not None and path in entry.files:
            files = {name: print_ for name, print_ in entry.files.items() if name != path}
            self._write(replace(entry, files=files), made=False)

    def failed(self, key: str, *, inputs: Mapping[str, str], error: str, log: str) -> Entry:
        """Record that ``key`` failed, with the last line of the error and the whole log."""
        info = {"error": error, "log": log}
        return self._write(Entry(key=key, state=FAILED, inputs=dict(inputs), files={}, info=info))

    def stale(self, key: str, inputs: Mapping[str, str]) -> str | None:
        """Why ``key`` must be made, in words; None when it is fresh.

        Fresh: it was made from exactly these inputs, and its files still hold what was written.
        """
        entry = self.get(key)
        if entry is None:
            return NOT_MADE
        if entry.state == FAILED:
            return f"failed: {entry.info.get('error', '')}"
        changed = sorted(name for name in {*inputs, *entry.inputs} if inputs.get(name) != entry.inputs.get(name))
        if changed:
            return f"{', '.join(changed)} changed"
        for path, fingerprint in entry.files.items():
            if not (self.folder / path).exists():
                return f"{path} is gone"
            if self.print_of(self.folder / path) != fingerprint:
                return f"{path} is not what was written"
        return None

    def print_of(self, path: Path) -> str:
        """As :func:`fingerprint_of`, but what was read before, and is since untouched, is not read again."""
        key = str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path.absolute())
        stamp = file_stamp(path)
        known = None if self._check_files else self._prints.get(key) or self._recall(key)
        if known is not None and known[0] == stamp:
            return known[1]
        print_ = fingerprint_of(path)
        # A file that changes while it is read, or may change again without another time, is not remembered.
        if stamp and stamp == file_stamp(path):
            self._prints[key] = stamp, print_
        return print_

    def _recall(self, key: str) -> tuple[str, str] | None:
        rows = self._rows("SELECT stamp, print FROM prints WHERE path = ?", key)
        return rows[0] if rows else None

    def _rows(self, query: str, *values: str) -> list[Any]:
        try:
            return self._file.execute(query, values).fetchall()  # type: ignore[no-any-return]
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def check(self) -> None:
        """LedgerError when another run has taken the folder over, since this one showed no life."""
        if self._lock is not None:
            self._lock.check()

    def say(self, progress: Mapping[str, Any], *, now: bool = False) -> None:
        """Let others see how far the work is, as :meth:`landweave.engine.lock.Lock.say`."""
        if self._lock is not None:
            self._lock.say(progress, now=now)

    def _remember(self) -> None:
        """Write what was read since, with whatever else is written."""
        if self._lock is not None and self._prints:
            self._lock.check()
            rows = [(key, *known) for key, known in self._prints.items()]
            self._file.executemany("INSERT OR REPLACE INTO prints VALUES (?, ?, ?)", rows)

    def _write(self, entry: Entry, *, made: bool = True) -> Entry:
        values = (entry.key, entry.state, *(json.dumps(part) for part in (entry.inputs, entry.files, entry.info)))
        self.check()
        try:
            with self._file:
                if made:
                    self._file.execute(_INSERT, values)
                    number = self._number(self._versions)
                    self._file.execute("INSERT OR REPLACE INTO made_by VALUES (?, ?)", (entry.key, number))
                else:
                    self._file.execute("UPDATE entries SET files = ? WHERE key = ?", (values[3], entry.key))
                self._remember()
            self._prints.clear()
        except sqlite3.Error as error:
            reason = self._unusable(error)
            if isinstance(reason, OSError):
                raise reason from error
            raise OSError(f"{self.path}: cannot be written: {error}") from error
        return entry
