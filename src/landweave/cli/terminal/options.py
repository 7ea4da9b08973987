"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ProjectFile = Annotated[Path, typer.Argument(help="Project file, or the folder that holds landweave.toml.")]

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Number of processes (default: one per core, limited by memory); 1 works in this process."
    ),
]

Memory = Annotated[str | None, typer.Option(help="Memory limit per worker, such as 2GB.")]

AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Import any function or class that the project names; it may do anything.")
]

CheckFiles = Annotated[
    bool, typer.Option("--check-files", help="Read all files, not only those whose size or times have changed.")
]

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of lines; `landweave schema` describes it.")
]


def planned(memory: str | None = None) -> int:
    """How many processes work where the user names no number."""
    from landweave.engine.machine import planned_workers

    return planned_workers(memory)
