"""What the commands ``landweave publish --dataset`` and ``landweave verify`` do in a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from landweave.cli.terminal.speech import SPEECH


def publish_dataset(
    project: Path, folder: Path, *, eopatches: bool, licence: str | None, allow_code: bool = False
) -> None:
    """Write the data set, and print its place and what is still missing."""
    from landweave.runs.publish.dataset import publish_dataset as publish

    written = publish(project, folder, eopatches=eopatches, licence=licence, allow_code=allow_code)
    SPEECH.say(f"Data set: {written}; README.md lists its content, `landweave verify {written}` checks it.")
    if licence is None:
        SPEECH.say("Its licence is not stated: publish again with --licence before you share it.")


def verify(
    folder: Annotated[Path, typer.Argument(help="A data set that `landweave publish --dataset` wrote.")],
    again: Annotated[
        bool,
        typer.Option("--again", help="Read all files again, also those that an interrupted check has found intact."),
    ] = False,
) -> None:
    """Check every file of a data set against its checksum; an interrupted check resumes."""
    from landweave.maps.dataset import verify as check

    found = check(folder, again=again)
    for what, names in (("damaged", found.damaged), ("missing", found.missing)):
        for name in names:
            SPEECH.say(f"{what:<9}{name}")
    if found.strange:
        SPEECH.say(f"{len(found.strange)} more files do not belong to the data set, such as {found.strange[0]}.")
    before = (
        f", {found.files - found.read - len(found.missing)} of them by an earlier check"
        if found.read < found.files - len(found.missing)
        else ""
    )
    if found.sound:
        SPEECH.say(f"{folder}: all {found.files} files are unchanged since publication{before}.")
        return
    bad = len(found.damaged) + len(found.missing)
    # An error, so that it is said in any case; on stdout with the files that it counts.
    line = f"{folder}: {bad} of {found.files} files are missing or damaged; get them again."
    (SPEECH.warn if SPEECH.quiet else SPEECH.say)(line)
    raise typer.Exit(1)
