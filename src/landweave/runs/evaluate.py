"""``landweave evaluate``: cross-validation, or a given test table, without any raster."""

import itertools
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landweave.accuracy.metrics import score, shares
from landweave.classifier.calibration import align_columns
from landweave.classifier.fit import fit_parts
from landweave.classifier.model import Model
from landweave.engine.machine import usable_cores
from landweave.errors import InputError
from landweave.import_rule import ImportRule
from landweave.labels.columns import NOT_ASKED
from landweave.labels.common_days import read_on_common_days
from landweave.labels.folds import block_ids, check_labels, group_folds, random_folds
from landweave.labels.series import LabelledTable, read_table
from landweave.legend import Legend
from landweave.patch.store import write_json, write_text
from landweave.patch.summary import listed
from landweave.runs.validate.thresholds import Rows, judge

SPLITS = ("random", "group", "block")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What to evaluate, and how."""

    table: Path
    """Long or wide table of labelled series."""
    samples: Path | None = None
    """Labels of a long table; found by name if absent."""
    label: str = "label"
    """Column of the labels."""
    group: str | None = None
    """Column of groups that stay together."""
    split: str | None = None
    """``random``, ``group`` or ``block``; default random."""
    block_size: float = 0.1
    """Side of the blocks, degrees."""
    folds: int = 5
    """Parts of the cross-validation."""
    model: str = "lightgbm"
    """``lightgbm``, ``random_forest`` or an importable class."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the classifier, by name."""
    step_days: int | None = None
    """Interpolate the series of a long table to days this far apart; None takes observations as they are."""
    test: Path | None = None
    """A table to test on, instead of folds."""
    seed: int = 42
    """Of folds and model."""
    allow_code: bool = False
    """Let ``model`` name any class, not only one of scikit-learn, XGBoost, LightGBM and landweave."""

    def __post_init__(self) -> None:
        if self.split is not None and self.split not in SPLITS:
            raise InputError(f"--split {self.split}: choose one of {', '.join(SPLITS)}.")
        if self.split == "group" and not self.group:
            raise InputError("--split group needs --group with the name of a column.")
        if self.group and self.split != "group" and self.split is not None:
            raise InputError(f"--group {self.group} needs --split group, not --split {self.split}.")
        if self.test is not None and self.split is not None:
            raise InputError("--test and --split exclude each other; use one of them.")


