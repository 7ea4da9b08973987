"""Estimates as text: lines for a terminal, and sentences used by pages."""

from collections.abc import Mapping
from typing import Any

MEASURES = {"users_accuracy": "user's accuracy", "producers_accuracy": "producer's accuracy", "f1": "F1"}
"""Columns of the table of classes: the key and the heading."""

WILSON = "Wilson's interval, used if fewer than 10 units are expected on one side; else Wald's."

NARROW = (
    "Intervals of some classes are too narrow, because the sample has fewer than {few} omitted units of them "
    "(reference units where the map shows another class, discounted for unequal weights): {classes}."
)


def hectares(value: float | None) -> str:
    """An area in hectares, with no more digits than help.

    >>> hectares(21157.762), hectares(3.14159), hectares(None)
    ('21 158', '3.14', '—')
    """
    if value is None:
        return "—"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", " ")


def narrow_line(figures: Mapping[str, Any]) -> str:
    """Which classes have intervals that are too narrow, and why; "" if none."""
    few = [
        f"{name} {scores['effective_omitted_units']:.1f}".removesuffix(".0")
        for name, scores in figures["classes"].items()
        if scores["too_narrow"]
    ]
    return NARROW.format(few=figures["few_omitted_units"], classes=", ".join(few)) if few else ""


def design_line(figures: Mapping[str, Any]) -> str:
    """What was sampled and what is judged by it."""
    what = f"{figures['sample_units']} units in {len(figures['strata'])} strata"
    column = figures.get("map_column")
    drawn = f"; the map in the column {column}" if column else "; the map it was drawn from"
    judged = f"; the map {figures['map']}" if figures["map"] else drawn
    return f"{figures['sample']}: {what}{judged}"


def accuracy_lines(figures: Mapping[str, Any]) -> list[str]:
    """The figures of ``landweave estimate accuracy`` as a table for the terminal."""
    lines = [design_line(figures), *_table(figures), ""]
    if any(score.get("interval") == "wilson" for score in _scores(figures)):
        lines.append(f"w  {WILSON}")
    if narrow := narrow_line(figures):
        lines.append(f"!  {narrow}")
    if figures["mapped"] is not None:
        lines += ["", figures["mapped"]["title"]]
        for name, row in figures["mapped"]["classes"].items():
            lines.append(f"{name[:24]:<24} {hectares(row['area_ha']):>12} ha {row['pixels']:>14,} pixels")
    for name, district in figures.get("districts", {}).items():
        size = "" if district["area_ha"] is None else f", {hectares(district['area_ha'])} ha"
        lines += ["", f"district {name}: {district['sample_units']} units{size}", *_table(district)]
    if figures.get("districts"):
        lines += ["", f"Districts with fewer than {figures['few_units']} units have no intervals."]
    return lines + [f"note: {note}" for note in figures["notes"]]


def size_lines(plan: Mapping[str, Any]) -> list[str]:
    """The answer of ``landweave estimate size`` as a table for the terminal."""
    rows = list(plan["allocations"].items())
    head = f"{'class':<24} {'share':>8} {'expected':>9}"
    lines = [
        *_planned(plan),
        "",
        *(
            f"({i}) {what}{'   <- chosen' if what == plan['chosen'] else ''}"
            for i, (what, _) in enumerate(rows, start=1)
        ),
        "",
        "units of each class, and the standard error of its user's accuracy",
        head + "".join(f"{f'({i})':>15}" for i in range(1, len(rows) + 1)),
    ]
    for name, row in plan["classes"].items():
        cells = "".join(f"{a['sizes'][name]:>7} {a['se_users'][name]:>7.3f}" for _, a in rows)
        lines.append(f"{name[:24]:<24} {row['share']:>8.2%} {row['expected_users_accuracy']:>9.2f}{cells}")
    overall = "".join(f"{'':>7} {a['se_overall']:>7.4f}" for _, a in rows)
    needed = "".join(f"{a['n_for_target']:>15}" for _, a in rows)
    return [
        *lines,
        f"{'overall accuracy':<24} {'':>8} {'':>9}{overall}",
        f"{'units for the target':<43}{needed}",
    ]


def _planned(plan: Mapping[str, Any]) -> list[str]:
    """What the chosen allocation promises, compared with what was asked."""
    chosen = plan["allocations"][plan["chosen"]]
    se, target = chosen["se_overall"], plan["target"]
    lines = [f"{plan['n']} units; expected standard error of the overall accuracy {se:.4f} (target {target:g})"]
    if se > target:
        lines.append(f"! The target is missed: it needs {chosen['n_for_target']} units with this allocation.")
    if plan["class_target"] is not None:
        worst = max(chosen["se_users"].values())
        lines.append(
            f"expected standard errors of user's accuracies: at most {worst:.4f} (target {plan['class_target']:g})"
        )
    return lines


def _table(figures: Mapping[str, Any]) -> list[str]:
    overall = figures["overall_accuracy"]
    if overall["value"] is None:
        return [f"overall accuracy —: {overall['reason']}"]
    se = "" if overall["low"] is None else f" %, standard error {100 * overall['se']:.2f}"
    lines = [f"overall accuracy {_percent(overall)}{se}", ""]
    heads = "".join(f" {f'{heading}, %':>22}" for heading in MEASURES.values())
    lines.append(f"{'class':<20}{heads} {'area, ha':>30} {'units':>6}")
    for name, row in figures["classes"].items():
        cells = "".join(f" {_percent(row[key]):>22}" for key in MEASURES)
        lines.append(f"{name[:20]:<20}{cells} {_area(row['area_ha']):>30} {row['sample_units']:>6}")
    return lines


def _percent(score: Mapping[str, Any]) -> str:
    if score["value"] is None:
        return "—"
    value = f"{100 * score['value']:.1f}"
    if score["low"] is None:
        return value
    return f"{value} ({100 * score['low']:.1f} to {100 * score['high']:.1f}){_marks(score)}"


def _area(score: Mapping[str, Any]) -> str:
    if score["low"] is None:
        return hectares(score["value"])
    return f"{hectares(score['value'])} ({hectares(score['low'])} to {hectares(score['high'])}){_marks(score)}"


def _marks(score: Mapping[str, Any]) -> str:
    return ("w" if score["interval"] == "wilson" else "") + ("!" if score.get("reason") else "")


def _scores(figures: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = []
    for part in (figures, *figures.get("districts", {}).values()):
        found += [
            part["overall_accuracy"],
            *(row[k] for row in part["classes"].values() for k in (*MEASURES, "area_ha")),
        ]
    return found
