"""How many workers a machine bears."""

import os

import pytest

from landweave.engine import machine
from landweave.engine.machine import LEAST_MEMORY, planned_workers, usable_cores, usable_memory


@pytest.fixture
def limits(tmp_path, monkeypatch):
    """A control group without limits, of eight cores, in which tests write some."""
    monkeypatch.setattr(machine, "_LIMITS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    real, given = os.sysconf, {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4_000_000}
    monkeypatch.setattr(os, "sysconf", lambda name: given.get(name) or real(name))
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "cores"),
    [(None, 8), ("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("nonsense", 8)],
)
def test_cores_are_those_that_the_control_group_grants(limits, quota, cores):
    if quota:
        (limits / "cpu.max").write_text(quota + "\n")
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("limit", "size"), [(None, 16_384_000_000), ("max", 16_384_000_000), ("3000000000", 3_000_000_000)]
)
def test_memory_is_what_the_control_group_grants(limits, limit, size):
    if limit:
        (limits / "memory.max").write_text(limit + "\n")
    assert usable_memory() == size


@pytest.mark.parametrize(
    ("limit", "memory", "workers"),
    [
        ("max", None, 8),
        ("max", "2GB", 8),
        ("max", "4GB", 4),
        ("max", "100GB", 1),
        ("2000000000", None, 3),
        ("max", "1kB", 8),  # less than a worker can live on: the run refuses it
        ("max", "much", 8),
    ],
)
def test_there_are_as_many_workers_as_cores_and_as_fit_the_memory(limits, limit, memory, workers):
    (limits / "memory.max").write_text(limit)
    assert planned_workers(memory) == workers


def test_this_machine_bears_at_least_one_worker():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert usable_memory() > LEAST_MEMORY
    assert 1 <= planned_workers() <= usable_cores()
