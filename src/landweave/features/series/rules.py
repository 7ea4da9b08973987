"""`[features] series`: the rules by which the observations of a pixel become features, and the columns of each."""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from landweave.errors import InputError

LINEAR = "linear"

PERCENTILES = {"min": 0.0, "p10": 10.0, "p25": 25.0, "median": 50.0, "p75": 75.0, "p90": 90.0, "max": 100.0}
"""Statistics that are percentiles of the observations, in per cent."""

STATISTICS = (*PERCENTILES, "mean", "std", "range", "iqr", "medoid", "count")
"""What `composite` and `metrics` can take of the observations in a window."""

SPREADS = ("std", "range", "iqr")
"""Statistics that are differences of values, so that the offset of a layer's units is no part of them."""

WINDOWS = ("period", "season", "month")
"""Windows with a name; others are a number of days."""

RULES: dict[str, dict[str, Any]] = {
    LINEAR: {},
    "composite": {"statistics": ("median",), "window": "month"},
    "metrics": {
        "statistics": ("count", "mean", "std", "p10", "p25", "median", "p75", "p90", "range"),
        "window": "period",
    },
    "whittaker": {"lambda": 10_000.0},
    "savitzky_golay": {"points": 5, "order": 2},
    "harmonic": {"order": 2},
    "phenology": {"layer": "ndvi", "threshold": 0.5, "lambda": 10_000.0},
}
"""Rules and the defaults of their parameters."""

ON_DAYS = {LINEAR: "", "whittaker": "_whittaker", "savitzky_golay": "_savgol"}
"""Rules that give each layer a value on every target day, and what their features' names carry for it."""

SEASON_OUTPUTS = ("start", "peak", "end", "amplitude", "integral")
"""What `phenology` gives, in its order: three days since the period's start, a difference of values, value x days."""

DAY_SCALE = 0.1
"""Days of the season are kept in tenths."""

MOST_SMOOTH = 1e8
"""The largest lambda; beyond it the sums of the smoother lose their digits."""

MOST_DAYS = 400
"""Days by which the units of an integral are wider than those of its layer."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One rule with its parameters; windows stand as days, so that a model knows them without a calendar.

    Examples
    --------
    >>> Series(rule="harmonic", parameters=(("order", 1),))
    Series(rule='harmonic', parameters=(('order', 1),), windows=())
    """

    rule: str
    """One of :data:`RULES`."""

    parameters: tuple[tuple[str, Any], ...] = ()
    """(key, value), all keys of the rule in the order of :data:`RULES`."""

    windows: tuple[tuple[int, int], ...] = ()
    """First day and the day after the last one, since the period's start; of ``composite`` and ``metrics`` only."""

    def __getitem__(self, key: str) -> Any:
        return dict(self.parameters)[key]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "rule": self.rule,
            **{key: list(value) if isinstance(value, tuple) else value for key, value in self.parameters},
            **({"windows": [list(window) for window in self.windows]} if self.windows else {}),
        }


PLAIN = (Series(rule=LINEAR),)
"""What holds where a project says nothing."""


def series_of(given: Iterable[str | Mapping[str, Any]]) -> tuple[Series, ...]:
    """Rules as a project or a model names them: a name alone takes the defaults, a table sets some of them.

    Raises
    ------
    InputError
        For an unknown rule or key, a value that cannot be, or no rule at all.

    Examples
    --------
    >>> [one.rule for one in series_of(["linear", {"rule": "harmonic", "order": 3}])]
    ['linear', 'harmonic']
    """
    found = tuple(_one(entry) for entry in given)
    if not found:
        raise InputError(f"[features] series is empty; name at least one of {', '.join(RULES)}.")
    return found


