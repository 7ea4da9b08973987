"""What a command prints and where: answers on stdout, everything else on stderr, as much as was asked for."""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import typer

FORM = 1
"""Of the JSON documents; raised when a key is renamed, removed or means something else."""


class Speech:
    """How much is said: ``--quiet`` only errors and what was asked for as JSON, ``--verbose`` also how work goes on."""

    def __init__(self) -> None:
        self.quiet = self.verbose = False

    def ask(self, *, quiet: bool, verbose: bool) -> None:
        """Set how much is said; called for every command, so that one does not inherit from another."""
        self.quiet, self.verbose = quiet and not verbose, verbose
        level = logging.ERROR if self.quiet else logging.DEBUG if verbose else logging.NOTSET
        logging.getLogger("landweave").setLevel(level)
        if verbose and not logging.getLogger("landweave").handlers:
            shown = logging.StreamHandler()
            shown.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
            logging.getLogger("landweave").addHandler(shown)

    def say(self, lines: str | Iterable[str]) -> None:
        """Print the answer on stdout."""
        for line in () if self.quiet else [lines] if isinstance(lines, str) else lines:
            typer.echo(line)

    def note(self, line: str) -> None:
        """Print on stderr what is good to know."""
        if not self.quiet:
            typer.echo(line, err=True)

    def warn(self, line: str) -> None:
        """Print on stderr what must be known, also with ``--quiet``."""
        typer.echo(line, err=True)

    def answer(self, command: str, facts: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
        """Print the answer of a command: one JSON document with ``facts``, or ``lines``."""
        if as_json:
            typer.echo(json.dumps(document(command, facts), indent=2, ensure_ascii=False, allow_nan=False))
        else:
            self.say(lines)


def document(command: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON document of a command: its name, the form of the document, and the facts.

    Numbers that are not finite become None, as JSON has none.
    """
    from landweave import __version__

    return {"command": command, "form": FORM, "landweave": __version__, **_plain(facts)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


SPEECH = Speech()
"""Of this process."""
