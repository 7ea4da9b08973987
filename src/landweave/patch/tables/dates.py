"""The one strict reader of dates: ISO 8601, or a format that must give the same text back."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FIRST_YEAR, LAST_YEAR = 1900, 2199
"""Years outside are slips: 0020 for 2020, 1020 for 2010."""

_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})"
    r"([T ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]{1,9})?)?)?( ?(Z|[+-][0-9]{2}(:?[0-9]{2})?))?)?"
)
_YEARS = frozenset("YyGcxD")
_MONTHS = frozenset("mbBjcxDUWV")
_DAYS = frozenset("d")


def read_moment(text: str, where: str, form: str | None = None) -> datetime:
    """A date or time as UTC without zone.

    Parameters
    ----------
    text
        ISO 8601 (``2018-04-29``, ``20180429``, with or without a time and a zone), or as ``form`` says.
    where
        File and row, for the message.
    form
        As for ``strptime``. What is read must give ``text`` again by ``strftime``, but for zeros in front.

    Raises
    ------
    InputError
        For anything else, and for years before 1900 or after 2199.

    Examples
    --------
    >>> read_moment("2018-04-29T12:30:00+02:00", "here").isoformat()
    '2018-04-29T10:30:00'
    >>> read_moment("2019366", "images", "%Y%j")
    Traceback (most recent call last):
    landweave.errors.InputError: images: '2019366' is not a date as %Y%j; correct it.
    """
    moment = _with_form(text, form) if form else _iso(text)
    if moment is None:
        raise InputError(f"{where}: {text!r} is not a date as {form or 'YYYY-MM-DD'}; correct it.")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InputError(f"{where}: {text!r} is in the year {moment.year}; write the year with four digits.")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def read_day(text: str, where: str) -> date:
    """A date without a time; InputError as for :func:`read_moment`, and for a time of day.

    >>> read_day("2018-04-29", "period.start").isoformat()
    '2018-04-29'
    """
    if len(text) > len("2018-04-29"):
        raise InputError(f"{where}: {text!r} is not a date as YYYY-MM-DD; correct it.")
    return read_moment(text, where).date()


def read_moments(values: "pd.Series", where: Callable[[int], str]) -> np.ndarray:
    """Dates of a column, datetime64[us], UTC; ``where`` names the row of a position, for the message.

    Text is read by :func:`read_moment`; numbers are taken as text (20180429). Dates of Parquet are taken as they are.

    Raises
    ------
    InputError
        For the first row without a date that can be read.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        missing = np.flatnonzero(values.isna())
        if missing.size:
            raise InputError(f"{where(int(missing[0]))}: no {values.name}; fill it in or remove the row.")
        zoned = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz is not None else values
        return zoned.to_numpy("datetime64[us]")
    # A date stands in many rows; each is read once, at its first row.
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    moments = np.empty(len(distinct), "datetime64[us]")
    for number, first in enumerate(np.unique(codes, return_index=True)[1].tolist()):
        text = _text(distinct[number])
        if not text:
            raise InputError(f"{where(first)}: no {values.name}; fill it in or remove the row.")
        moments[number] = read_moment(text, where(first))
    return moments[codes]


def same_day(text: str, form: str | None, moment: datetime) -> bool:
    """Whether a second writing of a date, which may name fewer of its parts, agrees with a moment.

    >>> same_day("2018", "%Y", datetime(2018, 4, 29)), same_day("201805", "%Y%m", datetime(2018, 4, 29))
    (True, False)
    """
    if form is None:
        other = _iso(text)
        return other is not None and other.date() == moment.date()
    return _same_digits(text, moment.strftime(form), form)


def check_format(form: str, where: str) -> None:
    """InputError where a format cannot say which day is meant: no year, or a day without its month.

    >>> check_format("%m-%d", "pattern")
    Traceback (most recent call last):
    landweave.errors.InputError: pattern: the date format '%m-%d' has no year; add %Y.
    """
    named = set(re.findall(r"%[-^#0]?(.)", form.replace("%%", "")))
    if not named & _YEARS:
        raise InputError(f"{where}: the date format {form!r} has no year; add %Y.")
    if named & _DAYS and not named & _MONTHS:
        raise InputError(f"{where}: the date format {form!r} has a day but no month; add %m.")


def looks_like_dates(texts: Iterable[Any]) -> bool:
    """Whether all texts that are not empty are dates that this module reads, and there is one."""
    found = {str(text).strip() for text in texts} - {""}
    return bool(found) and all(_iso(text) is not None for text in found)


def _iso(text: str) -> datetime | None:
    if not _ISO.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.replace(",", ".").replace(" Z", "Z").replace(" +", "+"))
    except ValueError:
        return None


def _with_form(text: str, form: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - a zone is in the format or there is none
    except ValueError:
        return None
    # strptime takes day 366 of any year, and skips a week's number where no weekday is named.
    return moment if "%z" in form or _same_digits(text, moment.strftime(form), form) else None


def _same_digits(text: str, back: str, form: str) -> bool:
    ours, theirs = (re.findall(r"[0-9]+", t) for t in (text, back))
    return len(ours) == len(theirs) and all(
        int(a) == int(b) or ("%f" in form and a.ljust(6, "0") == b) for a, b in zip(ours, theirs, strict=True)
    )


def _text(value: Any) -> str:
    if value is None or value != value or str(value) == "NaT":  # noqa: PLR0124 (NaN is what differs from itself)
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
