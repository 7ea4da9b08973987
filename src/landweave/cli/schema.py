"""The command ``landweave schema``: what the JSON documents of the other commands hold."""

from importlib.resources import files
from typing import Annotated

import typer

from landweave.cli.terminal.speech import SPEECH
from landweave.errors import InputError

NAMES = (
    "check", "forecast", "run", "status", "compare", "evaluate", "estimate-size", "estimate-draw", "estimate-accuracy",
    "estimate-compare",
)  # fmt: skip
"""Commands with ``--json``; the files of their schemas lie in ``schemas``."""


def schema(
    name: Annotated[
        str | None, typer.Argument(help="Command, such as status or estimate-size.", autocompletion=lambda: list(NAMES))
    ] = None,
) -> None:
    """Print the JSON Schema of a command's --json, or list the commands that have one."""
    if name is None:
        SPEECH.say(NAMES)
        return
    SPEECH.say(schema_text(name).rstrip("\n"))


def schema_text(name: str) -> str:
    """A JSON Schema (draft 2020-12) as text; InputError for a command without one."""
    if name not in NAMES:
        raise InputError(f"landweave schema {name}: there are schemas for {', '.join(NAMES)}.")
    return (files("landweave.cli") / "schemas" / f"{name}.json").read_text(encoding="utf-8")
