"""Figures of a run as data frames."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from landweave.errors import InputError

FIGURES = ("value", "low", "high", "n_clusters")
"""What a score consists of: its value, the ends of its 95 % interval, and the independent patches or blocks."""


def scores_table(accuracy: Mapping[str, Any]) -> pd.DataFrame:
    """Scores of the classes.

    Parameters
    ----------
    accuracy
        The content of ``accuracy.json``.

    Returns
    -------
    pandas.DataFrame
        A row a class, in the legend's order. Columns have two levels, metric (``f1``, ``recall``, ``precision``, ...)
        and :data:`FIGURES`, so that ``scores["f1"]`` is a frame; and ``support``, the number of test pixels. Where
        there is no interval ``low`` and ``high`` are NaN. ``attrs`` holds ``overall_accuracy`` and ``weighted_f1``
        with their intervals, and ``split``.

    >>> f1 = {"value": 0.9, "low": 0.8, "high": 0.95, "n_clusters": 12}
    >>> whole = {"overall_accuracy": f1, "weighted_f1": f1, "split": {"kind": "patch"}}
    >>> table = scores_table({**whole, "classes": {"water": {"f1": f1, "support": 80}}})
    >>> float(table.loc["water", ("f1", "low")]), int(table["support"]["water"])
    (0.8, 80)
    """
    classes = accuracy["classes"]
    metrics = list(dict.fromkeys(key for of_class in classes.values() for key in of_class if key != "support"))
    columns: dict[tuple[str, str], Any] = {}
    for metric in metrics:
        for figure in FIGURES:
            found = [(of_class.get(metric) or {}).get(figure) for of_class in classes.values()]
            columns[metric, figure] = pd.array(found, "Int64" if figure == "n_clusters" else "float64")
    columns["support", ""] = pd.array([of_class["support"] for of_class in classes.values()], "int64")
    table = pd.DataFrame(columns, index=pd.Index(list(classes), name="class"))
    table.columns = pd.MultiIndex.from_tuples(list(columns), names=["metric", "figure"])
    table.attrs = {key: accuracy[key] for key in ("overall_accuracy", "weighted_f1", "split")}
    return table


def confusion_table(accuracy: Mapping[str, Any]) -> pd.DataFrame:
    """Test pixels by true class (rows) and predicted class (columns): int64, in the legend's order.

    Pixels that were shown as no class are in a last column, ``unclassified``, where there are some.

    >>> found = confusion_table({"confusion": {"labels": ["a", "b"], "counts": [[5, 1], [0, 7]]}})
    >>> int(found.loc["a", "b"]), found.index.name, found.columns.name
    (1, 'true', 'predicted')
    """
    confusion = accuracy["confusion"]
    labels, counts = confusion["labels"], np.array(confusion["counts"], "int64")
    table = pd.DataFrame(counts, index=pd.Index(labels, name="true"), columns=pd.Index(labels, name="predicted"))
    if "unclassified" in confusion:
        table["unclassified"] = np.array(confusion["unclassified"], "int64")
    return table


def grid_table(path: Path) -> gpd.GeoDataFrame:
    """The patches: polygons in EPSG:4326 with ``role`` (train, test) and ``state``, by name.

    Raises
    ------
    InputError
        Where the file is missing.
    """
    if not path.exists():
        raise InputError(f"{path}: this run has no grid; `landweave run` makes it.")
    return gpd.read_file(path).set_index("name")
