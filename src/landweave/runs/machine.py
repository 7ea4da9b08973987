"""What this machine lets us have, and how many worker processes that bears."""

import os
from contextlib import suppress
from pathlib import Path

LEAST_MEMORY = 600_000_000
"""Bytes that a worker needs for its libraries and one strip."""

_LIMITS = Path("/sys/fs/cgroup")


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
