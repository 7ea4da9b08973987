"""Train a classifier on a table: LightGBM, or any scikit-learn class by its import path."""

import inspect
import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from landweave.classifier.boosting import BinnedTables, refuse_parameter
from landweave.classifier.estimators import Boosted, Constant, Estimator, Learnt, as_floats
from landweave.errors import InputError
from landweave.import_rule import ImportRule

SHORT_NAMES = {"random_forest": "sklearn.ensemble.RandomForestClassifier"}
"""Types that need no import path, besides ``lightgbm``."""


def fit(
    X: np.ndarray,
    y: np.ndarray,
    *,
    type: str = "lightgbm",  # noqa: A002
    params: Mapping[str, Any] | None = None,
    seed: int = 42,
    threads: int | None = 1,
    feature_names: Sequence[str],
    weights: np.ndarray | None = None,
    rule: ImportRule | None = None,
) -> Estimator:
    """Train a classifier.

    Parameters
    ----------
    X
        (n, f) int16, -32768 missing, or floating point, NaN missing.
    y
        uint8 (n,) class values 1..255.
    type
        ``"lightgbm"``, ``"random_forest"``, or the import path of a class with ``fit`` and ``predict_proba`` or
        ``decision_function``, such as ``"sklearn.svm.SVC"``. One that takes no missing values gets the training median
        and is standardised. Scores of one without probabilities are calibrated by cross-validation.
    params
        Passed to the estimator; LightGBM's own names or scikit-learn's (``n_estimators``, ``random_state``, ...).
        ``class_weight`` ("balanced" or class value to weight) works for LightGBM too. Its ``min_data_in_leaf`` and
        ``max_bin`` are those of :func:`.leaf_rows` and :func:`.most_bins` where they are not given.
    seed
        For everything random, unless ``params`` says otherwise.
    threads
        The model does not depend on it. None: all cores.
    feature_names
        One name a column.
    weights
        (n,) weights of the rows.
    rule
        Whose classes may be named; by default those of :data:`landweave.import_rule.PACKAGES`.

    Returns
    -------
    Estimator
        With a single class in ``y``: one that always answers it.

    Raises
    ------
    InputError
        For a type that cannot be imported or is no classifier, an unknown parameter (naming the nearest), or a
        table that the estimator refuses.
    ValueError
        When shapes do not fit.
    """
    everything = {"": np.ones(np.shape(y)[:1], bool)}
    return fit_parts(
        X, y, everything, type=type, params=params, seed=seed, threads=threads, feature_names=feature_names,
        weights=weights, rule=rule,
    )[""]  # fmt: skip


