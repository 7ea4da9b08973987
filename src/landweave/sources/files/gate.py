"""How many requests a server gets at a time: as many as it bears, found by what it answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 32
"""Requests at a time that a server gets at most from a process, unless the project says otherwise."""

START = 8
"""Requests at a time in the beginning."""

FEW = 32
"""Answers from which a share of refusals is judged."""

_CALM, _KEPT = 0.02, 0.75


class Gate:
    """A bound on requests at a time, that follows a server's refusals (429 and 503).

    It starts at :data:`START` and doubles while there are no refusals, up to ``most``. Where more than 2 % of the
    answers are refusals, it is halved. If as many requests are answered as before, the server is what bounds them, and
    the lower bound is kept, and grows by one at a time. If fewer are answered, refusals do not come from the load: the
    higher bound is restored, and grows as long as there are not many more of them. What is read does not depend on it.

    Parameters
    ----------
    most
        Requests at a time at most.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.limit = min(START, most)
        self._under_way = 0
        self._room = threading.Condition()
        self._answers = self._refused = 0
        self._slow = False
        self._before: tuple[int, float] | None = None
        self._borne = 0.0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait until a request may begin; it is under way while the block runs."""
        with self._room:
            while self._under_way >= self.limit:
                self._room.wait()
            self._under_way += 1
        try:
            yield
        finally:
            with self._room:
                self._under_way -= 1
                self._room.notify()

    def answered(self, *, refused: bool) -> None:
        """Count an answer, and change the bound where enough were counted."""
        with self._room:
            self._answers += 1
            self._refused += refused
            share = self._refused / self._answers
            if self._answers < (max(FEW, 2 * self.limit) if self._refused else self.limit):
                return
            self._answers = self._refused = 0
            self.limit = max(1, min(self.most, self._next(share)))
            self._room.notify_all()

    def _next(self, share: float) -> int:
        served = self.limit * (1 - share)
        before, self._before = self._before, None
        if share <= _CALM:
            return self.limit + (1 if self._slow else self.limit)
        if before is not None and served < _KEPT * before[1]:
            # Fewer at a time were not refused less often.
            self._borne = share + 0.15
            return before[0]
        if share <= self._borne:
            return 2 * self.limit
        self._slow = True
        self._before = (self.limit, served)
        return self.limit // 2
