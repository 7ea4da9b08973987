"""Estimates as text: lines for a terminal, and sentences used by pages."""

from collections.abc import Mapping
from typing import Any

MEASURES = {"users_accuracy": "user's accuracy", "producers_accuracy": "producer's accuracy", "f1": "F1"}
"""Columns of the table of classes: the key and the heading."""

INTERVALS = {
    "mover": (
        "Intervals are put together from an interval in each stratum, so they allow for omissions that the sample did "
        "not see. In simulations 95 % intervals contained the truth in 93 to 99 of 100 samples, also for rare classes "
        "that some unit met on the map."
    ),
    "wilson": (
        "Intervals are Wilson's for the number of units that the standard error implies. They do not allow for "
        "omissions that the sample did not see."
    ),
    "wald": (
        "Intervals of areas by the map's own areas are the value plus and minus the standard error times Student's t."
    ),
}
"""What is said of each kind of interval, by the key ``interval`` of a score."""

WIDE = (
    "The sample has fewer than {few} omitted units of some classes (reference units where the map shows another class, "
    "discounted for unequal weights), so their areas and producer's accuracies have wide intervals: {classes}. More "
    "units in the large strata narrow them."
)


FEW_SEEN = 5
"""With fewer omitted units to expect, a class is named before the sample is drawn."""


def hectares(value: float | None) -> str:
    """An area in hectares, with no more digits than help.

    >>> hectares(21157.762), hectares(3.14159), hectares(None)
    ('21 158', '3.14', '—')
    """
    if value is None:
        return "—"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", " ")


def wide_line(figures: Mapping[str, Any]) -> str:
    """Which classes have wide intervals because few of their omissions were seen; "" if none."""
    few = [
        f"{name} {scores['effective_omitted_units']:.1f}".removesuffix(".0")
        for name, scores in figures["classes"].items()
        if scores["effective_omitted_units"] < figures["few_omitted_units"]
    ]
    return WIDE.format(few=figures["few_omitted_units"], classes=", ".join(few)) if few else ""


def interval_line(figures: Mapping[str, Any]) -> str:
    """What the intervals of these figures are; "" where there are none."""
    parts = [figures, *figures.get("districts", {}).values()]
    rows = [row for part in parts for row in part["classes"].values()]
    kinds = {row[key].get("interval") for row in rows for key in (*MEASURES, "area_ha")}
    return " ".join(said for kind, said in INTERVALS.items() if kind in kinds)


def design_line(figures: Mapping[str, Any]) -> str:
    """What was sampled and what is judged by it."""
    strata = len(figures["strata"])
    what = f"{figures['sample_units']} units" + (f" in {strata} strata" if strata > 1 else "")
    column = figures.get("map_column")
    drawn = f"; the map in the column {column}" if column else "; the map it was drawn from"
    judged = f"; the map {figures['map']}" if figures["map"] else drawn
    return f"{figures['sample']}: {what}{judged}"


def accuracy_lines(figures: Mapping[str, Any]) -> list[str]:
    """The figures of ``landweave estimate accuracy`` as a table for the terminal."""
    lines = [design_line(figures), *_table(figures), "", *_matrix(figures), "", *_disagreement(figures), ""]
    lines.append(interval_line(figures))
    if wide := wide_line(figures):
        lines.append(wide)
    if figures["mapped"] is not None:
        lines += ["", figures["mapped"]["title"]]
        for name, row in figures["mapped"]["classes"].items():
            lines.append(f"{name[:24]:<24} {hectares(row['area_ha']):>12} ha {row['pixels']:>14,} pixels")
    for name, district in figures.get("districts", {}).items():
        size = "" if district["area_ha"] is None else f", {hectares(district['area_ha'])} ha"
        lines += ["", f"district {name}: {district['sample_units']} units{size}", *_table(district)]
    if figures.get("districts"):
        lines += ["", f"Districts with fewer than {figures['few_units']} units have no intervals."]
    lines += interpreter_lines(figures)
    return lines + [f"note: {note}" for note in figures["notes"]]


def interpreter_lines(figures: Mapping[str, Any]) -> list[str]:
    """How interpreters agree, and the accuracy where an alternate label counts too; empty where neither is known."""
    lines = []
    if found := figures.get("interpreters"):
        lines += ["", "interpreters: share of the land where both name the same class, and Cohen's kappa"]
        for pair in found["pairs"]:
            agreement = "—" if pair["agreement"] is None else f"{100 * pair['agreement']:.1f} %"
            kappa = "—" if pair["kappa"] is None else f"{pair['kappa']:.2f}"
            lines.append(f"{pair['first']} and {pair['second']}: {agreement}, kappa {kappa}, {pair['units']} units")
        unsure = [f"{name} {count}" for name, count in found["unsure"].items() if count]
        lines += [f"units without a sure class: {', '.join(unsure)}"] if unsure else []
    if either := figures.get("alternate"):
        value, se = either["overall_accuracy"]["value"], either["overall_accuracy"]["se"]
        lines += [
            "",
            f"overall accuracy if the alternate is right too: {100 * value:.1f} %, standard error {100 * se:.2f}",
        ]
    return lines


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
        *_omitted(plan),
    ]


def _omitted(plan: Mapping[str, Any]) -> list[str]:
    """Which classes will have wide intervals, because few of their omissions can be expected in the sample."""
    expected = plan["allocations"][plan["chosen"]]["expected_omitted_units"]
    few = ", ".join(f"{name} {units:.1f}" for name, units in expected.items() if units < FEW_SEEN)
    if not few:
        return []
    missed = f"if the map misses {plan['omission']:.0%} of each class"
    return ["", f"omitted units to expect {missed}: {few}; areas and producer's accuracies will have wide intervals"]


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
    return f"{value} ({100 * score['low']:.1f} to {100 * score['high']:.1f})"


def _area(score: Mapping[str, Any]) -> str:
    if score["low"] is None:
        return hectares(score["value"])
    return f"{hectares(score['value'])} ({hectares(score['low'])} to {hectares(score['high'])})"


def _matrix(figures: Mapping[str, Any]) -> list[str]:
    """Shares of the land in each cell with standard errors; rows are the map, columns the reference."""
    table = figures["confusion"]
    labels, width = table["labels"], 16
    lines = [
        "share of the land, % (standard error); rows map, columns reference",
        f"{'':<20}" + "".join(f" {label[: width - 1]:>{width}}" for label in labels),
    ]
    rows = [(label, [(s[i], e[i]) for s, e in zip(table["shares"], table["shares_se"], strict=True)])
            for i, label in enumerate(labels)]  # fmt: skip
    if sum(table["unclassified"]):
        rows.append(("no class", list(zip(table["unclassified_shares"], table["unclassified_shares_se"], strict=True))))
    for label, cells in rows:
        lines.append(
            f"{label[:20]:<20}"
            + "".join(f" {f'{100 * v:.2f} ({100 * se:.2f})' if v else '0':>{width}}" for v, se in cells)
        )
    return lines


def _disagreement(figures: Mapping[str, Any]) -> list[str]:
    parts = {key: 100 * figures["disagreement"][key] for key in ("quantity", "allocation")}
    quantity = f"quantity {parts['quantity']:.1f} % of the land (too much or too little of a class)"
    return [f"disagreement: {quantity}, allocation {parts['allocation']:.1f} % (right amount, wrong place)"]
