"""What a user can mend, and what only the machine can: two kinds of errors that must not be taken for each other."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MACHINE = frozenset({
    errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE,
    errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV, errno.EHOSTDOWN,
})  # fmt: skip
"""Numbers of errors that say nothing about a file's content: disks, quotas, open files, memory, lost file servers."""


NO_WINDOWS = (
    "landweave runs on Linux and macOS. On Windows run it in WSL: https://learn.microsoft.com/windows/wsl/install"
)
"""What is said on a system without POSIX locks."""


class InputError(ValueError):
    r"""What the user gave cannot be used.

    The message is one line that says what was given, where (file, key, band, date, patch) and what to do.
    The command line prints it and exits with status 2.

    A name from a file may contain line breaks or commands to a terminal; each becomes a space.

    >>> str(InputError("item 'a\n\x1b[2Jb': no assets"))
    "item 'a [2Jb': no assets"
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(message)).strip())


def parsed(read: Callable[[str], Any], text: str) -> Any:
    """What a parser, such as ``json.loads``, makes of a text; ValueError also for what is nested too deeply for it.

    >>> import json
    >>> parsed(json.loads, "[1]")
    [1]
    """
    try:
        return read(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def meant(path: str | bytes | int) -> str:
    """The file that is meant by the name of one that is written beside it until it is whole.

    >>> meant("out/.map.1a2b3c4d.part.tif"), meant("out/map.tif")
    ('out/map.tif', 'out/map.tif')
    """
    text = os.fsdecode(path) if isinstance(path, str | bytes) else f"file {path}"
    return re.sub(r"(^|/)\.([^/]+?)\.[0-9a-f]{8}\.part(?=[./]|$)", r"\1\2", text)


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Give errors of the machine the name of the file that is read or written within.

    Raises
    ------
    OSError
        The same error with ``filename``, where it had none.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror or os.strerror(error.errno), str(path)) from error
        raise


def blame_machine(path: str | Path, error: BaseException | None = None) -> None:
    """Raise where a file could not be read because of the machine, so that nobody replaces a sound file.

    Parameters
    ----------
    path
        A file or folder that a library found unreadable. Files are read again from the first to the last byte.
    error
        What the library raised.

    Raises
    ------
    OSError
        With errno, reason and file name, when the disk, a quota, or the limit of open files is the cause.
    """
    said = str(error) if error is not None else ""
    numbers = [error.errno] if isinstance(error, OSError) else []
    numbers += [number for number in sorted(MACHINE) if os.strerror(number) in said]
    for number in numbers:
        if number in MACHINE:
            raise OSError(number, os.strerror(number), str(path)) from error
    try:
        with Path(path).open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError as again:
        if again.errno in MACHINE:
            raise OSError(again.errno, again.strerror, str(path)) from error
