"""What was made, from which settings and inputs: is it still fresh?

Knows nothing of the trade: keys, fingerprints and files only. Only the main process opens it.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from landweave.engine.fingerprint import file_stamp, fingerprint_of
from landweave.engine.lock import LedgerError, Lock

DONE, FAILED = "done", "failed"


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

    Raises
    ------
    BusyError
        When another process holds this ledger. A lock that a dead process left, here or on another machine, is taken
        over.
    LedgerError
        When the folder cannot be written, or the ledger is damaged.
    """

    def __init__(self, path: Path, *, exclusive: bool = True, check_files: bool = False) -> None:
        self.path, self.folder = path, path.parent
        self._file: Any = None
        self._lock: Lock | None = None
        self._check_files = check_files
        self._prints: dict[str, tuple[str, str]] = {}
        try:
            if exclusive:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = Lock(path.with_suffix(".lock"))
        except OSError as error:
            raise LedgerError(f"{self.folder}: cannot write to the output folder: {error.strerror}.") from None
        try:
            self._open("rwc" if exclusive else "ro")
        except sqlite3.DatabaseError as error:
            self.close()
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.Error) -> LedgerError:
        path = self.path
        if self._lock is None and path.with_name(f"{path.name}-journal").exists():
            return LedgerError(f"{path}: a run was cut off while it wrote; `landweave run` sets it right.")
        return LedgerError(
            f"{path}: cannot be used ({error}); if it is damaged, delete it, and everything is made again."
        )

    def _open(self, mode: str) -> None:
        self._file = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode={mode}", uri=True)
        if mode == "ro":
            self._file.execute("SELECT count(*) FROM entries")
            if not self._file.execute("SELECT 1 FROM sqlite_master WHERE name = 'prints'").fetchone():
                self._check_files = True  # the ledger of an older version
            return
        # Every commit reaches the disk before the next step begins; no write-ahead log, which network file
        # systems do not carry.
        self._file.execute("PRAGMA journal_mode=DELETE")
        self._file.execute("PRAGMA synchronous=FULL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, state TEXT, inputs TEXT, files TEXT, info TEXT)"
        )
        self._file.execute("CREATE TABLE IF NOT EXISTS prints (path TEXT PRIMARY KEY, stamp TEXT, print TEXT)")
        self._file.commit()

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
        return _entry(rows[0]) if rows else None

    def entries(self, prefix: str = "") -> list[Entry]:
        """All entries whose key begins with ``prefix``, sorted by key."""
        rows = self._rows("SELECT key, state, inputs, files, info FROM entries ORDER BY key")
        return [_entry(row) for row in rows if row[0].startswith(prefix)]

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
            self._write(replace(entry, files=files))

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
            return "not made yet"
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

    def _remember(self) -> None:
        """Write what was read since, with whatever else is written."""
        if self._lock is not None and self._prints:
            self._lock.check()
            rows = [(key, *known) for key, known in self._prints.items()]
            self._file.executemany("INSERT OR REPLACE INTO prints VALUES (?, ?, ?)", rows)

    def _write(self, entry: Entry) -> Entry:
        values = (entry.key, entry.state, *(json.dumps(part) for part in (entry.inputs, entry.files, entry.info)))
        self.check()
        try:
            with self._file:
                self._file.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", values)
                self._remember()
            self._prints.clear()
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: cannot be written: {error}") from error
        return entry


def _entry(row: tuple[str, str, str, str, str]) -> Entry:
    key, state, inputs, files, info = row
    return Entry(key=key, state=state, inputs=json.loads(inputs), files=json.loads(files), info=json.loads(info))
