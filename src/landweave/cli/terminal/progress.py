"""Progress on a terminal: one row a stage; elsewhere one line a stage, when it is over."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import typer

from landweave.cli.terminal.speech import SPEECH

REPORT_EVERY = 10.0
"""Seconds between two lines of a stage, where there is no terminal and ``--verbose`` asks for them."""

_SOON = 2.0
"""Seconds before which no speed is shown: it would be that of the start."""


def duration(seconds: float) -> str:
    """A time span for people.

    >>> duration(0.2), duration(59.6), duration(185), duration(7500)
    ('0 s', '1 min 0 s', '3 min 5 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def about(seconds: float) -> str:
    """A time span as it may be promised, in words without false precision.

    >>> about(20), about(100), about(185), about(9000)
    ('under 1 min', 'about 2 min', 'about 3 min', 'about 2.5 h')
    """
    if seconds < 45:
        return "under 1 min"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.1f} h"


def rate(per_second: float) -> str:
    """A speed in a unit in which it is neither tiny nor long.

    >>> rate(25.5), rate(0.1), rate(1 / 600)
    ('1530 a minute', '6.0 a minute', '6.0 an hour')
    """
    unit, seconds = ("a minute", 60) if per_second * 60 >= 1 else ("an hour", 3600)
    value = per_second * seconds
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


@dataclass(kw_only=True)
class Row:
    """What is known of a stage under way."""

    stage: str
    began: float
    """Seconds, of the clock that is used throughout."""
    total: int = 0
    """Patches in all; 0 where the stage works on all at once."""
    before: int = 0
    """Patches that were up to date."""
    made: int = 0
    failed: int = 0
    at_work: bool = False
    """Whether anything had to be made."""
    unit: str = ""
    """What is counted."""
    reported: float = field(default=0.0)

    def pace(self, now: float) -> str:
        """Speed since the stage began, and the time left at that speed; empty while nobody can say."""
        seconds, handled = now - self.began, self.made + self.failed
        left = self.total - self.before - handled
        if handled < 2 or seconds < _SOON or left <= 0:
            return ""
        return f"{rate(handled / seconds)}, {about(left * seconds / handled)} left"

    def count(self) -> str:
        """How many are done."""
        return f"{self.before + self.made} of {self.total}{self.unit}" if self.total else ""

    def failures(self) -> str:
        """How many failed; empty where none did."""
        return f"{self.failed} failed" if self.failed else ""

    def last(self, now: float) -> str:
        """The line of the stage when it is over."""
        parts = [part for part in (self.count(), self.failures()) if part]
        return f"{self.stage:<11}{', '.join(parts) or 'done'} in {duration(now - self.began)}"


class Bars:
    """Rows of progress on stderr, one a stage.

    Parameters
    ----------
    clock
        Seconds, growing.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bars: Any = None
        self._rows: dict[str, Any] = {}
        self._row: Row | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not SPEECH.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                TextColumn("{task.description:<9}"), BarColumn(), TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(), TextColumn("{task.fields[pace]}"), console=Console(stderr=True),
            )  # fmt: skip
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._bars is not None:
            self._bars.stop()

    def tell(self, line: str) -> None:
        """Show a line above the rows."""
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            SPEECH.note(line)

    def start(self, stage: str, total: int, todo: int) -> None:
        """A stage begins; one that has begun before goes on in its row."""
        row = self._begin(stage, unit=" patches")
        row.total, row.before = total or row.total, total - todo if total else row.before
        row.at_work |= todo > 0
        if total:
            self._show()

    def once(self, stage: str) -> None:
        """What is done once begins."""
        self._begin(stage).at_work = True
        self._show()

    def advance(self, stage: str, failed: bool) -> None:
        """One patch is made, or has failed."""
        row = self._begin(stage)
        row.made, row.failed = row.made + (not failed), row.failed + failed
        self._show()

    def finish(self, stage: str) -> None:
        """The stage is over, or a part of it."""
        if self._bars is not None and stage in self._rows:
            row = self._begin(stage)
            self._bars.update(self._rows[stage], pace=row.failures())
            if not row.total:
                self._bars.update(self._rows[stage], total=1, completed=1)

    def counter(self, stage: str) -> Callable[[int, int], None]:
        """Return a function for work that counts itself, to be called with done and total."""

        def count(done: int, total: int) -> None:
            row = self._begin(stage)
            row.made, row.total, row.at_work = done, total, True
            self._show()

        return count

    def _begin(self, stage: str, unit: str = "") -> Row:
        if self._row is None or self._row.stage != stage:
            self._end()
            self._row = Row(stage=stage, began=self._clock(), unit=unit, reported=self._clock())
        return self._row

    def _end(self) -> None:
        if self._row is not None and self._row.at_work and self._bars is None:
            SPEECH.note(self._row.last(self._clock()))
        self._row = None

    def _show(self) -> None:
        row, now = self._row, self._clock()
        assert row is not None
        if self._bars is None:
            if SPEECH.verbose and now - row.reported >= REPORT_EVERY and row.total:
                row.reported = now
                parts = [part for part in (row.count(), row.failures(), row.pace(now)) if part]
                typer.echo(f"{row.stage:<11}{', '.join(parts)}", err=True)
            return
        # Without a total the bar moves on its own, as nobody knows how far such work is.
        shown: dict[str, Any] = {"count": row.count(), "pace": ", ".join(
            part for part in (row.failures(), row.pace(now)) if part
        )}  # fmt: skip
        if row.stage not in self._rows:
            self._rows[row.stage] = self._bars.add_task(row.stage, total=row.total or None, **shown)
        self._bars.update(
            self._rows[row.stage], total=row.total or None, completed=row.before + row.made + row.failed, **shown
        )
