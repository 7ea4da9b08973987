"""Threads that wait for servers, beside those that compute."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def side_by_side(work: Callable[[S], T], things: Sequence[S], threads: int) -> Iterator[T]:
    """The work on each thing, in their order, done by so many threads; after an error nothing more is begun."""
    if threads == 1 or len(things) < 2:
        yield from map(work, things)
        return
    pool = ThreadPoolExecutor(min(threads, len(things)), thread_name_prefix="side")
    try:
        yield from pool.map(work, things)
    finally:
        pool.shutdown(cancel_futures=True)


class Waiters:
    """Threads that end with the process: one that waits for a silent server never keeps it from ending.

    Parameters
    ----------
    most
        Threads at most; each is started when it is needed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._todo: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = self._idle = 0

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Have something done; work that was submitted first begins first."""
        future: Future[T] = Future()
        with self._lock:
            self._todo.put((future, work))
            if self._idle < self._todo.qsize() and self._started < self.most:
                self._started += 1
                threading.Thread(target=self._serve, name="wire", daemon=True).start()
        return future

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            future, work = self._todo.get()
            with self._lock:
                self._idle -= 1
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                future.set_exception(error)
            # What was read is not kept alive until the next work comes.
            del future, work
