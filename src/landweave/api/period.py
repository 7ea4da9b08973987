"""A period of time as people write it."""

import calendar
import datetime
import re
from typing import Any

from landweave.errors import InputError

_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?(?:T.*)?")
_EXAMPLES = '"2017", "2017-05", "2017-01-01/2017-12-31" or ("2017-01-01", "2017-12-31")'

START, END = "time_coverage_start", "time_coverage_end"
"""Attributes of a patch and of features that hold the period, as ISO dates (the names are those of ACDD)."""


def read_period(period: Any) -> tuple[datetime.date | None, datetime.date | None]:
    """First and last day of a period, both inclusive; None for an open end.

    Parameters
    ----------
    period
        A year, month or day as text, two of them with ``/`` between, a pair, a slice, or a date. An end may be None
        or ``".."``.

    Raises
    ------
    InputError
        For text that is no date, and for an end before the start.

    >>> read_period("2016-02")
    (datetime.date(2016, 2, 1), datetime.date(2016, 2, 29))
    >>> read_period(("2017-03-01", "2017"))[1]
    datetime.date(2017, 12, 31)
    """
    if isinstance(period, str):
        first, slash, last = period.partition("/")
        pair = (first, last if slash else first)
    elif isinstance(period, slice):
        pair = (period.start, period.stop)
    elif isinstance(period, tuple | list) and len(period) == 2:
        pair = (period[0], period[1])
    else:
        pair = (period, period)
        if period is None:
            raise InputError(f"period is None; write {_EXAMPLES}.")
    (start, _), (_, end) = (_days(value, period) for value in pair)
    if start is not None and end is not None and end < start:
        raise InputError(f"period {period!r}: the end {end} is before the start {start}; exchange them.")
    return start, end


def period_start(attributes: Any, period: Any) -> datetime.date | None:
    """First day of a given period, else of the period that attributes hold, else None."""
    if period is not None:
        return read_period(period)[0]
    text = attributes.get(START)
    return _days(text, text)[0] if text else None


def _days(value: Any, period: Any) -> tuple[datetime.date | None, datetime.date | None]:
    """First and last day of what a value names."""
    if value is None or value in {"", ".."}:
        return None, None
    if isinstance(value, datetime.datetime):
        return value.date(), value.date()
    if isinstance(value, datetime.date):
        return value, value
    match = _PARTIAL.fullmatch(str(value).strip())
    year, month, day = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    try:
        last = month or 12
        return (
            datetime.date(year, month or 1, day or 1),
            datetime.date(year, last, day or calendar.monthrange(year, last)[1]),
        )
    except (ValueError, calendar.IllegalMonthError):
        raise InputError(f"period {period!r}: {value!r} is not a date; write {_EXAMPLES}.") from None
