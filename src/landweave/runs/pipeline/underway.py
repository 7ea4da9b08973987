"""How far a run is, for whoever asks from another process: written by the run, read by `landweave status`."""

import time
from pathlib import Path
from typing import Any

from landweave.engine.ledger import Ledger
from landweave.engine.lock import holder
from landweave.runs import layout
from landweave.runs.pipeline.outcome import Progress


class Underway:
    """Progress of a run that is also kept in the lock's record; it passes everything on."""

    def __init__(self, ledger: Ledger, shown: Progress) -> None:
        self._ledger, self._shown = ledger, shown
        self._state: dict[str, Any] = {"since": int(time.time())}

    def tell(self, line: str) -> None:
        """Something to know before the work begins."""
        self._shown.tell(line)

    def start(self, stage: str, total: int, todo: int) -> None:
        """A stage begins."""
        again = self._state.get("stage") == stage
        since = self._state["stage_since"] if again else int(time.time())
        done = {"done": total - todo, "total": total, "failed": 0} if total else {}
        self._state = {"since": self._state["since"], "stage": stage, "stage_since": since, **done}
        self._ledger.say(self._state, now=not again)
        self._shown.start(stage, total, todo)

    def once(self, stage: str) -> None:
        """What is done once in a stage begins."""
        self._ledger.say(self._state, now=True)
        self._shown.once(stage)

    def advance(self, stage: str, failed: bool) -> None:  # noqa: FBT001 - as in the protocol
        """One patch is made, or has failed."""
        self._state["failed" if failed else "done"] += 1
        self._ledger.say(self._state)
        self._shown.advance(stage, failed)

    def finish(self, stage: str) -> None:
        """The stage is over."""
        self._shown.finish(stage)


_: type[Progress] = Underway


def under_way(folder: Path) -> dict[str, Any] | None:
    """The run that works in an output folder now; None where none does.

    Returns
    -------
    dict or None
        ``pid`` and ``host`` of its main process; ``seen``: False where it is on another machine, so that it may have
        died unnoticed; ``since`` and ``stage_since``: seconds since 1970, UTC; ``stage``, and of a stage that works
        patch by patch ``done``, ``total`` and ``failed``. What is not known is None.
    """
    found = holder((folder / layout.LEDGER).with_suffix(".lock"))
    if found is None:
        return None
    names = {"since": int, "stage": str, "stage_since": int, "done": int, "total": int, "failed": int}
    said = found["progress"]
    known = {name: said.get(name) if isinstance(said.get(name), kind) else None for name, kind in names.items()}
    return {"pid": found["pid"], "host": found["host"], "seen": found["seen"], **known}
