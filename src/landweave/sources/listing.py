"""Which files hold which observation: from a pattern of names or from a table, before any file is opened."""

import glob
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from landweave.errors import InputError

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
        For an unknown field, a pattern that matches nothing, or a date that cannot be read.
    """
    names = [name for name, _ in _FIELD.findall(pattern)]
    for name in names:
        if name not in FIELDS:
            raise InputError(
                f"Pattern {pattern!r} has the field {{{name}}}; known fields: "
                f"{', '.join('{' + field + '}' for field in FIELDS)}."
            )
    wide = str(Path(glob.escape(str(root))) / _FIELD.sub("*", pattern))
    # Path.glob takes no pattern that starts at the root.
    paths = sorted(path for path in map(Path, glob.glob(wide, recursive=True)) if path.is_file())  # noqa: PTH207
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
        entries.append(
            ListedFile(
                path=path,
                moment=moments.get("date", moments.get("start")),
                variable=match.groupdict().get("variable_0"),
                where=f"pattern {pattern!r}",
            )
        )
    if not entries:
        raise InputError(f"Pattern {pattern!r} matches no file under {root}; check the folder and the names.")
    return entries


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
        if not row["path"]:
            raise InputError(f"{where}: no path; give the file.")
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
    if not entries:
        raise InputError(f"{table}: the table has no rows; give one row per file or band.")
    return entries


def read_moment(text: str, where: str, form: str | None = None) -> datetime:
    """A date or time as UTC without zone; ISO 8601, or ``form`` as for ``strptime``; InputError names ``where``.

    >>> read_moment("2018-04-29T12:30:00+02:00", "here").isoformat()
    '2018-04-29T10:30:00'
    """
    try:
        moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007
    except ValueError:
        raise InputError(f"{where}: {text!r} is not a date as {form or 'YYYY-MM-DD'}; correct it.") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _rows(table: Path) -> Iterator[dict[str, str]]:
    import pandas as pd

    if not table.is_file():
        raise InputError(f"{table}: no such table of images.")
    try:
        if table.suffix.lower() in {".parquet", ".pq"}:
            frame = pd.read_parquet(table)
        else:
            frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise InputError(f"{table}: not readable as a table: {_first_line(error)}.") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    missing = [name for name in COLUMNS[:3] if name not in frame.columns]
    if missing:
        raise InputError(f"{table}: no column {missing[0]!r}; it has {', '.join(frame.columns)}.")
    known = [name for name in COLUMNS if name in frame.columns]
    for values in zip(*(frame[name] for name in known), strict=True):
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
        return float(text)
    except ValueError:
        raise InputError(f"{where}: {name} is {text!r}; give a number.") from None


def _moment_of(path: Path, name: str, pattern: str, groups: Mapping[str, str]) -> datetime:
    # A date may stand in several places (folder and file); the fullest of them says it.
    forms = [form for field, form in _FIELD.findall(pattern) if field == name]
    best = max(range(len(forms)), key=lambda i: (not forms[i], forms[i].count("%"), -i))
    return read_moment(groups[f"{name}_{best}"], str(path), forms[best] or None)


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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