def fit_parts(
    X: np.ndarray,
    y: np.ndarray,
    parts: Mapping[str, np.ndarray],
    *,
    apart: Collection[str] = (),
    after_each: Callable[[], object] | None = None,
    type: str = "lightgbm",  # noqa: A002
    params: Mapping[str, Any] | None = None,
    seed: int = 42,
    threads: int | None = 1,
    feature_names: Sequence[str],
    weights: np.ndarray | None = None,
    rule: ImportRule | None = None,
) -> dict[str, Estimator]:
    """Train a classifier on each of several parts of a table, side by side.

    LightGBM bins the table once for all parts: the bins' edges come from the features of all rows of these parts,
    never from a label. The other arguments and errors are those of :func:`fit`.

    Parameters
    ----------
    parts
        Name to the rows of a part, bool (n,). Parts may overlap.
    apart
        Names of the parts that are binned by their own rows, which the bins of all others then do not know.
    after_each
        Called by the thread of a fit when that is over.
    threads
        Of all fits together. No model depends on it.

    Returns
    -------
    dict
        Name to estimator, in the order of ``parts``.
    """
    X, y, names, params = np.asarray(X), np.asarray(y), tuple(feature_names), dict(params or {})
    if X.ndim != 2 or y.shape != X.shape[:1] or len(names) != X.shape[1]:
        raise ValueError(f"X {X.shape}, y {y.shape} and {len(names)} feature names do not fit.")
    if weights is not None and weights.shape != y.shape:
        raise ValueError(f"{weights.shape} weights for {y.shape} rows.")
    if X.dtype != np.int16 and not np.issubdtype(X.dtype, np.floating):
        raise ValueError(f"features are int16 or floating point, not {X.dtype}.")
    found = {name: tuple(int(value) for value in np.unique(y[use])) for name, use in parts.items()}
    for classes in found.values():
        if not classes:
            raise InputError("There are no training rows; check the reference, the erosion and the clouds.")
        if classes[0] < 1 or classes[-1] > 255:
            raise ValueError(f"class values are 1 to 255, not {classes[0]} to {classes[-1]}.")
    fitted: dict[str, Estimator] = {
        name: Constant(classes=classes, feature_names=names) for name, classes in found.items() if len(classes) == 1
    }
    learning = {name: use for name, use in parts.items() if name not in fitted}
    if not learning:
        return {name: fitted[name] for name in parts}
    cores = _all_cores() if threads is None else max(1, threads)
    # Several small fits of a thread each wait for nobody, as threads of one fit do.
    each, cores = max(1, cores // len(learning)), min(cores, len(learning))
    if type == "lightgbm":
        tables = BinnedTables(X, learning, apart=apart, feature_names=names, params=params, seed=seed)

        def one(name: str) -> Estimator:
            text = tables.boost(name, y, found[name], weights=weights, threads=each)
            return Boosted(classes=found[name], feature_names=names, text=text)
    else:
        kind = classifier_class(type, rule or ImportRule())

        def one(name: str) -> Estimator:
            use, classes = learning[name], found[name]
            estimator = _learn(
                as_floats(X[use]), y[use], kind, type, params=dict(params), seed=seed, threads=each,
                weights=None if weights is None else weights[use],
            )  # fmt: skip
            if tuple(int(value) for value in estimator.classes_) != classes:
                raise InputError(f"{type} has no attribute classes_; use a scikit-learn classifier.")
            return Learnt(classes=classes, feature_names=names, estimator=estimator)

    def fit_one(name: str) -> Estimator:
        estimator = one(name)
        if after_each is not None:
            after_each()
        return estimator

    # The largest first, so that none is left over at the end.
    order = sorted(learning, key=lambda name: -int(np.count_nonzero(learning[name])))
    if cores == 1:
        fitted |= {name: fit_one(name) for name in order}
    else:
        with ThreadPoolExecutor(cores, "fit") as pool:
            fitted |= dict(zip(order, pool.map(fit_one, order), strict=True))
    return {name: fitted[name] for name in parts}


def _all_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _learn(
    X: np.ndarray,
    y: np.ndarray,
    kind: Any,
    path: str,
    *,
    params: dict[str, Any],
    seed: int,
    threads: int,
    weights: np.ndarray | None,
) -> Any:
    known = inspect.signature(kind).parameters
    extra: dict[str, Any] = {"random_state": seed}
    if threads != 1:
        extra["n_jobs"] = threads
    settings = {**{key: value for key, value in extra.items() if key in known}, **params}
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for key in params:
        if key not in known and not open_ended:
            refuse_parameter(path, key, list(known))
    try:
        estimator = kind(**settings)
    except Exception as error:
        raise InputError(f"{path} rejects [model] params: {' '.join(str(error).split())}.") from error
    if not hasattr(estimator, "fit") or not (
        hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    ):
        raise InputError(
            f"{path} predicts neither probabilities (predict_proba) nor scores (decision_function) with these [model] "
            "params; choose another classifier."
        )
    from sklearn.utils.validation import has_fit_parameter

    weighable = has_fit_parameter(estimator, "sample_weight")
    if weights is not None and not weighable:
        raise InputError(f"{path} does not accept row weights; choose another classifier.")
    calibrated = not hasattr(estimator, "predict_proba")
    if calibrated:
        estimator = _with_probabilities(estimator, y, path, seed)
    whole, step = _accepting_missing(estimator)
    empty = np.isnan(X).all(axis=0)
    if empty.any():
        # A date that no training pixel saw: a constant says as little, and no estimator stumbles over it.
        X = np.where(empty, np.float32(0), X)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'n_jobs' has no effect", FutureWarning)
            whole.fit(X, y, **({} if weights is None else {f"{step}sample_weight": weights}))
    except Exception as error:
        raise InputError(f"{path} cannot be fitted: {' '.join(str(error).split())}") from error
    if calibrated:
        # How the rows were parted is no part of the model, and would be one more type in its file.
        estimator.set_params(cv=None)
    elif "n_jobs" in known and hasattr(estimator, "set_params"):
        # So that the kept model does not tell how many threads made it.
        estimator.set_params(n_jobs=known["n_jobs"].default)
    return whole


_PARTS = 5
"""Of the cross-validation by which scores become probabilities."""


def _with_probabilities(estimator: Any, y: np.ndarray, path: str, seed: int) -> Any:
    """A classifier of scores only, whose scores become probabilities by a sigmoid fitted to cross-validated scores.

    Platt (1999, Advances in Large Margin Classifiers); the classifier itself is fitted to all rows.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold

    values, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise InputError(
            f"{path} predicts no probabilities, and class {values[counts.argmin()]} has one training row: its scores "
            "are turned into probabilities by cross-validation, which needs two rows of each class."
        )
    parts = StratifiedKFold(min(_PARTS, int(counts.min())), shuffle=True, random_state=seed)
    return CalibratedClassifierCV(estimator, cv=parts, ensemble=False)


def import_path(type: str) -> str | None:  # noqa: A002
    """The import path that a type of model is; None for ``lightgbm`` and names of :data:`SHORT_NAMES`.

    >>> import_path("sklearn.svm.SVC"), import_path("random_forest")
    ('sklearn.svm.SVC', None)
    """
    return None if type == "lightgbm" or type in SHORT_NAMES else type


def classifier_class(path: str, rule: ImportRule) -> Any:
    """The class at an import path; InputError where it may not be imported, fails, or is no classifier."""
    path = SHORT_NAMES.get(path, path)
    module, _, name = path.rpartition(".")
    if not module or not all(part.isidentifier() for part in path.split(".")):
        raise InputError(
            f'[model] type = "{path}" is unknown; use lightgbm, {", ".join(SHORT_NAMES)} or an import path such as '
            "sklearn.svm.SVC."
        )
    try:
        kind = rule.load(module, name)
    except InputError as error:
        raise InputError(f'[model] type = "{path}": {error}') from None
    if not inspect.isclass(kind):
        raise InputError(f'[model] type = "{path}" is a {type(kind).__name__}, not a classifier class.')
    scores = hasattr(kind, "predict_proba") or hasattr(kind, "decision_function")
    if not hasattr(kind, "fit") or not scores:
        lacking = "predict_proba or decision_function" if hasattr(kind, "fit") else "fit"
        raise InputError(f'[model] type = "{path}" is no classifier that can be used here: it has no {lacking}.')
    return kind


def _accepting_missing(estimator: Any) -> tuple[Any, str]:
    """The estimator, behind imputation and standardisation where it takes no NaN, and the prefix of its arguments."""
    from sklearn.utils import get_tags

    try:
        if get_tags(estimator).input_tags.allow_nan:
            return estimator, ""
    except (AttributeError, TypeError, ValueError):
        # Not one of scikit-learn's own: nothing is known, so it gets no NaN.
        pass
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    return Pipeline(
        [("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler()), ("classify", estimator)]
    ), "classify__"
