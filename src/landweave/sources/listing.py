"""Which files hold which observation: from a pattern of names or from a table, before any file is opened."""

import difflib
import glob
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from landweave.errors import InputError
from landweave.patch.tables.dates import check_format, read_moment, same_day
from landweave.patch.tables.reading import read_table_file

FIELDS = ("date", "start", "end", "variable")
"""What may stand in braces in a pattern."""

COLUMNS = ("date", "variable", "path", "band", "scale", "offset", "nodata")
"""Columns of a table of images; the first three are needed."""

_FIELD = re.compile(r"\{(\w*)(?::([^{}]*))?\}")
_DIGITS = {"Y": r"\d{4}", "m": r"\d{2}", "d": r"\d{2}", "j": r"\d{3}", "H": r"\d{2}", "M": r"\d{2}", "S": r"\d{2}"}


@dataclass(frozen=True, kw_only=True)
class ListedFile:
    """One file, or one band of it, as the user describes it."""

    path: Path
    """The file."""

    moment: datetime | None
    """When it was taken (UTC, without zone); None: the file's band descriptions are dates."""

    variable: str | None
    """What it shows; None: the file's band descriptions are names."""

    where: str
    """Where the user said so, for messages."""

    band: str | None = None
    """Number from 1, or description, of the band; None: the only one."""

    scale: float | None = None
    """Reflectance per digital number, where given."""

    offset: float | None = None
    """Reflectance of digital number 0, where given."""

    nodata: float | None = None
    """Digital number that means missing, where given."""


def list_pattern(root: Path, pattern: str) -> list[ListedFile]:
    """Files whose names fit a pattern.

    Parameters
    ----------
    root
        Folder that a relative pattern starts from.
    pattern
        A glob (``*``, ``?``, ``[...]``, ``**``) with ``{date:%Y-%m-%d}`` or ``{start:...}`` and ``{end:...}``, and
        ``{variable}``. Without a format a date is ISO 8601. An observation's date is ``{date}``, else ``{start}``.

    Returns
    -------
    list of ListedFile
        Sorted by path.

    Raises
    ------
    InputError
        For an unknown field, a date format without a year, a pattern that matches nothing, a date that cannot be read
        or that the name gives twice and differently, or an end before its start.
    """
    names = [name for name, _ in _FIELD.findall(pattern)]
    for name in names:
        if name not in FIELDS:
            raise InputError(
                f"Pattern {pattern!r} has the field {{{name}}}; known fields: "
                f"{', '.join('{' + field + '}' for field in FIELDS)}."
            )
    for _, form in _FIELD.findall(pattern):
        if form:
            check_format(form, f"Pattern {pattern!r}")
    wide = str(Path(glob.escape(str(root))) / _FIELD.sub("*", pattern))
    # Path.glob takes no pattern that starts at the root.
    found = sorted(map(Path, glob.glob(wide, recursive=True)))  # noqa: PTH207
    store = cache(_is_zarr)
    # Files of a Zarr are chunks, whatever their names look like.
    paths = [path for path in found if path.is_file() and not any(store(parent) for parent in path.parents)]
    strict, loose = _expression(pattern, strict=True), _expression(pattern, strict=False)
    base = "" if Path(pattern).is_absolute() else str(root).rstrip("/") + "/"
    entries = []
    for path in paths:
        text = str(path).removeprefix(base)
        match = strict.fullmatch(text) or loose.fullmatch(text)
        if match is None:
            continue
        moments = {
            name: _moment_of(path, name, pattern, match.groupdict())
            for name in ("date", "start", "end")
            if name in names
        }
        if "start" in moments and "end" in moments and moments["end"] < moments["start"]:
            raise InputError(
                f"{path}: ends on {moments['end'].date()}, before it starts on {moments['start'].date()}; correct the "
                "name, or exchange {start} and {end} in the pattern."
            )
        entries.append(
            ListedFile(
                path=path,
                moment=moments.get("date", moments.get("start")),
                variable=match.groupdict().get("variable_0"),
                where=f"pattern {pattern!r}",
            )
        )
    if not entries and found and not paths:
        _refuse_folders(pattern, next((part for part in (found[0], *found[0].parents) if store(part)), found[0]))
    if not entries:
        raise InputError(f"Pattern {pattern!r} matches no file under {root}; check the folder and the names.")
    return entries


