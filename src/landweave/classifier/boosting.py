"""LightGBM trained on parts of a table whose features are binned once."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np

from landweave.classifier.estimators import as_floats, plain_names, settle_text
from landweave.errors import InputError

_BINNING = ThreadPoolExecutor(1, "binning")

_MULTICLASS = {"multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr"}


class BinnedTables:
    """The table of features in LightGBM's bins, made when first asked for, and models of its parts.

    Parameters
    ----------
    X
        (n, f) as for :func:`landweave.classifier.fit.fit`.
    parts
        Name to the rows of a part, bool (n,).
    apart
        Names of the parts that get bins of their own.
    feature_names, params, seed
        As for :func:`landweave.classifier.fit.fit`.
    """

    def __init__(
        self,
        X: np.ndarray,
        parts: Mapping[str, np.ndarray],
        *,
        apart: Collection[str] = (),
        feature_names: tuple[str, ...],
        params: Mapping[str, Any],
        seed: int,
    ) -> None:
        self._X, self._names = X, feature_names
        self._rows = {name: np.flatnonzero(use) for name, use in parts.items()}
        together = [use for name, use in parts.items() if name not in apart]
        # A single part is no part: it needs no table beside its own.
        self._sharing = {name for name in parts if name not in apart} if len(together) > 1 else set()
        self._shared = np.flatnonzero(np.logical_or.reduce(together)) if self._sharing else np.zeros(0, "int64")
        params = dict(params)
        self._class_weight, native = params.pop("class_weight", None), _native(params)
        self._rounds = native.pop("num_iterations", 100)
        self._num_class = native.pop("num_class", None)
        self._params = {
            "objective": "multiclass",
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
            **native,
            # Features that a small leaf cannot split are kept: parts of other sizes have other leaves.
            "feature_pre_filter": False,
        }
        if self._params["objective"] not in _MULTICLASS:
            raise InputError(
                f'[model] params.objective = "{self._params["objective"]}" does not predict classes; use "multiclass".'
            )
        if self._params.get("force_col_wise"):
            self._params["force_row_wise"] = False
        self._table: Any = None
        self._lock = Lock()

    def boost(
        self, name: str, y: np.ndarray, classes: tuple[int, ...], *, weights: np.ndarray | None, threads: int
    ) -> str:
        """LightGBM's text of the model of one part; may be called by several threads at a time.

        Parameters
        ----------
        name
            Of the part.
        y, weights
            Class value and weight of each row of the table, (n,).
        classes
            Values in the part, rising.
        threads
            Of this fit.

        Raises
        ------
        InputError
            When LightGBM rejects the table or the parameters.
        """
        import lightgbm

        rows = self._rows[name]
        index = np.searchsorted(np.array(classes), y[rows])
        weighted = _class_weighted(index, classes, self._class_weight, None if weights is None else weights[rows])
        if self._num_class not in (None, len(classes)):
            raise InputError(f"[model] params.num_class does not fit: there are {len(classes)} classes; leave it out.")
        try:
            table, settings = self._part(name, len(classes), threads)
            table.set_label(index)
            table.set_weight(weighted)
            booster = lightgbm.train(settings, table, num_boost_round=self._rounds)
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            words = " ".join(str(error).split())
            raise InputError(f"LightGBM rejects the table or [model] params: {words}.") from error
        return settle_text(booster.model_to_string())

    def _part(self, name: str, classes: int, threads: int) -> tuple[Any, dict[str, Any]]:
        """The part in its bins, and the settings of its fit."""
        rows = self._rows[name]
        table_rows = self._shared if name in self._sharing else rows
        settings = {
            "min_data_in_leaf": leaf_rows(len(rows)), "max_bin": most_bins(len(table_rows)), **self._params,
            "num_class": classes, "num_threads": threads,
        }  # fmt: skip
        if name not in self._sharing:
            return self._binned(rows, settings), settings
        with self._lock:
            if self._table is None:
                # Whichever part asks first: what is its own decides no bin.
                own = {"min_data_in_leaf", "num_class", "objective"}
                self._table = self._binned(
                    self._shared, {key: value for key, value in settings.items() if key not in own}
                )
        part = self._table.subset(np.searchsorted(self._shared, rows).tolist())
        part.label = np.zeros(len(rows))
        return part.construct(), settings

    def _binned(self, rows: np.ndarray, settings: Mapping[str, Any]) -> Any:
        """Rows of the table as LightGBM's Dataset, with labels to come."""
        import lightgbm

        def construct() -> Any:
            return lightgbm.Dataset(
                as_floats(self._X[rows]), np.zeros(len(rows)), feature_name=plain_names(self._names),
                params=dict(settings),
            ).construct()  # fmt: skip

        # One table at a time and always in the same thread: meanwhile LightGBM holds each number as float64 with its
        # row, and what a thread has freed only that thread uses again.
        return _BINNING.submit(construct).result()


def leaf_rows(rows: int) -> int:
    """The fewest rows of a leaf where the user says nothing: LightGBM's 20, fewer in a table of under 200 rows.

    With 20, the trees of a small table can hardly split, and the model would give one class everywhere.

    >>> leaf_rows(18), leaf_rows(46), leaf_rows(100_000)
    (1, 4, 20)
    """
    return min(20, max(1, rows // 10))


def most_bins(rows: int) -> int:
    """The most bins of a feature where the user says nothing: one for each 100 rows, 63 to LightGBM's 255.

    A tree tries every bin of every feature at every node, which in a small table costs more than its rows do, and bins
    of few rows only let it fit them.

    >>> most_bins(500), most_bins(12_000), most_bins(160_000)
    (63, 120, 255)
    """
    return min(255, max(63, rows // 100))


def _native(params: Mapping[str, Any]) -> dict[str, Any]:
    """LightGBM's own names for parameters given by any of their names; the number of threads is not one of them."""
    from lightgbm.basic import _ConfigAliases

    names = {alias: name for name, all_names in _ConfigAliases._get_all_param_aliases().items() for alias in all_names}  # noqa: SLF001
    out: dict[str, Any] = {}
    for key, value in params.items():
        if key not in names:
            refuse_parameter("LightGBM", key, [*names, "class_weight"])
        if names[key] in out:
            raise InputError(f"[model] params gives LightGBM's {names[key]} twice; keep one of the names.")
        # scikit-learn's None means "the default".
        if value is not None and names[key] != "num_threads":
            out[names[key]] = value
    return out


def _class_weighted(
    index: np.ndarray, classes: tuple[int, ...], class_weight: Any, weights: np.ndarray | None
) -> np.ndarray | None:
    if class_weight is None:
        return weights
    base = np.ones(len(index)) if weights is None else np.asarray(weights, "float64")
    if class_weight == "balanced":
        sums = np.bincount(index, base, len(classes))
        return np.asarray(base * (base.sum() / (len(classes) * sums))[index])
    try:
        # A TOML file can only say "1" = 2.0.
        given = {int(value): float(weight) for value, weight in class_weight.items()}
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            f'[model] params.class_weight must be "balanced" or value = weight, not {class_weight!r}.'
        ) from None
    return np.asarray(base * np.array([given.get(value, 1.0) for value in classes])[index])


def refuse_parameter(what: str, key: str, known: Sequence[str]) -> None:
    """Raise the InputError of an unknown parameter, which names the nearest."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise InputError(f"[model] params.{key} is not a parameter of {what}{hint}.")
