"""Any function over many tasks: here or on workers, the same."""

import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.engine import workers
from landweave.engine.executor import THREADS, WINDOW, Outcome, attempt, open_engine
from landweave.engine.memory import peak_bytes


def divide(task):
    """100 / task, or an error."""
    return 100 / task


def setting(name):
    """A variable of the environment that the task runs in."""
    return os.environ.get(name)


def die_on_the_first_try(task):
    """Let the worker die where the task says so; every try leaves a mark."""
    kind, folder = task
    with Path(folder, kind).open("a", encoding="ascii") as file:
        file.write("x")
    if kind.startswith("die") and (kind.startswith("die-always") or Path(folder, kind).stat().st_size == 1):
        time.sleep(0.2)
        os._exit(9)
    time.sleep(0.1)
    return kind


def fall_silent_on_the_first_try(task):
    """Stop the worker's process where the task says so, as a machine that lost its network."""
    kind, folder = task
    with Path(folder, kind).open("a", encoding="ascii") as file:
        file.write("x")
    if kind == "silent" and Path(folder, kind).stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return kind


KEPT = []


def held(megabytes):
    """Megabytes that this process holds after it made so many in arrays and freed all but one in fifty, here and there."""
    arrays = [np.ones(12_500) for _ in range(10 * megabytes)]
    KEPT.extend(arrays[::50])
    del arrays
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1000


class Heavy:
    """Work that counts how often it is packed to be sent."""

    packed = 0

    def __reduce__(self):
        Heavy.packed += 1
        return Heavy, ()

    def __call__(self, task):
        return task + 1


def facts(outcome):
    return outcome.name, outcome.value, outcome.error, outcome.kind


@given(st.lists(st.integers(-2, 5)))
def test_every_task_has_one_outcome_in_order_whatever_fails(numbers):
    with open_engine() as engine:
        outcomes = list(engine.run(divide, [(str(i), n) for i, n in enumerate(numbers)]))
    assert [o.name for o in outcomes] == [str(i) for i in range(len(numbers))]
    assert [o.value for o in outcomes] == [100 / n if n else None for n in numbers]
    assert {o.kind for o, n in zip(outcomes, numbers, strict=True) if not n} <= {"ZeroDivisionError"}


def test_an_outcome_tells_what_the_task_cost():
    def work(task):
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return len(Path(task).read_bytes())

    outcome = attempt(work, "a", __file__)
    assert outcome.seconds >= outcome.cpu_seconds * 0.9
    assert outcome.cpu_seconds >= 0.05
    assert outcome.peak_bytes <= peak_bytes()
    assert outcome.bytes_read >= outcome.value or not Path("/proc/self/io").exists()
    assert outcome == Outcome(**outcome.__dict__)


def test_an_error_without_words_is_told_by_its_name():
    def work(_):
        raise NotImplementedError

    assert attempt(work, "a", 0).error == "NotImplementedError"


def test_an_interrupt_ends_the_run_and_is_no_outcome():
    def work(_):
        raise KeyboardInterrupt

    with open_engine() as engine, pytest.raises(KeyboardInterrupt):
        list(engine.run(work, [("a", 1)]))


def test_tasks_are_taken_only_as_they_are_worked_on():
    taken = []

    def tasks():
        for number in range(1, 100):
            taken.append(number)
            yield str(number), number

    with open_engine() as engine:
        outcomes = engine.run(divide, tasks())
        next(outcomes)
        assert len(taken) <= 2


@pytest.mark.parametrize("tasks", [[], [("a", 4)]])
def test_no_cluster_is_started_for_nothing_or_for_a_single_task(tasks):
    with open_engine(workers=2) as engine:
        assert [o.value for o in engine.run(divide, tasks)] == [25.0] * len(tasks)
        assert engine._client is None


def test_two_workers_give_the_same_outcomes_and_only_the_guilty_are_set_aside(tmp_path):
    numbers = [(str(n), n) for n in [*range(1, 40), 0]]
    with open_engine() as engine:
        here = {facts(o) for o in engine.run(divide, numbers)}
    in_flight = most = 0

    def counted():
        nonlocal in_flight
        for pair in numbers:
            in_flight += 1
            yield pair

    with open_engine(workers=2) as engine:
        there = set()
        for outcome in engine.run(divide, counted()):
            most = max(most, in_flight)
            in_flight -= 1
            there.add(facts(outcome))
        assert there == here
        assert most <= 2 * WINDOW
        asked = [(name, name) for name in THREADS]
        assert {o.value for o in engine.run(setting, asked)} == {"1"}, "libraries start no threads of their own"

        # Deaths among innocents, who wait on the same workers when these die.
        kinds = ["die-always", "k1", "k2", "die-once", *(f"k{n}" for n in range(3, 12))]
        done = {o.name: o for o in engine.run(die_on_the_first_try, [(k, (k, str(tmp_path))) for k in kinds])}
    assert set(done) == set(kinds)
    for kind, outcome in done.items():
        tries = (tmp_path / kind).stat().st_size
        if kind.startswith("die-always"):
            assert outcome.value is None
            assert "worker died" in outcome.error
            assert 2 <= tries <= 3
        else:
            assert outcome.value == kind
            assert tries <= 3


def test_a_worker_that_falls_silent_is_named_and_its_task_is_done_by_another(tmp_path, monkeypatch, caplog):
    import dask

    monkeypatch.setattr(workers, "SILENCE", 1.0)
    tasks = [(name, (name, str(tmp_path))) for name in ("a", "silent", "b")]
    with dask.config.set({"distributed.scheduler.worker-ttl": "5s"}), open_engine(workers=2) as engine:
        found = {outcome.name: outcome.value for outcome in engine.run(fall_silent_on_the_first_try, tasks)}
    assert found == {"a": "a", "silent": "silent", "b": "b"}
    lines = [record.message for record in caplog.records if "has not answered for" in record.message]
    assert lines
    assert "after 5 s its tasks are given to others" in lines[0]


def test_work_is_packed_once_however_many_tasks_there_are():
    """Sent along with every task it took the main process 4 MB a task for good, and most of its time."""
    with open_engine(workers=2) as engine:
        for _ in range(2):
            Heavy.packed = 0
            found = {o.name: o.value for o in engine.run(Heavy(), ((str(n), n) for n in range(30)))}
            assert found == {str(n): n + 1 for n in range(30)}
            assert 1 <= Heavy.packed <= 3


def test_workers_give_back_what_they_kept_free_when_the_work_is_done():
    """They may wait for hours while models are fitted in another process, which needs the memory."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library than GNU's")
    with open_engine(workers=2) as engine:
        working, waiting = ([o.value for o in engine.run(held, [(str(n), mb) for n in range(8)])] for mb in (160, 0))
        assert max(waiting) < min(working) - 100


def test_a_process_keeps_the_memory_that_it_frees_whatever_it_was_told():
    """Twenty arrays freed and made again cost hardly a page, although the environment says to give all back."""
    code = """
import resource
import numpy as np
from landweave.engine.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
if keep_freed_memory():
    faults()
    print(given_back, faults())
"""
    told = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True)
    if not done.stdout:
        pytest.skip("another C library than GNU's")
    given_back, kept = map(int, done.stdout.split())
    assert kept < 0.2 * given_back
