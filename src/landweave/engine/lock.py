"""One writer at a time in an output folder, also where a process died or the file system is remote."""

import errno
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from landweave.errors import NO_WINDOWS, InputError, named

try:
    import fcntl
except ImportError:  # Windows; whoever would write is told by `Lock`
    fcntl = None  # type: ignore[assignment]

_POSIX: bool = fcntl is not None

BEAT = 10.0
"""Seconds between two signs of life of a run."""

WATCH = 3.5
"""Beats for which the lock of another machine is watched before its holder is taken for dead."""

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
"""What file systems without locks answer, such as Lustre that is mounted without ``flock``."""

_SETTLE = 0.5
"""Seconds after which the record shows which of two runs that began together wrote last."""

_GLANCE = 0.2
"""Seconds after which a lock that is held is asked for once more."""

_RECORD = 512
"""Bytes of the lock's record: always as many, so that a full disk cannot cut it short."""


class LedgerError(RuntimeError):
    """The ledger cannot be used; the message says why and what to do."""


class BusyError(LedgerError):
    """Another run holds the ledger."""


class Lock:
    """A folder's one holder, and its sign of life.

    The operating system's lock ends with its holder, but does not reach across all network file systems. So the file
    also says who holds it, and a number in it grows as long as the holder lives. No clock is compared with another.
    """

    def __init__(self, path: Path) -> None:
        if not _POSIX:
            raise InputError(f"{path.parent}: {NO_WINDOWS}")
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._me = {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "token": uuid.uuid4().hex}
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._beat, self._said_at = 0, -math.inf
        self._said: dict[str, Any] = {}
        try:
            self._take()
        except BaseException:
            os.close(self._file)
            raise
        self._heart = threading.Thread(target=self._live, daemon=True, name="ledger")
        self._heart.start()

    def check(self) -> None:
        """LedgerError when another run has taken the folder over, since this one showed no life."""
        if self._read().get("token") != self._me["token"]:
            raise LedgerError(
                f"{self._path.parent}: another run took over this output folder while this run was suspended; "
                "this run ends and no data are lost."
            )

    def say(self, progress: Mapping[str, Any], *, now: bool = False) -> None:
        """Write into the record how far the holder is, at most once a second unless ``now``; never fails.

        Parameters
        ----------
        progress
            A few short JSON values. What is too long for the record is left out.
        now
            Write at once, as for the beginning of something.
        """
        self._said = dict(progress)
        if now or time.monotonic() - self._said_at >= 1:
            self._said_at = time.monotonic()
            with suppress(OSError):
                self._renew()

    def close(self) -> None:
        """Release the lock."""
        self._over.set()
        self._heart.join()
        with suppress(OSError):
            if self._read().get("token") == self._me["token"]:
                self._put({})
        os.close(self._file)

    def _take(self) -> None:
        reaches = True
        try:
            with named(self._path):
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    # Who only looks (`holder`) has it for an instant.
                    time.sleep(_GLANCE)
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}:
                raise self._busy(self._read()) from None
            if error.errno not in NO_LOCKS:
                raise
            reaches = False
        holder = self._read()
        if holder and self._lives(holder, reaches=reaches):
            raise self._busy(holder)
        self._put({**self._me, "beat": 0})
        if not reaches:
            # Nothing else keeps two runs apart that found the record empty at the same moment.
            time.sleep(_SETTLE)
            holder = self._read()
            if holder.get("token") != self._me["token"]:
                raise self._busy(holder)

    def _lives(self, holder: Mapping[str, Any], *, reaches: bool) -> bool:
        same_boot, same_host = (holder.get(key) == self._me[key] for key in ("boot", "host"))
        if same_boot and (same_host or self._me["boot"]):
            # The same kernel: its lock would still be held. Where there are no locks, its process is looked for.
            return not reaches and _is_process(holder.get("pid"))
        if same_host:
            return False  # this machine was started anew since
        end = time.monotonic() + WATCH * BEAT
        while time.monotonic() < end:
            time.sleep(BEAT / 10)
            if self._read() != holder:
                return True
        return False

    def _live(self) -> None:
        while not self._over.wait(BEAT):
            self._beat += 1
            with suppress(OSError):
                if not self._renew():
                    return

    def _renew(self) -> bool:
        """Write the record again, unless another run has taken the folder over."""
        with self._writing:
            if self._over.is_set() or self._read().get("token") != self._me["token"]:
                return False
            record = {**self._me, "beat": self._beat}
            told = {**record, "progress": self._said} if self._said else record
            self._put(told if len(json.dumps(told)) <= _RECORD else record)
            return True

    def _read(self) -> dict[str, Any]:
        with named(self._path):
            return _record(self._file)

    def _put(self, content: Mapping[str, Any]) -> None:
        with named(self._path):
            os.pwrite(self._file, json.dumps(content).encode().ljust(_RECORD), 0)

    def _busy(self, holder: Mapping[str, Any]) -> BusyError:
        who = f" (process {holder['pid']} on {holder['host']})" if {"pid", "host"} <= holder.keys() else ""
        return BusyError(
            f"{self._path.parent}: another run is using this output folder{who}; wait for it to finish or stop it."
        )


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds a folder's lock now; None where nobody does. Never waits and writes nothing.

    Parameters
    ----------
    path
        The lock's file.

    Returns
    -------
    dict or None
        ``pid``, ``host``, ``progress`` (what :meth:`Lock.say` was given last, or empty) and ``seen``: False where the
        holder is on another machine, of which only its record is known: it may have died.
    """
    if not _POSIX:
        return None
    try:
        with path.open("rb") as file:
            record = _record(file.fileno())
            if not {"pid", "host"} <= record.keys():
                return None
            seen = bool(record.get("boot") and record["boot"] == _boot()) or record["host"] == socket.gethostname()
            if seen and not _is_held(file.fileno(), record):
                return None
    except OSError:
        return None
    progress = record.get("progress")
    return {
        "pid": record["pid"], "host": record["host"], "progress": progress if isinstance(progress, dict) else {},
        "seen": seen,
    }  # fmt: skip


def _is_held(file: int, record: Mapping[str, Any]) -> bool:
    """Whether a lock of this machine is held, or, where there are no locks, its holder lives."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_LOCKS or _is_process(record["pid"])
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _record(file: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(file, _RECORD, 0) or b"{}")
    except (ValueError, RecursionError):
        return {"host": "unknown"}
    return content if isinstance(content, dict) else {}


def has_locks(path: Path) -> bool:
    """Whether the file system of a file, which must exist, has the locks that SQLite needs."""
    if not _POSIX:
        return True
    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            # Where another holds it, there are locks. Other faults are met again by whoever opens the file.
            return error.errno not in NO_LOCKS
    return True


def spare_locks(paths: Iterable[Path]) -> None:
    """Let GDAL read and write GeoPackages without locks in this process, where a file among ``paths`` can have none.

    Elsewhere it must not: of a GeoPackage that is being edited it would miss what is in the write-ahead log.
    """
    if not all(has_locks(path) for path in paths if path.is_file()):
        os.environ.setdefault("SQLITE_USE_OGR_VFS", "YES")


def _boot() -> str:
    """What tells one start of a machine from all others; empty where it cannot be known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _boot_of_macos() if sys.platform == "darwin" else ""


@cache
def _boot_of_macos() -> str:
    """As :func:`_boot`. The name of a Mac changes with its network, so that it alone would not do."""
    try:
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()


def _is_process(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except PermissionError:
        return True
    return True