def with_windows(series: Sequence[Series], start: datetime.date, end: datetime.date) -> tuple[Series, ...]:
    """Windows of a period, ``start`` to ``end`` inclusive, as days since its start.

    Months are those of the calendar; seasons begin on the first of March, June, September and December. The first
    window begins on ``start`` and the last one ends on ``end``, however short they are.

    Examples
    --------
    >>> from datetime import date
    >>> with_windows(series_of(["composite"]), date(2020, 1, 1), date(2020, 3, 10))[0].windows
    ((0, 31), (31, 60), (60, 70))
    """
    last = (end - start).days + 1
    out = []
    for one in series:
        if one.rule not in {"composite", "metrics"}:
            out.append(one)
            continue
        window = one["window"]
        if isinstance(window, int):
            cuts = list(range(0, last, window))
        elif window == "period":
            cuts = [0]
        else:
            months = range(1, 13) if window == "month" else {3, 6, 9, 12}
            days = (start + datetime.timedelta(days=day) for day in range(1, last))
            cuts = [0, *((day - start).days for day in days if day.day == 1 and day.month in months)]
        out.append(
            Series(rule=one.rule, parameters=one.parameters, windows=tuple(zip(cuts, [*cuts[1:], last], strict=True)))
        )
    return tuple(out)


def read_series(content: Any) -> tuple[Series, ...]:
    """The way back from :meth:`Series.to_json`, for all rules of a recipe."""
    if not isinstance(content, list) or not all(isinstance(entry, Mapping) for entry in content):
        raise InputError(f"The recipe's series must be a list of rules, not {content!r}.")
    out = []
    for entry in content:
        (one,) = series_of([{key: value for key, value in entry.items() if key != "windows"}])
        windows = entry.get("windows", [])
        if not isinstance(windows, list) or not all(map(_is_window, windows)):
            raise InputError(f"The windows of the recipe's rule {one.rule} must be pairs of rising days.")
        if bool(windows) != (one.rule in {"composite", "metrics"}):
            raise InputError(f"The recipe's rule {one.rule} has {len(windows)} windows.")
        out.append(
            Series(rule=one.rule, parameters=one.parameters, windows=tuple((first, after) for first, after in windows))
        )
    return tuple(out)


def _one(entry: str | Mapping[str, Any]) -> Series:
    given = {"rule": entry} if isinstance(entry, str) else dict(entry)
    rule = given.pop("rule", None)
    if rule not in RULES:
        raise InputError(f"[features] series names the rule {rule!r}; there are {', '.join(RULES)}.")
    defaults = RULES[rule]
    strange = sorted(set(given) - set(defaults))
    if strange:
        allowed = ", ".join(defaults) or "no keys"
        raise InputError(f"[features] series: the rule {rule} knows no key {strange[0]!r}; it takes {allowed}.")
    values = {key: _checked(rule, key, given.get(key, default)) for key, default in defaults.items()}
    if rule == "savitzky_golay" and values["order"] >= values["points"]:
        raise InputError(
            f"[features] series: savitzky_golay fits order {values['order']} to {values['points']} points; "
            "the order must be smaller."
        )
    return Series(rule=rule, parameters=tuple(values.items()))


def _checked(rule: str, key: str, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    whole = number and isinstance(value, int)
    if key == "statistics":
        one = (value,) if isinstance(value, str) else value
        if isinstance(one, list | tuple) and one and all(name in STATISTICS for name in one):
            if len(set(one)) == len(one):
                return tuple(one)
            what = "each statistic once"
        else:
            what = f"a list of {', '.join(STATISTICS)}"
    elif key == "window":
        if value in WINDOWS or (whole and 1 <= value <= MOST_DAYS):
            return value
        what = f"{', '.join(WINDOWS)} or a number of days from 1 to {MOST_DAYS}"
    elif key == "layer":
        if isinstance(value, str) and value:
            return value
        what = "the name of a band, index or custom layer"
    elif key == "threshold":
        if number and 0 < value < 1:
            return float(value)
        what = "a share between 0 and 1"
    elif key == "lambda":
        if number and 0 < value <= MOST_SMOOTH:
            return float(value)
        what = f"a number above 0, at most {MOST_SMOOTH:g}"
    elif key == "points":
        if whole and 3 <= value <= 99 and value % 2:
            return value
        what = "an odd number of target days from 3 to 99"
    else:
        most = 3 if rule == "harmonic" else 5
        if whole and 1 <= value <= most:
            return value
        what = f"a whole number from 1 to {most}"
    raise InputError(f"[features] series: {key} = {value!r} of the rule {rule} must be {what}.")


def _is_window(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(day, int) and not isinstance(day, bool) for day in value)
        and value[0] < value[1]
    )
