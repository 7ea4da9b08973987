"""What this machine lets us have, and how many worker processes that bears."""

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

LEAST_MEMORY = 600_000_000
"""Bytes that a worker needs for its libraries and one strip."""

_LIMITS = Path("/sys/fs/cgroup")

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of GNU's mallopt(3), from malloc.h."""

_KEPT_FREE, _KEPT_ARRAY = 256 << 20, 32 << 20
"""Bytes of free memory that a process keeps, and the largest array that may come from it (glibc allows no more)."""


def usable_cores() -> int:
    """Cores that this process may use, which in a container or a batch job are fewer than the machine has."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _limit("cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        count = min(count, -(-int(quota) // int(period)))
    return max(1, count)


def usable_memory() -> int:
    """Bytes of memory that this process may use."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _limit("memory.max")
    return min(whole, int(limit)) if limit.isdigit() else whole


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


def _limit(name: str) -> str:
    """A limit of the control group, as its file has it; empty where there is none."""
    try:
        return (_LIMITS / name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let this process use memory again that it has freed, instead of giving it back at once; False where it cannot.

    What is given back to the kernel comes back cleared, page by page, which costs more than much of the arithmetic.
    dask's workers are told to give all back (``MALLOC_TRIM_THRESHOLD_``): a fetch took half as long again by that.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        # Another C library than GNU's.
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEPT_ARRAY)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT_FREE))
