"""The cores and memory that this machine lets us have, and how many worker processes are started for them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

LEAST_MEMORY = 600_000_000
"""Bytes that a worker needs for its libraries and one strip."""

_LIMITS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores that this process may use, which in a container or a batch job are fewer than the machine has."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for limit in _limits("cpu.max", ""):
        quota, _, period = limit.partition(" ")
        if quota.isdigit() and period.isdigit():
            count = min(count, -(-int(quota) // int(period)))
    return max(1, count)


def usable_memory() -> int:
    """Bytes of memory that this process may use."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows, and systems that do not count their pages
        import psutil

        whole = int(psutil.virtual_memory().total)
    return min([whole, *(int(limit) for limit in _limits("memory.max", "memory.limit_in_bytes") if limit.isdigit())])


def size_text(count: float) -> str:
    """A number of bytes for people, in powers of 1000 as disks are sold and ``--memory`` is given.

    >>> size_text(512), size_text(1530), size_text(12_345_678), size_text(1.5e12)
    ('512 B', '1.53 kB', '12.3 MB', '1.5 TB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.3g} {unit}" if abs(count) < 999.5 else f"{count:.0f} {unit}"


def free_disk(folder: Path) -> int:
    """Bytes free where a folder lies or will lie."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def ignores_case(folder: Path) -> bool:
    """Whether the file system of a folder that exists or will takes names that differ in case alone for one.

    So do those of macOS and Windows, as they come. Nothing is written: a folder on the way is looked up in other case.
    """
    for place in (folder, *folder.parents):
        other = place.with_name(place.name.swapcase()) if place.name else place
        if other.name != place.name and place.exists():
            return other.exists() and other.samefile(place)
    return False


def planned_workers(memory: str | None = None) -> int:
    """A process a core, each with one thread, but no more than fit the memory.

    Parameters
    ----------
    memory
        Ceiling of each, such as ``2GB``; without, what a worker needs at least.
    """
    each = LEAST_MEMORY
    if memory is not None:
        from dask.utils import parse_bytes

        # The run itself says what is wrong with it.
        with suppress(ValueError):
            each = max(each, parse_bytes(memory))
    return max(1, min(usable_cores(), usable_memory() // each))


def _limits(name: str, old: str) -> list[str]:
    """A limit of this process's control group and of those around it, as their files have it, by version 2 or 1."""
    found = []
    for place in dict.fromkeys(_groups()):
        for file in (place / name, *([place / old] if old else [])):
            with suppress(OSError, ValueError):
                found.append(file.read_text(encoding="ascii").strip())
    return found


def _groups() -> list[Path]:
    """Folders of the control groups that hold this process."""
    try:
        lines = _OWN.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    folders = [_LIMITS, _LIMITS / "memory"]
    for line in lines:
        _, controllers, inner = line.split(":", 2)
        if controllers in {"", "memory"}:
            inside = PurePosixPath(inner.lstrip("/"))
            folders += [_LIMITS / controllers / part for part in (inside, *inside.parents)]
    return folders
