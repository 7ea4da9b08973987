"""Any function over many small tasks, in this process or on a dask cluster.

Knows nothing of the trade. A failing task stops no other; a task may be run twice (a worker died), so its work must
be repeatable.
"""

import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, islice
from typing import Any, TypeVar

from landweave.engine.memory import bytes_read, give_freed_memory_back, keep_freed_memory, peak_bytes
from landweave.engine.workers import PATIENCE, interrupts_kept_from_children, reach_loopback, silence_told

Task = TypeVar("Task")

THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "BLOSC_NTHREADS",
    "GDAL_NUM_THREADS",
)  # fmt: skip
"""What libraries read to know how many threads to start. In a worker it is one: the cores are for the workers."""

WINDOW = 4
"""Tasks in flight per worker: a million tasks are never submitted at once."""

_GLANCE = 10
"""Seconds between two looks at how many workers there are."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one task."""

    name: str
    value: Any = None
    """What the work returned; None where it failed."""
    error: str | None = None
    """Last line of the error."""
    kind: str | None = None
    """Name of the error's class."""
    log: str = ""
    """The whole traceback."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    """Peak memory of the worker's process so far."""
    bytes_read: int = 0
    """Bytes that the process read meanwhile, from disk or its cache (Linux; 0 elsewhere)."""


class SchedulerLostError(ConnectionError):
    """The scheduler is gone, and with it what was under way; what was recorded stands."""


class Engine:
    """Where work runs; made by :func:`open_engine`. The cluster starts when it is first needed."""

    def __init__(self, *, workers: int, scheduler: str | None, memory: str | None) -> None:
        self.workers = workers
        self._scheduler = scheduler
        self._memory = memory
        self._client: Any = None
        self._cluster: Any = None
        self.started: Callable[[str], None] = lambda _: None
        """Called once the scheduler is there, with the address of its page, or with "" where it has none."""

    @property
    def here(self) -> bool:
        """Whether work runs in this process; a ceiling of memory can only end another one."""
        return self.workers == 1 and self._scheduler is None and self._memory is None

    @property
    def scheduler(self) -> str | None:
        """Address of the scheduler that was named, if one was."""
        return self._scheduler

    def reach(self) -> None:
        """Connect to the scheduler, where one was named; OSError or ValueError when it or a worker does not answer."""
        if self._scheduler is None:
            return
        client = self._connect()
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise TimeoutError(
                f"the scheduler answers, but has no worker; start some by `dask worker {self._scheduler}`"
            ) from None

    def on_workers(self, work: Callable[[], Any]) -> list[Any]:
        """What ``work`` returns on each worker of a scheduler that was named."""
        return [] if self._scheduler is None else list(self._connect().run(work).values())

    def run(
        self,
        work: Callable[[Task], Any],
        tasks: Iterable[tuple[str, Task]],
        *,
        retries: int = 2,
        apart: bool = False,
    ) -> Iterator[Outcome]:
        """Run ``work`` on every named task; outcomes come in the order in which they are ready.

        Parameters
        ----------
        work
            Takes one task, returns a small record. Exceptions become ``Outcome.error``.
        tasks
            Pairs of a name and what ``work`` takes.
        retries
            How often, at least once, a task is run again, alone, when a worker died that had it; after that it is
            set aside with an error.
        apart
            Not in this process, unless it is the only one, since a task may end the process that it runs in. A single
            task runs here otherwise.
        """
        pairs = iter(tasks)
        first = list(islice(pairs, 2))
        # Starting a cluster takes seconds: not for nothing, and not for a single task of this machine.
        alone = len(first) == 1 and self._scheduler is None and self._memory is None and not apart
        if self.here or not first or alone:
            for name, task in chain(first, pairs):
                yield attempt(work, name, task)
        else:
            yield from self._run_on_cluster(work, chain(first, pairs), retries)

    def _run_on_cluster(
        self, work: Callable[[Task], Any], tasks: Iterable[tuple[str, Task]], retries: int
    ) -> Iterator[Outcome]:
        client = self._connect()
        try:
            with silence_told(client):
                yield from self._run_carried(client, work, tasks, retries)
        except SchedulerLostError:
            raise
        except (OSError, CancelledError):
            raise self._lost() from None

    def _run_carried(
        self, client: Any, work: Callable[[Task], Any], tasks: Iterable[tuple[str, Task]], retries: int
    ) -> Iterator[Outcome]:
        # The work goes to each worker once, also to those that start later. Sent along with every task it would be
        # packed again for each, and the scheduler and the workers would keep hundreds of copies.
        called = f"landweave-{uuid.uuid4().hex}"
        client.register_plugin(_carrier(work), name=called)
        try:
            yield from self._run_tasks(client, called, tasks, retries)
        finally:
            # The scheduler may be gone.
            with suppress(Exception):
                client.unregister_worker_plugin(called)

    def _run_tasks(
        self, client: Any, called: str, tasks: Iterable[tuple[str, Task]], retries: int
    ) -> Iterator[Outcome]:
        from distributed import as_completed

        waiting = iter(tasks)
        flight = as_completed()
        pairs: dict[str, tuple[str, Task]] = {}
        suspects: list[tuple[str, Task]] = []

        def submit(count: int) -> None:
            for _, (name, task) in zip(range(count), waiting, strict=False):
                future = client.submit(_attempt_there, called, name, task, pure=False)
                pairs[future.key] = name, task
                flight.add(future)

        def window() -> int:
            return WINDOW * max(self.workers, int(sum(client.nthreads().values())))

        most, asked = window(), time.monotonic()
        submit(most)
        for future in flight:
            name, task = pairs.pop(future.key)
            outcome = self._outcome(future, name)
            if outcome is None:
                suspects.append((name, task))
            else:
                yield outcome
            if time.monotonic() - asked > _GLANCE:
                # Workers come and go.
                most, asked = window(), time.monotonic()
            submit(max(most - len(pairs), 0 if pairs else 1))
        # A worker's death casts suspicion on every task that waited there. Alone, a task can only be its own victim.
        for name, task in suspects:
            for _ in range(retries):
                future = client.submit(_attempt_there, called, name, task, pure=False)
                outcome = self._outcome(future, name)
                if outcome is not None:
                    break
            yield outcome or _unanswered(
                name, ChildProcessError("its worker died each time; it may need more memory than there is")
            )

    def _outcome(self, future: Any, name: str) -> Outcome | None:
        """What became of a task; None where its worker died."""
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker):
            return None
        if error is not None:
            return _unanswered(name, error)
        try:
            outcome: Outcome = future.result()
        except (CancelledError, OSError):
            raise self._lost() from None
        return outcome

    def _lost(self) -> SchedulerLostError:
        where = self._scheduler or "this machine"
        return SchedulerLostError(
            f"the dask scheduler at {where} no longer answers; start it again and run again, what was made stands."
        )

    def _connect(self) -> Any:
        if self._client is None:
            import dask
            from distributed import Client, LocalCluster

            # A death is told at once; which task was to blame is found out afterwards, one at a time. A worker ends at
            # its ceiling, and does not pause below it for good: what it keeps free counts there too.
            dask.config.set({
                "distributed.scheduler.allowed-failures": 0, "distributed.admin.tick.limit": "60s",
                **{f"distributed.worker.memory.{step}": False for step in ("target", "spill", "pause")},
            })  # fmt: skip
            if self._scheduler is None:
                reach_loopback(self.workers)
                with interrupts_kept_from_children():
                    self._cluster = LocalCluster(
                        n_workers=self.workers,
                        threads_per_worker=1,
                        memory_limit=self._memory or 0,
                        dashboard_address="127.0.0.1:0",  # None would listen at port 8787 of all networks
                        host="127.0.0.1",
                        silence_logs=50,
                        env=dict.fromkeys(THREADS, "1"),
                    )
            self._client = Client(self._cluster or self._scheduler, timeout=f"{PATIENCE}s")
            self.started(self._page())
        return self._client

    def _page(self) -> str:
        """Address of the scheduler's page; empty where it has none."""
        try:
            there = self._client.run_on_scheduler(_has_page) if self._scheduler else _has_page()
        except Exception:  # noqa: BLE001 - a scheduler that does not know landweave still works
            there = False
        return str(self._client.dashboard_link or "") if there else ""

    def close(self) -> None:
        """End the cluster, if one was started here."""
        # Whatever ended the work is told, not that the scheduler is no longer there to be left.
        for one in (self._client, self._cluster):
            if one is not None:
                with suppress(Exception):
                    one.close(timeout=PATIENCE)


