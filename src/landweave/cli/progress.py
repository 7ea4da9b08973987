"""Progress on a terminal: one bar per stage."""

import sys
from collections.abc import Callable
from typing import Any, Self

import typer


class Bars:
    """Progress bars, one row per stage, if stderr is a terminal; else silent."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._rows: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[rate]}"),
                TextColumn("{task.fields[note]}"), console=Console(stderr=True),
            )  # fmt: skip
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def tell(self, line: str) -> None:
        """Print a line before the work begins."""
        typer.echo(line)

    def start(self, stage: str, total: int, todo: int) -> None:
        """A stage begins."""
        if self._bars is not None:
            self._rows[stage] = self._bars.add_task(stage, total=total, completed=total - todo, note="", rate="")

    def advance(self, stage: str, failed: bool) -> None:
        """One thing is made, or has failed."""
        if self._bars is not None:
            row = self._rows[stage]
            self._bars.advance(row)
            speed = self._bars.tasks[row].speed
            self._bars.update(row, rate=f"{60 * speed:.3g} a minute" if speed else "")
            if failed:
                self._bars.update(self._rows[stage], note="with failures")

    def finish(self, stage: str) -> None:
        """The stage is over."""
        if self._bars is not None and stage in self._rows:
            row = self._rows[stage]
            total = self._bars.tasks[row].total
            if not self._bars.tasks[row].fields["note"]:
                self._bars.update(row, completed=total)

    def counter(self, stage: str) -> Callable[[int, int], None]:
        """Return a function for work that counts itself, to be called with done and total."""

        def count(done: int, total: int) -> None:
            if self._bars is not None:
                if stage not in self._rows:
                    self.start(stage, total, total)
                self._bars.update(self._rows[stage], completed=done, total=total)

        return count
