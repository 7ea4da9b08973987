"""Values that hold much, shown in a few lines: a line on a terminal, a table in a notebook."""

import html
from collections.abc import Mapping, Sequence
from datetime import date

LONGEST = 500
"""Letters of a line, at most."""

_MOST_LETTERS = 160


class Shown:
    """A value that shows what :meth:`_summary` says of it, and not all that it holds.

    A data class of this kind is made with ``repr=False``.
    """

    def _summary(self) -> Mapping[str, object]:
        """What to show, by name; values become text, and empty ones are left out."""
        raise NotImplementedError

    def __repr__(self) -> str:
        parts = "; ".join(f"{name}: {text}" for name, text in self._texts().items())
        text = f"<{type(self).__name__} {parts}"
        return f"{text}>" if len(text) < LONGEST else f"{text[: LONGEST - 4]} ...>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        left = 'style="text-align: left"'
        rows = "".join(
            f"<tr><th {left}>{html.escape(name)}</th><td {left}>{html.escape(text)}</td></tr>"
            for name, text in self._texts().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"

    def _texts(self) -> dict[str, str]:
        return {name: text for name, value in self._summary().items() if (text := _short(value))}


def listed(items: Sequence[object], most: int = 6) -> str:
    """Items in one line; the number of all where not all are named.

    >>> listed(["B02", "B03"]), listed(range(23), most=3)
    ('B02, B03', '0, 1, 2, ... (23)')
    """
    named = ", ".join(str(item) for item in items[:most])
    return named if len(items) <= most else f"{named}, ... ({len(items)})"


def span(days: Sequence[date]) -> str:
    """Number of dates, the first and the last.

    >>> span([date(2017, 1, 10), date(2017, 12, 17)])
    '2, 2017-01-10 to 2017-12-17'
    """
    return f"{len(days)}, {days[0]} to {days[-1]}" if days else "0"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 4]} ..."