@contextmanager
def open_engine(*, workers: int = 1, scheduler: str | None = None, memory: str | None = None) -> Iterator[Engine]:
    """Open an engine, and close it at the end.

    Parameters
    ----------
    workers
        Processes on this machine; 1 works in this process.
    scheduler
        Address of a dask scheduler, such as ``tcp://10.0.0.5:8786``; ``workers`` is then what the cluster has. When it
        dies, :meth:`Engine.run` raises :class:`SchedulerLostError`.
    memory
        Ceiling per worker, such as ``2GB``; none by default.
    """
    engine = Engine(workers=workers, scheduler=scheduler, memory=memory)
    try:
        yield engine
    finally:
        engine.close()


def attempt(work: Callable[[Task], Any], name: str, task: Task) -> Outcome:
    """Run ``work`` on one task and measure it; an exception becomes part of the outcome."""
    wall, cpu, read = time.perf_counter(), time.process_time(), bytes_read()
    value, error, kind, log = None, None, None, ""
    try:
        value = work(task)
    except Exception as problem:  # noqa: BLE001 - one failing task stops no other
        error, kind, log = _last_line(problem), type(problem).__name__, traceback.format_exc()
    return Outcome(
        name=name,
        value=value,
        error=error,
        kind=kind,
        log=log,
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        peak_bytes=peak_bytes(),
        bytes_read=bytes_read() - read,
    )


def _carrier(work: Callable[[Task], Any]) -> Any:
    """What brings the work to a worker."""
    from distributed import WorkerPlugin

    plugin: Any = WorkerPlugin()
    plugin.work = work
    # A worker may wait for hours while the models are fitted, which need the memory that it keeps.
    plugin.teardown = _rest
    return plugin


def _rest(worker: Any) -> None:  # noqa: ARG001 - dask names it
    give_freed_memory_back()


def _attempt_there(called: str, name: str, task: Task) -> Outcome:
    from distributed import get_worker

    keep_freed_memory()
    return attempt(get_worker().plugins[called].work, name, task)


def _unanswered(name: str, error: BaseException) -> Outcome:
    return Outcome(name=name, error=_last_line(error), kind=type(error).__name__, log=repr(error))


def _has_page() -> bool:
    """Whether dask can draw its page of workers and tasks, for which it wants bokeh; without, the page only says so."""
    return find_spec("bokeh") is not None


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
