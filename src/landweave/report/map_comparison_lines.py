"""The comparison of two maps by one sample as lines for a terminal."""

from collections.abc import Mapping
from typing import Any


def compare_lines(figures: Mapping[str, Any]) -> list[str]:
    """The figures as lines for the terminal."""
    first, second = figures["maps"]
    paired, seen = figures["mcnemar"], figures["detectable_difference"]
    rows = [("overall accuracy", figures["overall_accuracy"])]
    for name, row in figures["classes"].items():
        rows += [(f"{name}, user's", row["users_accuracy"]), (f"{name}, producer's", row["producers_accuracy"])]
    return [
        f"{figures['sample']}: {figures['sample_units']} units judge two maps",
        f"(1) {first}",
        f"(2) {second}",
        "",
        f"{'percent':<34} {'(1)':>6} {'(2)':>6}   {'(2) - (1), 95 % interval':<28} {'p':>6}",
        *(_line(name, row) for name, row in rows),
        "",
        f"only (1) right at {paired['only_first']} units, only (2) at {paired['only_second']}",
        f"McNemar's exact test: p = {paired['p']:.3g}",
        f"a true difference of {100 * seen['value']:.1f} points would show with a chance of {seen['power']:.0%}",
        *(f"note: {note}" for note in figures["notes"]),
    ]


def _line(name: str, row: Mapping[str, Any]) -> str:
    one, two = ("—" if row[key] is None else f"{100 * row[key]:.1f}" for key in ("first", "second"))
    if row["difference"] is None:
        return f"{name[:34]:<34} {one:>6} {two:>6}   —"
    told = f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
    p = "" if row["p"] is None else f"{row['p']:.3f}"
    return f"{name[:34]:<34} {one:>6} {two:>6}   {told:<28} {p:>6}"