@dataclass(frozen=True, kw_only=True)
class _Held:
    truth: np.ndarray
    probabilities: np.ndarray
    clusters: Any
    split: dict[str, Any]
    folds: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def evaluate_table(
    request: Evaluation,
    *,
    output: Path | None = None,
    report: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure a classifier on a table, as ``accuracy.json`` holds it.

    Parameters
    ----------
    request
        Table, split, model.
    output, report
        Where to write the figures as JSON and a report as HTML.
    progress
        Called with done and total models.

    Raises
    ------
    InputError
        For a table that cannot be evaluated; nothing is written then.
    """
    for path in (output, report):
        if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
            raise InputError(f"{path}: give the name of a file in a folder that exists.")
    table = _read(request, request.table, samples=request.samples)
    legend = Legend.from_labels(table.labels)
    check_labels(table.labels)
    tick = progress or _no_progress
    held = _given(request, table, legend) if request.test else _folds(request, table, legend, tick)
    names = legend.names
    predicted = np.array(legend.values, "uint8")[held.probabilities.argmax(axis=1)]
    figures = score(
        held.truth, predicted, classes=names, probabilities=held.probabilities, clusters=held.clusters,
        seed=request.seed,
    )  # fmt: skip
    figures |= {"split": held.split, "seed": request.seed, "model": request.model, "table": request.table.name}
    figures["params"] = dict(request.params)
    label = legend.translate(table.labels)[0]
    figures["training_rows"] = {name: int((label == value).sum()) for value, name in names.items()}
    figures["test_share"] = shares(held.truth, None, names)
    figures |= {
        "features": list(table.columns), "left_out": dict(table.left_out), "notes": [*table.notes, *held.notes],
    }  # fmt: skip
    rows = Rows(truth=held.truth, probabilities=held.probabilities, clusters=held.clusters, folds=held.folds)
    figures |= judge(rows, None if request.test else rows, classes=names, seed=request.seed)
    if output is not None:
        write_json(output, figures)
    if report is not None:
        from landweave.runs.report.page import evaluation_report

        write_text(report, evaluation_report(figures, legend, request.table))
    return figures


def evaluation_lines(figures: dict[str, Any]) -> list[str]:
    """The figures as a table for the terminal."""
    split = figures["split"]
    params = "".join(f", {name} = {value}" for name, value in figures["params"].items())
    how = f"split {split['kind']} ({split['how']}), seed {figures['seed']}"
    lines = [
        f"{figures['table']}: {figures['model']}{params}, {how}",
        f"features         {len(figures['features'])} columns: {listed(figures['features'], 24)}",
        *(f"no feature       {name}: {reason}" for name, reason in figures["left_out"].items()),
        *(f"note             {note}" for note in figures["notes"]),
        f"overall accuracy {_shown(figures['overall_accuracy'])}",
        f"weighted F1      {_shown(figures['weighted_f1'])}",
        "",
        f"{'class':<24} {'recall':>22} {'precision':>22} {'F1':>22} {'AUC':>22} {'samples':>8}",
    ]
    for name, row in figures["classes"].items():
        cells = " ".join(f"{_shown(row[key]):>22}" for key in ("recall", "precision", "f1", "auc"))
        lines.append(f"{name[:24]:<24} {cells} {row['support']:>8}")
    return lines


def _no_progress(done: int, total: int) -> None:
    """Nothing."""
    del done, total


def _read(
    request: Evaluation, path: Path, *, samples: Path | None = None, like: LabelledTable | None = None
) -> LabelledTable:
    """A table as the request says; with the features of another one where that is given."""
    columns = None if like is None else like.columns
    if request.step_days is None:
        return read_table(path, samples=samples, label=request.label, group=request.group, columns=columns)
    days = None if like is None else (len(like.feature_names) // len(like.columns) - 1) * request.step_days
    return read_on_common_days(
        path, step_days=request.step_days, samples=samples, label=request.label, group=request.group, columns=columns,
        last_day=days,
    )  # fmt: skip


def parse_params(given: Sequence[str]) -> dict[str, Any]:
    """Parameters of a classifier from texts such as ``C=10``; values are written as in TOML, or are text.

    Raises
    ------
    InputError
        For a text without ``=``, a name that is given twice, or a value that is begun as TOML and is none.

    Examples
    --------
    >>> parse_params(["C=10", "kernel=rbf", "class_weight={1 = 2.0}", "n_estimators = 300", "max_depth=None"])
    {'C': 10, 'kernel': 'rbf', 'class_weight': {'1': 2.0}, 'n_estimators': 300, 'max_depth': None}
    """
    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name or not value:
            raise InputError(f"--param {text}: write name=value, such as --param n_estimators=300.")
        if name in found:
            raise InputError(f"--param {text}: {name} is given twice; keep one.")
        found[name] = _value(text, value)
    return found


_PYTHON = {"None": None, "True": True, "False": False}


def _value(text: str, value: str) -> Any:
    if value in _PYTHON:
        return _PYTHON[value]
    try:
        read = tomllib.loads(f"value = {value}")
    except ValueError:
        if value[0] in "\"'[{":
            raise InputError(f"--param {text}: {value} is not a valid value; write it as in TOML.") from None
        return value
    # A line break in the value would be another key, and a date is no parameter of a classifier.
    plain = len(read) == 1 and isinstance(read["value"], bool | int | float | str | list | dict)
    return read["value"] if plain else value


def _predict(
    request: Evaluation, X: np.ndarray, y: np.ndarray, parts: Mapping[str, np.ndarray], asked: Mapping[str, np.ndarray],
    legend: Legend, tick: Callable[[int, int], None],
) -> dict[str, np.ndarray]:  # fmt: skip
    """Probabilities of each part's ``asked`` rows of features by a model of the part's rows of the table."""
    done = itertools.count()
    tick(0, len(parts))
    try:
        estimators = fit_parts(
            X, y, parts, type=request.model, params=request.params, seed=request.seed, threads=usable_cores(),
            feature_names=[f"f{i}" for i in range(X.shape[1])], rule=ImportRule(anything=request.allow_code),
            after_each=lambda: tick(next(done) + 1, len(parts)),
        )  # fmt: skip
    except InputError as error:
        # There is no project file here.
        told = str(error).replace("[model] params.", "--param ").replace("[model] params", "--param")
        raise InputError(re.sub(r'\[model\] type = "([^"]*)"', r"--model \1", told)) from None
    found = {}
    for name, estimator in estimators.items():
        model = Model(estimator=estimator, class_names=legend.names)
        p = model.probabilities(asked[name], threads=usable_cores())
        found[name] = align_columns(p, model.classes, legend.values)
    return found


def _given(request: Evaluation, table: LabelledTable, legend: Legend) -> _Held:
    assert request.test is not None
    test = _read(request, request.test, like=table)
    if test.feature_names != table.feature_names:
        strange = sorted(set(test.feature_names) ^ set(table.feature_names))
        raise InputError(
            f"{request.test}: its columns differ from those of {request.table}"
            f"{f' (such as {strange[0]})' if strange else ' in their order'}; both need the same features."
        )
    truth, unknown = legend.translate(test.labels)
    if unknown:
        raise InputError(f"{request.test}: class {min(unknown)!r} does not occur in {request.table}.")
    y = legend.translate(table.labels)[0]
    p = _predict(request, table.X, y, {"": np.ones(len(y), bool)}, {"": test.X}, legend, _no_progress)[""]
    groups = None if test.groups is None else np.asarray(test.groups)
    trained = len(table.labels) if table.groups is None else len(set(table.groups))
    tested = len(truth) if groups is None else len(np.unique(groups))
    split = {
        "kind": "given", "train_patches": 0, "test_patches": 0, "train_groups": trained, "test_groups": tested,
        "how": f"trained on {len(table.labels)} samples, tested on the {len(truth)} of {request.test.name}",
    }  # fmt: skip
    clusters = np.arange(len(truth)) if groups is None else groups
    more = [name for name, reason in test.left_out.items() if reason == NOT_ASKED]
    unasked = (f"Columns of {request.test.name} that are no features of {request.table.name}: {listed(more)}.",)
    notes = (*test.notes, *(unasked if more else ()))
    return _Held(truth=truth, probabilities=p, clusters=clusters, split=split, notes=notes)


def _folds(request: Evaluation, table: LabelledTable, legend: Legend, tick: Callable[[int, int], None]) -> _Held:
    kind = request.split or ("group" if request.group else "random")
    groups: np.ndarray | None = None
    if kind == "group":
        groups = np.asarray(table.groups)
    elif kind == "block":
        if table.longitude is None or table.latitude is None:
            raise InputError(f"{request.table}: --split block needs the columns longitude and latitude.")
        _check_places(request.table, table)
        groups = np.asarray(block_ids(table.longitude, table.latitude, size=request.block_size))
    k, seed = request.folds, request.seed
    if groups is None:
        fold = random_folds(table.labels, k=k, seed=seed)
    else:
        fold = group_folds(groups.tolist(), table.labels, k=k, seed=seed)
    y = legend.translate(table.labels)[0]
    p = np.zeros((len(y), len(legend.values)), "float32")
    out = {str(number): fold == number for number in range(k)}
    parts, asked = {name: ~part for name, part in out.items()}, {name: table.X[part] for name, part in out.items()}
    for name, found in _predict(request, table.X, y, parts, asked, legend, tick).items():
        p[out[name]] = found
    count = len(y) if groups is None else len(np.unique(groups))
    unit = {"random": "samples", "group": "groups", "block": "blocks"}[kind]
    split = {
        "kind": kind, "train_patches": 0, "test_patches": 0, "train_groups": count, "test_groups": count, "folds": k,
        "how": f"{k}-fold cross-validation over {count} {unit}; each is tested once, by a model without it",
    }  # fmt: skip
    clusters = np.arange(len(y)) if groups is None else groups
    return _Held(truth=y, probabilities=p, clusters=clusters, split=split, folds=fold)


def _check_places(path: Path, table: LabelledTable) -> None:
    """InputError where samples have no place, so that no block can hold them."""
    assert table.longitude is not None
    lost = np.flatnonzero(np.isnan(table.longitude)).tolist()
    if lost:
        some = ", ".join(table.sample_ids[i] for i in lost[:5]) + (" and more" if len(lost) > 5 else "")
        raise InputError(
            f"{path}: {len(lost)} of {len(table.labels)} samples have no longitude and latitude (sample {some}); fill "
            "them in, remove the samples, or choose another --split."
        )


def _shown(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "-"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"
