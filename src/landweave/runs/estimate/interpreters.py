"""Labels of several interpreters: from columns of the sample, or from the verdicts of the browser view."""

import dataclasses
import difflib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landweave.accuracy.design_based.interpreters import NOTHING, fleiss_kappa, majority, pair_agreement
from landweave.accuracy.design_based.linear import UnitDesign, design_measures
from landweave.errors import InputError
from landweave.labels.verdicts.store import SAMPLE, read_verdicts
from landweave.legend import code_text
from landweave.runs.estimate.labels import class_values
from landweave.runs.estimate.sample_file import LabelledSample

ALTERNATE = "alternate"
"""Column of a second class that a unit may be."""


@dataclass(frozen=True, kw_only=True)
class Votes:
    """What each interpreter says of the units, by the text of a unit's id, or by its row where it has none."""

    names: tuple[str, ...]
    labels: Mapping[str, Mapping[str, str]]
    """Interpreter to unit to class; "" where the interpreter is unsure and names none."""
    alternates: Mapping[str, str]
    """Unit to a second class that one interpreter at least names."""
    unsure: Mapping[str, int]
    """Interpreter to number of units that it is unsure of."""


def votes_of(path: Path, asked: Sequence[str]) -> Votes | None:
    """The verdicts in a sample's file, of the interpreters that are asked for, or of all; None where it has none.

    Raises
    ------
    InputError
        When an interpreter has no verdict in the file.
    """
    if path.suffix.lower() != ".gpkg":
        return None
    found = [verdict for verdict in read_verdicts(path) if verdict.place.queue == SAMPLE]
    there = sorted({verdict.interpreter for verdict in found})
    if not there:
        return None
    for name in asked:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(there)}."
            raise InputError(f"{path}: no verdict of an interpreter {name!r}; {hint}")
    names = tuple(asked) or tuple(there)
    labels: dict[str, dict[str, str]] = {name: {} for name in names}
    alternates: dict[str, str] = {}
    unsure = dict.fromkeys(names, 0)
    for verdict in found:
        if verdict.interpreter not in labels:
            continue
        labels[verdict.interpreter][verdict.place.key] = verdict.name or ""
        unsure[verdict.interpreter] += verdict.unsure or verdict.name is None
        if verdict.alternate:
            alternates[verdict.place.key] = verdict.alternate
    return Votes(names=names, labels=labels, alternates=alternates, unsure=unsure)


def relabelled(path: Path, asked: Sequence[str]) -> Callable[[Mapping[str, Sequence[Any]]], list[str]]:
    """How the labels of a sample are made from what the interpreters that are asked for say.

    One gives its own labels; of several the majority counts, and a unit without one has no label.
    """

    def labels(columns: Mapping[str, Sequence[Any]]) -> list[str]:
        if all(name in columns for name in asked):
            rows = zip(*([code_text(v) for v in columns[name]] for name in asked), strict=True)
            return [majority(row) for row in rows]
        votes = votes_of(path, asked)
        if votes is None or "id" not in columns:
            lacking = next(name for name in asked if name not in columns)
            raise InputError(
                f"{path}: no column {lacking!r} with labels, and no verdicts of the browser view; --interpreter names "
                "columns of labels, or people who gave verdicts."
            )
        units = [code_text(v) for v in columns["id"]]
        return [majority([votes.labels[name].get(unit, "") for name in votes.names]) for unit in units]

    return labels


def by_anyone(path: Path, asked: Sequence[str]) -> Callable[[Mapping[str, Sequence[Any]]], list[str]] | None:
    """Labels of every unit that anyone has named a class for, whether others agree or not; None for one interpreter.

    Agreement is counted on these: where interpreters differ the sample has no label, and such a unit would be left out.
    """
    votes = None if len(asked) == 1 else _votes_or_none(path, asked)
    if len(votes.names if votes is not None else asked) < 2:
        return None

    def labels(columns: Mapping[str, Sequence[Any]]) -> list[str]:
        if votes is None:
            rows = zip(*([code_text(v) for v in columns[name]] for name in asked), strict=True)
            return [next(filter(None, row), "") for row in rows]
        units = [code_text(v) for v in columns.get("id", ())]
        return [next(filter(None, (votes.labels[w].get(unit, "") for w in votes.names)), "") for unit in units]

    return labels


