"""What `landweave init` finds out, and how it is written as keys of a project file."""

import datetime
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

_WIDEST = 117
_COMMENT = 37
"""Column of the comments in a project file."""


@dataclass(frozen=True, kw_only=True)
class KeyLine:
    """A key of the project file, with what it means."""

    key: str
    value: Any
    """Text, number, date or list of such."""

    comment: str = ""
    off: bool = False
    """Written as a comment: an example, or what could not be found out."""

    @property
    def line(self) -> str:
        """The line of the file."""
        text = f"{'# ' if self.off else ''}{self.key} = {toml_value(self.value)}"
        if self.comment and len(text) + len(self.comment) > _WIDEST:
            return f"# {self.comment[0].upper()}{self.comment[1:]}:\n{text}"
        return f"{text:<{_COMMENT - 1}} # {self.comment}" if self.comment else text


@dataclass(frozen=True, kw_only=True)
class ImagesFound:
    """What is known of the imagery."""

    source: tuple[KeyLine, ...]
    """Keys of ``[source]``."""

    bands: tuple[str, ...]
    """Bands of use."""

    days: tuple[datetime.date, ...] = ()
    """Dates, rising; none where they are not known before the archive is asked."""

    static: tuple[str, ...] = ()
    """Layers without time, as paths for the project file."""

    table: str | None = None
    """Content of a table of images to write beside the project file."""

    grids: tuple[GeoBox, ...] = ()
    """The grid of the images, or those of their patches."""

    patches: bool = False
    """The images come in patches of their own."""

    found: tuple[str, ...] = ()
    """Sentences for the user: what was found."""

    open: tuple[str, ...] = ()
    """Sentences for the user: what could not be found out, with the key to fill in."""


@dataclass(frozen=True, kw_only=True)
class LabelsFound:
    """What is known of the labels."""

    table: str
    """``reference`` or ``training``."""

    entries: tuple[KeyLine, ...]
    """Keys of that table, without the legend."""

    codes: Mapping[str, int] = field(default_factory=dict)
    """Code to how often it occurs, in the legend's order."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Code to the name of its class, where that is another."""

    colors: Mapping[str, str] = field(default_factory=dict)
    """Code to its colour, where the file has one."""

    ignored: tuple[str, ...] = ()
    """Codes that mean no data."""

    unit: str = "features"
    """What is counted."""

    bands: tuple[str, ...] = ()
    """Of a table of series its bands."""

    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north, degrees, where known."""

    found: tuple[str, ...] = ()
    """As for the images."""

    open: tuple[str, ...] = ()
    """As for the images."""


def toml_value(value: Any) -> str:
    """A value as TOML writes it.

    >>> toml_value(["B04", 1e-4, True])
    '["B04", 0.0001, true]'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def path_from(folder: Path, path: Path) -> str:
    """A path for a project file: relative where the file is in the project's folder or near it, else absolute."""
    there, here = path.resolve(), folder.resolve()
    near = os.path.relpath(there, here)
    shared = os.path.commonpath([there, here])
    return Path(near).as_posix() if near.count("..") <= 2 and Path(shared) != Path(here.anchor) else there.as_posix()


def some_of(words: Sequence[str], most: int = 8) -> str:
    """The first words, and how many more there are."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def some_things(number: int, what: str) -> str:
    """A number of things in words.

    >>> some_things(1, "image"), some_things(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {what}{'s' * (number != 1)}"
