"""What the commands ``landweave publish --dataset`` and ``landweave verify`` do in a terminal."""

from pathlib import Path
from typing import Annotated

import typer


def publish_dataset(
    project: Path, folder: Path, *, eopatches: bool, licence: str | None, allow_code: bool = False
) -> None:
    """Write the data set, and say where, and what is still to be done."""
    from landweave.runs.publish.dataset import publish_dataset as publish

    written = publish(project, folder, eopatches=eopatches, licence=licence, allow_code=allow_code)
    typer.echo(f"{written}: the data set; README.md tells what is in it, `landweave verify {written}` checks it.")
    if licence is None:
        typer.echo("Its licence is not stated: publish again with --licence, before you share it.")


def verify(
    folder: Annotated[Path, typer.Argument(help="A data set that `landweave publish --dataset` wrote.")],
    again: Annotated[bool, typer.Option("--again", help="Read also what an interrupted check found sound.")] = False,
) -> None:
    """Hold every file of a data set against its checksum; an interrupted check goes on where it was."""
    from landweave.maps.dataset import verify as check

    found = check(folder, again=again)
    for what, names in (("damaged", found.damaged), ("missing", found.missing)):
        for name in names:
            typer.echo(f"{what:<9}{name}")
    if found.strange:
        typer.echo(f"{len(found.strange)} more files are not of the data set, such as {found.strange[0]}.")
    before = (
        f", {found.files - found.read - len(found.missing)} of them by an earlier check"
        if found.read < found.files - len(found.missing)
        else ""
    )
    if found.sound:
        typer.echo(f"{folder}: all {found.files} files are as they were published{before}.")
        return
    bad = len(found.damaged) + len(found.missing)
    typer.echo(f"{folder}: {bad} of {found.files} files are not as they were published; get them again.")
    raise typer.Exit(1)