def _votes_or_none(path: Path, asked: Sequence[str]) -> Votes | None:
    try:
        return votes_of(path, asked)
    except InputError:
        # They are columns then; whoever is neither was refused before.
        return None


def interpreter_figures(
    read: LabelledSample, asked: Sequence[str], design: UnitDesign, names: Mapping[int, str]
) -> dict[str, Any] | None:
    """How interpreters agree on the units of a sample: ``names``, ``unsure``, ``pairs``, ``fleiss_kappa``.

    ``read`` holds all units that anyone has judged, see :func:`by_anyone`. None where the sample has the labels of one
    only.
    """
    table, unsure = _table(read, asked, names)
    if len(table) < 2:
        return None
    pairs = []
    for one, other in itertools.combinations(table, 2):
        found = pair_agreement(table[one], table[other], design)
        pairs.append(
            {"first": one, "second": other, "units": found.units, "agreement": _finite(found.agreement),
             "se": _finite(found.se), "kappa": _finite(found.kappa)}
        )  # fmt: skip
    kappa, units = fleiss_kappa(np.stack(list(table.values()), axis=1))
    return {
        "names": list(table),
        "used": list(asked) or None,
        "unsure": unsure,
        "pairs": pairs,
        "fleiss_kappa": {"value": _finite(kappa), "units": units},
    }


def alternate_figures(
    read: LabelledSample, mapped: np.ndarray, reference: np.ndarray, design: UnitDesign, names: Mapping[int, str]
) -> dict[str, Any] | None:
    """Accuracies where a map is right if it shows the label or the alternate; None without any alternate.

    Areas stay those of the labels: a unit has one class, whichever the map shows.
    """
    texts: Sequence[str] = read.columns.get(ALTERNATE, ())
    if not any(texts):
        votes = votes_of(read.path, ())
        if votes is None or "id" not in read.columns:
            return None
        texts = [votes.alternates.get(unit, "") for unit in read.columns["id"]]
    second = _values(read, texts, names, ALTERNATE)
    if not second.any():
        return None
    either = np.where((second == mapped) & (second > 0), mapped, reference)
    at = {v: i for i, v in enumerate(names)} | {0: len(names)}
    m, r = (np.array([at[v] for v in values.tolist()]) for values in (mapped, either))
    found = design_measures(design, m, r, k=len(names))
    overall, users = found["overall_accuracy"], found["users_accuracy"]
    return {
        "units": int((second > 0).sum()),
        "right_by_alternate": int(((second == mapped) & (reference != mapped)).sum()),
        "overall_accuracy": {"value": float(overall.value), "se": float(overall.se)},
        "users_accuracy": {
            name: {"value": _finite(users.value[i]), "se": _finite(users.se[i])}
            for i, name in enumerate(names.values())
        },
    }


def _table(
    read: LabelledSample, asked: Sequence[str], names: Mapping[int, str]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    at = {value: i for i, value in enumerate(names)}

    def numbers(texts: Sequence[str], what: str) -> np.ndarray:
        return np.array([at.get(value, NOTHING) for value in _values(read, texts, names, what).tolist()])

    if asked and all(name in read.columns for name in asked):
        table = {name: numbers(read.columns[name], name) for name in asked}
        return table, {name: int((v == NOTHING).sum()) for name, v in table.items()}
    votes = votes_of(read.path, ())
    if votes is None or "id" not in read.columns:
        return {}, {}
    units = read.columns["id"]
    return (
        {name: numbers([votes.labels[name].get(unit, "") for unit in units], name) for name in votes.names},
        dict(votes.unsure),
    )


def _values(read: LabelledSample, texts: Sequence[str], names: Mapping[int, str], what: str) -> np.ndarray:
    """Class values of what one interpreter wrote, int64 (n,); 0 where nothing was; InputError for an unknown class."""
    filled = np.array([bool(text) for text in texts], bool)
    part = dataclasses.replace(
        read,
        places=tuple(f"{place}, {what}" for place, text in zip(read.places, texts, strict=True) if text),
        labels=tuple(text for text in texts if text),
    )
    found = np.zeros(len(texts), "int64")
    found[filled] = class_values(part, names)
    return found


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
