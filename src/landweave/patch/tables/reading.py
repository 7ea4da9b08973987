"""The one reader of tables: CSV and Parquet, with the reason and the row of whatever cannot be read."""

import codecs
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from landweave.errors import InputError, blame_machine

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PARQUET, CSV = frozenset({".parquet", ".geoparquet", ".pq"}), frozenset({".csv", ".txt", ".tsv", ".tab"})
"""Endings of the two kinds; all that is not Parquet is read as CSV."""

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_PACKED = frozenset({".gz", ".bz2", ".xz"})
_CHUNK = 50_000

COMMA_NUMBER = re.compile(r"[+-]?([0-9]*,)?[0-9]+([eE][+-]?[0-9]+)?")
"""A whole number, or one with a decimal comma."""

_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"
_MARKS = {
    b"PK\x03\x04": "a spreadsheet or a zip file; export it as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel file; export it as CSV in UTF-8",
    b"SQLite format 3": "a database; give a CSV or Parquet file",
    b"PAR1": "a Parquet file; let its name end in .parquet",
    b"\x1f\x8b": "compressed; let its name end in .gz, or unpack it",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as it stands in its file; made by :func:`read_table_file`."""

    path: Path
    """The file."""

    frame: "pd.DataFrame"
    """All columns, in the order of the file. Of a CSV all are text, without blanks around, "" where a cell is empty;
    of Parquet they have the types of the file. Names are text without blanks around, each once."""

    separator: str | None = None
    """Of a CSV what is between its cells."""

    decimal: str = "."
    """Of a CSV "," where its numbers have decimal commas: its cells are separated by something else, and a column holds
    nothing but numbers with commas, one of which cannot be thousands, as 1,234 could."""

    rows: "np.ndarray | None" = None
    """Where each row stands in the file, counted from 0, where rows were chosen."""

    def where(self, position: int) -> str:
        """File and row of a position, counted from 1 below the header, for messages."""
        return f"{self.path}, row {(position if self.rows is None else int(self.rows[position])) + 1}"

    def take(self, positions: "np.ndarray") -> "Table":
        """Some rows, int64 (row,), in that order."""
        rows = positions if self.rows is None else self.rows[positions]
        return replace(self, frame=self.frame.iloc[positions].reset_index(drop=True), rows=rows)

    def column(self, name: str, why: str = "") -> "pd.Series":
        """A column by its name; InputError lists the names that exist, and says why it is needed."""
        if name not in self.frame:
            raise InputError(f"{self.path}: no column {name!r}{why}; it has {', '.join(self.frame.columns)}.")
        return self.frame[name]


def packed_suffix(path: Path) -> str:
    """The ending of a file, of a packed one that of what is in it: ``.csv`` of ``points.csv.gz``."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in _PACKED else path.suffix.lower()


def read_table_file(
    path: str | Path, what: str = "table", *, encoding: str | None = None, of: str | None = None
) -> Table:
    """Read a table.

    Parameters
    ----------
    path
        Parquet, by its ending; else CSV in UTF-8 with or without a mark or in UTF-16 with one, with commas, semicolons,
        tabs or bars between the cells (found by the header), plain or packed by gzip, bzip2 or xz.
    what
        What the table is, for messages.
    encoding
        Of a CSV that is not in UTF-8, such as ``cp1252``.
    of
        Where the user may say the encoding, for messages: ``"reference."``.

    Raises
    ------
    InputError
        For a file that is missing, empty or not readable, with the reason: its encoding, or the row that has more or
        fewer cells than the header; for two columns of one name; for a table without rows.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such {what}.")
    frame, separator, decimal = (
        (_parquet(path), None, ".") if path.suffix.lower() in PARQUET else _csv(path, encoding, of)
    )
    names = [str(name).strip() for name in frame.columns]
    # Text of a file that pandas wrote with its index has no name there.
    names = [name or f"Unnamed: {number}" for number, name in enumerate(names)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: two columns are called {twice[0]!r}; rename or remove one of them.")
    frame.columns = pd.Index(names, dtype=object)
    if frame.empty:
        raise InputError(f"{path}: the {what} is empty: it has no rows below its header.")
    return Table(path=path, frame=frame, separator=separator, decimal=decimal)


def _parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError, NotImplementedError, KeyError) as error:
        blame_machine(path, error)
        raise InputError(f"{path}: not readable as a table in Parquet: {_first_line(error)}.") from None
    # An index with a name is a column that its writer set aside, such as sample_id.
    named = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(level=named) if named and not set(named) & set(frame.columns) else frame
    return frame.reset_index(drop=True)


def _csv(path: Path, encoding: str | None, of: str | None) -> "tuple[pd.DataFrame, str, str]":
    """The table, what separates its cells, and its decimal point."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    with _opened(path, encoding, of) as lines:
        separator, header, rows = _header(path, lines)
        width = len(header)
        parts = []
        for first in itertools.count(step=_CHUNK):
            chunk = list(itertools.islice(_whole_rows(path, rows, width, separator, first), _CHUNK))
            if not chunk:
                break
            cells = zip(*chunk, strict=True)
            parts.append([pc.utf8_trim_whitespace(pa.array(column, pa.string())) for column in cells])
    columns = [pa.chunked_array(pieces) for pieces in zip(*parts, strict=True)] if parts else []
    # A separator at the end of each line makes a column without name and without cells.
    kept = [i for i, name in enumerate(header) if name.strip() or (columns and pc.any(pc.not_equal(columns[i], "")))]
    if not columns:
        return pd.DataFrame(columns=[header[i] for i in kept]), separator, "."
    decimal = "," if separator != "," and any(map(_shows_commas, columns)) else "."
    frame = pd.DataFrame({number: columns[i].to_pandas() for number, i in enumerate(kept)})
    frame.columns = pd.Index([header[i] for i in kept], dtype=object)
    return frame, separator, decimal


def _shows_commas(column: Any) -> bool:
    """Whether a column of text holds decimal commas, beyond doubt."""
    import pyarrow.compute as pc

    with_comma = column.filter(pc.match_substring(column, ","))
    if not len(with_comma) or not pc.all(pc.match_substring_regex(with_comma, f"^{COMMA_NUMBER.pattern}$")).as_py():
        return False
    return not pc.all(pc.match_substring_regex(with_comma, _THOUSANDS)).as_py()


@contextmanager
def _opened(path: Path, encoding: str | None, of: str | None) -> Iterator[Iterator[str]]:
    """Lines of text; what goes wrong while they are read becomes an InputError."""
    import bz2
    import gzip
    import lzma

    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    packed = openers.get(path.suffix.lower())
    try:
        form = "utf-8-sig" if encoding is None else codecs.lookup(encoding).name
    except LookupError:
        raise InputError(f"{path}: unknown encoding {encoding!r}; give one such as utf-8 or cp1252.") from None
    try:
        with path.open("rb") as raw:
            start = raw.read(16)
        for mark, reason in _MARKS.items():
            if start.startswith(mark) and packed is None and encoding is None:
                raise InputError(f"{path}: the file is {reason}.")
        if encoding is None and start[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            form = "utf-16"
        file = (packed or open)(path, "rt", encoding=form, errors="surrogateescape", newline="")
        with cast("IO[str]", file) as lines:
            yield _counted(path, lines, encoding or "UTF-8", of)
    except (OSError, EOFError, lzma.LZMAError) as error:
        blame_machine(path, error)
        raise InputError(f"{path}: not readable: {_first_line(error)}.") from None


def _counted(path: Path, lines: IO[str], encoding: str, of: str | None) -> Iterator[str]:
    try:
        for number, line in enumerate(lines, start=1):
            if "\0" in line:
                raise InputError(f"{path}, line {number}: a zero byte, so no text in UTF-8; save it as CSV in UTF-8.")
            # Bytes that are no text arrive as lone surrogates, in the line where they stand.
            wrong = None if line.isascii() else re.search("[\udc80-\udcff]", line)
            if wrong:
                raise InputError(
                    f"{path}, line {number}: byte 0x{ord(wrong[0]) - 0xDC00:02x} is no text in {encoding}; save the "
                    f"file in UTF-8 (Excel: 'CSV UTF-8'){'' if of is None else f', or set {of}encoding'}."
                )
            yield line
    except UnicodeError as error:
        raise InputError(f"{path}: no text in {encoding}: {_first_line(error)}; save the file in UTF-8.") from None


def _header(path: Path, lines: Iterator[str]) -> tuple[str, list[str], Iterator[list[str]]]:
    """The separator, the names of the columns, and the rows below."""
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise InputError(f"{path}: the file is empty.")
    told = re.fullmatch(r"sep=(.)\s*", first)
    if told:
        first = next(lines, "")
    ahead = [first, *itertools.islice(lines, 20)]
    separator = told[1] if told else _separator(path, ahead)
    rows = csv.reader(itertools.chain(ahead, lines), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        return separator, next(rows, []), rows
    except csv.Error as error:
        raise InputError(f"{path}: the header is not readable: {error}.") from None


def _separator(path: Path, ahead: Sequence[str]) -> str:
    bare = re.sub(r'"[^"]*"', "", ahead[0])
    found = [mark for mark in _SEPARATORS if mark in bare]
    if len(found) < 2:
        return found[0] if found else ","
    # Several: the one by which the first rows have as many cells as the header.
    fitting = [mark for mark in found if len({_cells(line, mark) for line in ahead if line.strip()}) == 1]
    if len(fitting) != 1:
        raise InputError(
            f"{path}: the header has {' and '.join(_SEPARATORS[mark] for mark in found)} between its names, so the "
            "separator of cells is not clear; write one of them only, or put names in quotation marks."
        )
    return fitting[0]


def _cells(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).rstrip("\r\n").count(mark)


def _whole_rows(
    path: Path, rows: Iterator[list[str]], width: int, separator: str, before: int
) -> Iterator[Sequence[str]]:
    number = before
    try:
        for row in rows:
            if not row or (width > 1 and len(row) == 1 and not row[0].strip()):
                continue
            number += 1
            cells = row
            while len(cells) > width and not cells[-1].strip():
                cells = cells[:-1]
            if len(cells) != width:
                raise InputError(
                    f"{path}, row {number}: {len(cells)} {'cell' if len(cells) == 1 else 'cells'}, but the header has "
                    f"{width} (separated by {_SEPARATORS.get(separator, separator)}); add what is missing, or put "
                    "text that holds the separator in quotation marks."
                )
            yield cells
    except csv.Error as error:
        raise InputError(f"{path}, row {number + 1}: {error}; check its quotation marks.") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