def _refuse_folders(pattern: str, folder: Path) -> None:
    """InputError for a pattern that matches folders alone, with the way to read them where there is one."""
    if folder.suffix == ".zarr" or _is_zarr(folder):
        advice = (
            'a Zarr; read a data set of landweave by type = "stac" with url = its collection.json, and write other '
            "Zarr as GeoTIFF"
        )
    else:
        advice = "a folder; name the files in it, such as folder/*.tif"
    raise InputError(f"Pattern {pattern!r} matches no file: {folder} is {advice}.")


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def list_table(table: Path) -> list[ListedFile]:
    """Rows of a CSV or Parquet table with date, variable, path[, band, scale, offset, nodata].

    Relative paths start from the table's folder. A row without a variable is a file whose band descriptions are
    the variables.

    Raises
    ------
    InputError
        For a missing or unreadable table, a missing column, or a cell that cannot be read (with its row).
    """
    entries = []
    for number, row in enumerate(_rows(table), start=1):
        where = f"{table}, row {number}"
        for name in ("path", "date"):
            if not row[name]:
                raise InputError(f"{where}: no {name}; fill it in or remove the row.")
        numbers = {name: _number(row.get(name, ""), name, where) for name in ("scale", "offset", "nodata")}
        if numbers["scale"] == 0:
            raise InputError(f"{where}: scale is 0; give reflectance per digital number, such as 1e-4.")
        entries.append(
            ListedFile(
                path=table.parent / row["path"],
                moment=read_moment(row["date"], where),
                variable=row["variable"] or None,
                band=row.get("band") or None,
                where=where,
                **numbers,
            )
        )
    return entries


def _rows(table: Path) -> Iterator[dict[str, str]]:
    read = read_table_file(table, "table of images")
    known: dict[str, str] = {}
    for name in read.frame.columns:
        folded = name.lower()
        if folded in known:
            raise InputError(f"{table}: the columns {known[folded]!r} and {name!r} both could be {folded!r}; keep one.")
        if folded in COLUMNS:
            known[folded] = name
    for name in COLUMNS[:3]:
        if name not in known:
            raise InputError(f"{table}: no column {name!r}; it has {', '.join(read.frame.columns)}.")
    for name in read.frame.columns:
        meant = difflib.get_close_matches(name.lower().replace("_", ""), set(COLUMNS) - set(known), n=1, cutoff=0.75)
        if name.lower() not in known and meant:
            raise InputError(f"{table}: unknown column {name!r}; did you mean {meant[0]!r}?")
    for values in zip(*(read.frame[name] for name in known.values()), strict=True):
        yield {name: _text(value) for name, value in zip(known, values, strict=True)}


def _text(value: Any) -> str:
    if value is None or value != value or str(value) == "NaT":  # noqa: PLR0124 (NaN is what differs from itself)
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _number(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text) if "_" not in text else None
    except ValueError:
        number = None
    # Rasters of decimals may mark missing pixels by NaN or infinity; a scale cannot be one.
    if number is None or (name != "nodata" and not math.isfinite(number)):
        raise InputError(f"{where}: {name} is {text!r}; give a number, with a point for decimals.")
    return number


def _moment_of(path: Path, name: str, pattern: str, groups: Mapping[str, str]) -> datetime:
    # A date may stand in several places (folder and file); the fullest of them says it, the others must agree.
    forms = [form or None for field, form in _FIELD.findall(pattern) if field == name]
    best = max(range(len(forms)), key=lambda i: (not forms[i], (forms[i] or "").count("%"), -i))
    moment = read_moment(groups[f"{name}_{best}"], str(path), forms[best])
    for number, form in enumerate(forms):
        text = groups[f"{name}_{number}"]
        if number != best and not same_day(text, form, moment):
            raise InputError(
                f"{path}: {{{name}}} is {groups[f'{name}_{best}']!r} in one place and {text!r} in another; correct the "
                "name, or put * in the pattern for the one that is no date."
            )
    return moment


def _expression(pattern: str, *, strict: bool) -> re.Pattern[str]:
    parts, position, seen = [], 0, dict.fromkeys(FIELDS, 0)
    for match in _FIELD.finditer(pattern):
        parts.append(_glob_expression(pattern[position : match.start()]))
        name, form = match.groups()
        inner = _form_expression(form) if strict and form else r"[^/]+?"
        if name == "variable" and seen[name]:
            parts.append("(?P=variable_0)")
        else:
            parts.append(f"(?P<{name}_{seen[name]}>{inner})")
        seen[name] += 1
        position = match.end()
    parts.append(_glob_expression(pattern[position:]))
    return re.compile("".join(parts))


def _form_expression(form: str) -> str:
    pieces = re.split(r"%(.)", form)
    return "".join(_DIGITS.get(p, r"[^/]+?") if i % 2 else re.escape(p) for i, p in enumerate(pieces))


def _glob_expression(text: str) -> str:
    tokens = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    parts = []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", text.removeprefix("./")):
        if piece in tokens:
            parts.append(tokens[piece])
        elif piece.startswith("[") and piece.endswith("]"):
            parts.append(piece.replace("[!", "[^", 1))
        else:
            parts.append(re.escape(piece))
    return "".join(parts)
