"""The page of the command line: every command as its own ``--help`` explains it."""

import typer.main
from typer.testing import CliRunner

from landweave.cli.app import app


def page() -> str:
    """A heading and the help text of each command and subcommand, in Markdown."""
    parts = []
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        for words in [[name], *([name, below] for below in getattr(command, "commands", {}))]:
            shown = CliRunner().invoke(app, [*words, "--help"], terminal_width=66)
            text = shown.stdout.replace("Usage: root ", "Usage: landweave ").strip()
            parts.append(f"## landweave {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)
