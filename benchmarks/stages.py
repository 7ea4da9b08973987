"""Stages of a program timed as they pass: wall and CPU seconds, and the peak of its memory.

Needs nothing but Python and Linux, so that both sides of a comparison are measured by the same lines.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Stages:
    """What was measured so far."""

    def __init__(self) -> None:
        self.measured: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what is done within; a name given again is added to."""
        forget_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.add(name, wall=time.perf_counter() - wall, cpu=time.process_time() - cpu, peak_mib=peak_mib())

    def add(self, name: str, *, wall: float, cpu: float, peak_mib: float) -> None:
        """Put down a stage that was measured elsewhere."""
        known = self.measured.setdefault(name, {"wall": 0.0, "cpu": 0.0, "peak_mib": 0.0})
        known["wall"] += wall
        known["cpu"] += cpu
        known["peak_mib"] = max(known["peak_mib"], peak_mib)

    def write(self, path: str | None, **facts: Any) -> None:
        """Print all of it as JSON, or write it to a file."""
        text = json.dumps({"stages": self.measured, **facts}, indent=1)
        if path:
            Path(path).write_text(text + "\n", encoding="utf-8")
        else:
            print(text)


def forget_peak() -> None:
    """Let the kernel count this process's peak anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mib() -> float:
    """Peak resident memory since it was last forgotten, MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")
