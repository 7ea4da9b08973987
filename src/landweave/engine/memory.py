"""What this process uses and keeps of memory, and how to make it keep less."""

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of GNU's mallopt(3), from malloc.h."""

KEPT_FREE, _KEPT_ARRAY = 256 << 20, 32 << 20
"""Bytes of free memory that a process keeps, and the largest array that may come from it (glibc allows no more)."""


def bytes_read() -> int:
    """Bytes that this process has read so far, from disk or its cache (Linux; 0 elsewhere)."""
    try:
        first = Path("/proc/self/io").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return 0
    return int(first.removeprefix("rchar:"))


def peak_bytes() -> int:
    """Peak resident memory of this process, bytes; 0 where the system does not count it (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let this process use memory again that it has freed, instead of giving it back at once; False where it cannot.

    What is given back to the kernel comes back cleared, page by page, which costs more than much of the arithmetic.
    dask's workers are told to give all back (``MALLOC_TRIM_THRESHOLD_``): a fetch took half as long again by that.
    """
    mallopt = _of_gnu("mallopt")
    return bool(mallopt) and bool(mallopt(_MMAP_THRESHOLD, _KEPT_ARRAY) and mallopt(_TRIM_THRESHOLD, KEPT_FREE))


def share_one_heap() -> bool:
    """Let all threads that start from now on take memory from one heap; False where they cannot.

    What one thread frees then serves the others. They wait for each other a little more, so this is for threads that
    rather draw than allocate: the browser view's server takes 95 MB less, and is no slower.
    """
    mallopt = _of_gnu("mallopt")
    return bool(mallopt and mallopt(_ARENA_MAX, 1))


def give_freed_memory_back() -> None:
    """Give the kernel what this process has freed and its C library (GNU's) keeps for later."""
    if trim := _of_gnu("malloc_trim"):
        trim(0)


def _of_gnu(name: str) -> Any:
    """A function of GNU's C library; None where it is another."""
    if sys.platform == "win32":
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), name, None)
