"""What `landweave check` found, as lines for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from landweave.engine.machine import size_text

Facts = dict[str, Any]
"""Values that JSON can hold."""


def check_lines(facts: Facts) -> list[str]:
    """What :func:`.check.check_facts` found, for a terminal."""
    patches, dates, features, labels = (facts[name] for name in ("patches", "dates", "features", "labels"))
    lines = [
        f"{facts['project']}: sound",
        f"patches:   {patches['count']} in {', '.join(patches['crs'])}, pixels of {patches['pixel_metres']:.4g} m",
        f"dates:     {_dates_words(dates)}",
        f"features:  {features['count']} ({', '.join([*features['layers'], *features['static']])} on {_on(features)})",
    ]
    samples = sum(one["samples"] or 0 for one in facts["classes"])
    if labels is not None:
        lines.append(f"labels:    {_labels_words(labels)}")
    elif samples:
        lines.append(f"labels:    {samples} samples of a table")
    else:
        lines.append("legend:    the classes of the model")
    lines += _class_lines(facts["classes"], labels)
    disk, memory = facts["disk"], facts["memory"]
    lines += [
        f"disk:      {size_text(disk['needed'])} at most; {size_text(disk['free'])} are free",
        f"memory:    {_memory_words(memory)}",
    ]
    lines += [f"imports:   {line}" for line in facts["imports"]]
    lines += [f"note:      {note}" for note in facts["notes"]]
    return [*lines, f"next:      {facts['next']}"]


def _memory_words(memory: Facts) -> str:
    worker, main, available = (size_text(memory[name]) for name in ("worker", "main", "available"))
    return f"{worker} a worker, {main} to train; {available} available"


def _dates_words(dates: Facts) -> str:
    if dates["undated"]:
        return "1, which is not known"
    last = "" if dates["first"] == dates["last"] else f" to {dates['last']}"
    return f"{dates['count']}, {dates['first']}{last}; period {dates['start']} to {dates['end']}"


def _on(features: Facts) -> str:
    count = features["target_days"]
    word = "date" if features["of_dates"] else "day"
    return f"{count} {word}" + ("" if count == 1 else "s")


def _labels_words(labels: Facts) -> str:
    split = {"patch": "patches", "block": "blocks"}.get(labels["split"] or "")
    counted = "" if labels["counted"] == labels["of"] else f", counted in {labels['counted']} of {labels['of']} patches"
    sides = f"; {labels['train_units']} {split} to train, {labels['test_units']} to test" if split else ""
    patches = "1 patch" if labels["patches"] == 1 else f"{labels['patches']} patches"
    return f"{labels['pixels']} pixels of {labels['kind']} in {patches}{counted}{sides}"


def _class_lines(classes: Sequence[Mapping[str, Any]], labels: Facts | None) -> list[str]:
    """A table: a row for each class."""
    columns = ["", "class", "colour"]
    if labels is not None:
        columns += [labels["kind"]] if labels["kind"] in {"polygons", "points"} else []
        columns += ["pixels", "patches", *(["train", "test"] if labels["split"] in {"patch", "block"} else [])]
    elif any(one["samples"] is not None for one in classes):
        columns.append("samples")
    rows = [columns]
    for one in classes:
        own = one["labels"] or {}
        shown = {"": one["value"], "class": one["name"], "colour": one["color"], "samples": one["samples"], **own}
        shown |= {"polygons": own.get("features"), "points": own.get("features")}
        rows.append([str(shown[name]) for name in columns])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = ["<" if name in {"class", "colour"} else ">" for name in columns]
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    return [f"  {form.format(*row)}".rstrip() for row in rows]
