"""Train a classifier on a table: LightGBM, or any scikit-learn class by its import path."""

import difflib
import inspect
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from landweave.classifier.estimators import Boosted, Constant, Estimator, Learnt, as_floats, plain_names, settle_text
from landweave.errors import InputError
from landweave.import_rule import ImportRule

SHORT_NAMES = {"random_forest": "sklearn.ensemble.RandomForestClassifier"}
"""Types that need no import path, besides ``lightgbm``."""

_BINNING = ThreadPoolExecutor(1, "binning")

_MULTICLASS = {"multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr"}


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
        ``class_weight`` ("balanced" or class value to weight) works for LightGBM too, and its ``min_data_in_leaf``
        is that of :func:`leaf_rows` where it is not given.
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
    X, y, names, params = np.asarray(X), np.asarray(y), tuple(feature_names), dict(params or {})
    if X.ndim != 2 or y.shape != X.shape[:1] or len(names) != X.shape[1]:
        raise ValueError(f"X {X.shape}, y {y.shape} and {len(names)} feature names do not fit.")
    if weights is not None and weights.shape != y.shape:
        raise ValueError(f"{weights.shape} weights for {y.shape} rows.")
    values, index = np.unique(y, return_inverse=True)
    classes = tuple(int(value) for value in values)
    if not classes:
        raise InputError("There are no training rows; check the reference, the erosion and the clouds.")
    if classes[0] < 1 or classes[-1] > 255:
        raise ValueError(f"class values are 1 to 255, not {classes[0]} to {classes[-1]}.")
    if X.dtype != np.int16 and not np.issubdtype(X.dtype, np.floating):
        raise ValueError(f"features are int16 or floating point, not {X.dtype}.")
    if len(classes) == 1:
        return Constant(classes=classes, feature_names=names)
    if type == "lightgbm":
        text = _boost(X, index, classes, names, params=params, seed=seed, threads=threads, weights=weights)
        return Boosted(classes=classes, feature_names=names, text=text)
    estimator = _learn(
        as_floats(X), np.array(classes)[index], classifier_class(type, rule or ImportRule()), type, params=params,
        seed=seed, threads=threads, weights=weights,
    )  # fmt: skip
    if tuple(int(value) for value in estimator.classes_) != classes:
        raise InputError(f"{type} has no attribute classes_; use a scikit-learn classifier.")
    return Learnt(classes=classes, feature_names=names, estimator=estimator)


def _boost(
    X: np.ndarray,
    index: np.ndarray,
    classes: tuple[int, ...],
    names: tuple[str, ...],
    *,
    params: dict[str, Any],
    seed: int,
    threads: int | None,
    weights: np.ndarray | None,
) -> str:
    import lightgbm

    weights = _class_weighted(index, classes, params.pop("class_weight", None), weights)
    settings = {
        "objective": "multiclass",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        "min_data_in_leaf": leaf_rows(len(index)),
        **_native(params),
    }
    if settings["objective"] not in _MULTICLASS:
        raise InputError(
            f'[model] params.objective = "{settings["objective"]}" does not predict classes; use "multiclass".'
        )
    if settings.pop("num_class", len(classes)) != len(classes):
        raise InputError(f"[model] params.num_class does not fit: there are {len(classes)} classes; leave it out.")
    if settings.get("force_col_wise"):
        settings["force_row_wise"] = False
    rounds = settings.pop("num_iterations", 100)
    settings |= {"num_class": len(classes), "num_threads": 0 if threads is None else threads}
    try:
        # Binned at once, one table at a time and always in the same thread: meanwhile LightGBM holds each number as
        # float64 with its row, and what a thread has freed only that thread uses again.
        table = _BINNING.submit(
            lambda: lightgbm.Dataset(
                as_floats(X), index, weight=weights, feature_name=plain_names(names), params=settings
            ).construct()
        ).result()
        booster = lightgbm.train(settings, table, num_boost_round=rounds)
    except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
        raise InputError(f"LightGBM rejects the table or [model] params: {' '.join(str(error).split())}.") from error
    return settle_text(booster.model_to_string())


def leaf_rows(rows: int) -> int:
    """The fewest rows of a leaf where the user says nothing: LightGBM's 20, fewer in a table of under 200 rows.

    With 20, the trees of a small table can hardly split, and the model would give one class everywhere.

    >>> leaf_rows(18), leaf_rows(46), leaf_rows(100_000)
    (1, 4, 20)
    """
    return min(20, max(1, rows // 10))


def _native(params: Mapping[str, Any]) -> dict[str, Any]:
    """LightGBM's own names for parameters given by any of their names; the number of threads is not one of them."""
    from lightgbm.basic import _ConfigAliases

    names = {alias: name for name, all_names in _ConfigAliases._get_all_param_aliases().items() for alias in all_names}  # noqa: SLF001
    out: dict[str, Any] = {}
    for key, value in params.items():
        if key not in names:
            _refuse_parameter("LightGBM", key, [*names, "class_weight"])
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


def _learn(
    X: np.ndarray,
    y: np.ndarray,
    kind: Any,
    path: str,
    *,
    params: dict[str, Any],
    seed: int,
    threads: int | None,
    weights: np.ndarray | None,
) -> Any:
    known = inspect.signature(kind).parameters
    extra: dict[str, Any] = {"random_state": seed}
    if threads != 1:
        extra["n_jobs"] = -1 if threads is None else threads
    settings = {**{key: value for key, value in extra.items() if key in known}, **params}
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for key in params:
        if key not in known and not open_ended:
            _refuse_parameter(path, key, list(known))
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


def _refuse_parameter(what: str, key: str, known: Sequence[str]) -> None:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise InputError(f"[model] params.{key} is not a parameter of {what}{hint}.")
