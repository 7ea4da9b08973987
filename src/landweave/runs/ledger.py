"""What was made, from which settings and inputs: is it still fresh?

Knows nothing of the trade: keys, fingerprints and files only. Only the main process opens it.
"""

import fcntl
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

DONE, FAILED = "done", "failed"


class LedgerError(RuntimeError):
    """The ledger cannot be used; the message says why and what to do."""


class BusyError(LedgerError):
    """Another run holds the ledger."""


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

    Raises
    ------
    BusyError
        When another process holds this ledger. The lock is the operating system's: it ends with its holder.
    """

    def __init__(self, folder: Path, *, exclusive: bool = True) -> None:
        self.folder = folder
        self._file: Any = None
        self._lock: IO[str] | None = None
        try:
            if exclusive:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = (folder / "ledger.lock").open("w")
        except OSError as error:
            raise LedgerError(f"{folder}: the output folder cannot be written: {error.strerror}.") from None
        try:
            if self._lock:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise BusyError(f"{folder}: another run works in this output folder; wait for it or end it.") from None
        try:
            self._open("rwc" if exclusive else "ro")
        except sqlite3.DatabaseError as error:
            self.close()
            raise LedgerError(
                f"{folder / 'ledger.sqlite'}: cannot be used ({error}); if it is damaged, delete it, "
                "and everything is made again."
            ) from None

    def _open(self, mode: str) -> None:
        self._file = sqlite3.connect(f"{(self.folder / 'ledger.sqlite').resolve().as_uri()}?mode={mode}", uri=True)
        if mode == "ro":
            self._file.execute("SELECT count(*) FROM entries")
            return
        # Every commit reaches the disk before the next step begins; no write-ahead log, which network file
        # systems do not carry.
        self._file.execute("PRAGMA journal_mode=DELETE")
        self._file.execute("PRAGMA synchronous=FULL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, state TEXT, inputs TEXT, files TEXT, info TEXT)"
        )
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
            self._file.close()
        if self._lock is not None:
            self._lock.close()

    def get(self, key: str) -> Entry | None:
        """What is known of ``key``, or None."""
        row = self._file.execute("SELECT key, state, inputs, files, info FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else _entry(row)

    def entries(self, prefix: str = "") -> list[Entry]:
        """All entries whose key begins with ``prefix``, sorted by key."""
        rows = self._file.execute("SELECT key, state, inputs, files, info FROM entries ORDER BY key")
        return [_entry(row) for row in rows if row[0].startswith(prefix)]

    def done(
        self, key: str, *, inputs: Mapping[str, str], files: Iterable[str | Path], info: Mapping[str, Any]
    ) -> Entry:
        """Record that ``key`` was made; the outputs' fingerprints are taken here."""
        prints = {str(path): fingerprint_of(self.folder / path) for path in files}
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
            if fingerprint_of(self.folder / path) != fingerprint:
                return f"{path} is not what was written"
        return None

    def _write(self, entry: Entry) -> Entry:
        values = (entry.key, entry.state, *(json.dumps(part) for part in (entry.inputs, entry.files, entry.info)))
        try:
            with self._file:
                self._file.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", values)
        except sqlite3.Error as error:
            raise OSError(f"{self.folder / 'ledger.sqlite'}: cannot be written: {error}") from error
        return entry


def fingerprint(value: Any) -> str:
    """Fingerprint of anything that JSON can hold; keys in any order.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def fingerprint_of(path: Path) -> str:
    """Fingerprint of a file's content, or of a folder's files and their names; never of times."""
    digest = hashlib.blake2b(digest_size=16)
    if path.is_dir():
        for part in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{part.relative_to(path)}\0{fingerprint_of(part)}\0".encode())
    else:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


COMPANIONS = (".dbf", ".shx", ".prj", ".cpg", ".tfw", ".wld", ".jgw", ".j2w", ".hdr")
"""Endings of files that say, beside a file of the same stem, what it holds or where it lies."""


def print_with_companions(path: Path) -> str:
    """Fingerprint of a file and of the side files that a reader would open with it."""
    beside = [path.with_suffix(ending) for ending in COMPANIONS] + [path.with_name(f"{path.name}.aux.xml")]
    return fingerprint([fingerprint_of(part) for part in (path, *beside) if part.is_file() or part == path])


def _entry(row: tuple[str, str, str, str, str]) -> Entry:
    key, state, inputs, files, info = row
    return Entry(key=key, state=state, inputs=json.loads(inputs), files=json.loads(files), info=json.loads(info))
