"""Processes that work together: whether they reach each other, which fall silent, and that Ctrl-C is not theirs."""

import errno
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from landweave.errors import MACHINE, InputError

PATIENCE = 30
"""Seconds to wait for a scheduler or its first worker."""

SILENCE = 30.0
"""Seconds after which a worker that does not answer is named, and between two such lines."""

_log = logging.getLogger(__name__)


def reach_loopback(workers: int) -> None:
    """Find out at once what dask finds out after half a minute: whether processes of this machine reach each other.

    Raises
    ------
    InputError
        Where they do not, as in a container without a network.
    """
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as door,
            socket.create_connection(door.getsockname(), timeout=PATIENCE),
        ):
            pass
    except OSError as error:
        if error.errno in MACHINE - {errno.ETIMEDOUT}:
            raise
        raise InputError(
            f"--workers {workers}: processes of this machine do not reach each other at 127.0.0.1 "
            f"({error.strerror or error}); use --workers 1, or bring up the loopback interface."
        ) from None


@contextmanager
def silence_told(client: Any) -> Iterator[None]:
    """While the block runs, warn of workers that no longer answer: their machine is gone, or they are stopped.

    The scheduler gives their tasks to others after its own patience, ``distributed.scheduler.worker-ttl``.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SILENCE):
            # It must not end the work that it watches.
            with suppress(Exception):
                silent, ttl = client.run_on_scheduler(_silent_workers, seconds=SILENCE)
                for address, seconds in sorted(silent.items()):
                    _log.warning(
                        "worker %s has not answered for %.0f s; after %s its tasks are given to others (set "
                        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL, in seconds, to change that)",
                        address, seconds, f"{ttl:.0f} s" if ttl else "its connection breaks",
                    )  # fmt: skip

    threading.Thread(target=watch, daemon=True, name="watch").start()
    try:
        yield
    finally:
        done.set()


def _silent_workers(seconds: float, dask_scheduler: Any = None) -> tuple[dict[str, float], float | None]:
    """Workers from which a scheduler has not heard, to the seconds since then; and how long it waits for one."""
    # Its own clock: ours may differ.
    now = time.time()
    since = {address: now - worker.last_seen for address, worker in dask_scheduler.workers.items()}
    return {address: passed for address, passed in since.items() if passed > seconds}, dask_scheduler.worker_ttl


@contextmanager
def interrupts_kept_from_children() -> Iterator[None]:
    """Processes that are started here do not see Ctrl-C: this one ends them; one that comes meanwhile is told after.

    A terminal interrupts all processes at once. What is blocked stays so in threads and processes started meanwhile,
    among them the thread that starts a worker again.
    """
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # which would unblock it when it is first needed
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
